# Writes OUT: the bytes of IN as a constant string_view named SYMBOL.
file(READ "${IN}" hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
string(LENGTH "${hex}" digits)
math(EXPR size "${digits} / 2")
file(WRITE "${OUT}" "#include <string_view>\nnamespace choana::embedded {\nextern const std::string_view ${SYMBOL};\n"
  "static const char bytes[] = {${bytes}0};\nconst std::string_view ${SYMBOL}{bytes, ${size}};\n}\n")
