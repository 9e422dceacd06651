# Interface targets and helpers that every module uses: C++20, warnings as errors in our code, sanitizers.

add_library(choana_options INTERFACE)
add_library(choana::options ALIAS choana_options)
target_compile_features(choana_options INTERFACE cxx_std_20)
target_compile_options(choana_options INTERFACE
  -Wall -Wextra -Wno-missing-field-initializers -Wpedantic -Wshadow -Wnon-virtual-dtor -Wcast-align -Woverloaded-virtual -Werror
  # Clang builds the fuzz targets alone; it warns of GCC's attributes and of what GCC sees otherwise.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-error> $<$<CXX_COMPILER_ID:Clang>:-fbracket-depth=1024>
  # Floating point stays as written: no contraction into FMA, so that values do not depend on the CPU.
  -ffp-contract=off)
if(CMAKE_UNITY_BUILD)
  # These warn of what is no fault where sources are included into one: names of unnamed namespaces meet there, and more is inlined.
  target_compile_options(choana_options INTERFACE -Wno-subobject-linkage -Wno-shadow -Wno-maybe-uninitialized)
endif()
if(CHOANA_SANITIZE)
  target_compile_options(choana_options INTERFACE -fsanitize=${CHOANA_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(choana_options INTERFACE -fsanitize=${CHOANA_SANITIZE})
endif()

# One precompiled header for all modules; a file that is compiled with other options parses it as text.
set(CMAKE_PCH_WARN_INVALID OFF)
function(choana_precompile target)
  if(NOT CHOANA_PRECOMPILE)
    return()
  endif()
  if(target STREQUAL choana_core)
    target_precompile_headers(${target} PRIVATE "${PROJECT_SOURCE_DIR}/cmake/precompiled.h")
  else()
    target_precompile_headers(${target} REUSE_FROM choana_core)
  endif()
endfunction()

# choana_module(NAME SOURCES ... [ALONE ...] [PUBLIC ...] [PRIVATE ...]): one static library and alias per module.
# Unity builds (presets release and ci) compile several sources as one, which halves a first build; ALONE names those that cannot join because they share
# a name of an unnamed namespace with another source of the module. Where that is news to you: give one of the two another name, or put it under ALONE.
function(choana_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;ALONE;PUBLIC;PRIVATE" ${ARGN})
  set_source_files_properties(${arg_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  add_library(choana_${name} STATIC ${arg_SOURCES} ${arg_ALONE})
  add_library(choana::${name} ALIAS choana_${name})
  target_include_directories(choana_${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(choana_${name} PUBLIC ${arg_PUBLIC} PRIVATE choana::options ${arg_PRIVATE})
  choana_precompile(choana_${name})
endfunction()

# choana_program(NAME SOURCES ... [ALONE ...] LIBS ...): a program in bin/.
function(choana_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;ALONE;LIBS" ${ARGN})
  set_source_files_properties(${arg_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  add_executable(${name} ${arg_SOURCES} ${arg_ALONE})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE choana::options ${arg_LIBS})
endfunction()

# choana_test(NAME SOURCES ... LIBS ... [LABELS ...] [TIMEOUT s]): a GoogleTest program, one ctest test per TEST.
# Inside the tests, CHOANA_SOURCE_DIR is the project root; shared reference data lie in ${CHOANA_SOURCE_DIR}/../shared
# and every test that needs them skips visibly when they are absent (tests/support/shared_data.h).
function(choana_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  if(NOT CHOANA_TESTS)
    return()
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(${name} PRIVATE CHOANA_SOURCE_DIR="${PROJECT_SOURCE_DIR}" CHOANA_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  target_link_libraries(${name} PRIVATE choana::options ${arg_LIBS} GTest::gtest_main)
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
endfunction()

# choana_embed(TARGET FILE SYMBOL): compile FILE into TARGET as
#   namespace choana::embedded { extern const std::string_view SYMBOL; }   (declare it where it is used)
function(choana_embed target file symbol)
  get_filename_component(path "${file}" ABSOLUTE)
  set(out "${CMAKE_CURRENT_BINARY_DIR}/embedded_${symbol}.cpp")
  add_custom_command(OUTPUT "${out}"
    COMMAND "${CMAKE_COMMAND}" "-DIN=${path}" "-DOUT=${out}" "-DSYMBOL=${symbol}" -P "${PROJECT_SOURCE_DIR}/cmake/Embed.cmake"
    DEPENDS "${path}" "${PROJECT_SOURCE_DIR}/cmake/Embed.cmake" VERBATIM)
  set_source_files_properties("${out}" PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  target_sources(${target} PRIVATE "${out}")
endfunction()
