#ifdef __GNUC__
#ifndef __clang__
// GCC 12 with sanitizers takes std::regex's own states for uninitialised (GCC bug 105562).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#endif

#include <algorithm>
#include <regex>

#include "processing/roles/series_roles.h"

namespace choana::processing {
namespace {
constexpr std::size_t pattern_bytes_max = 512;
constexpr std::size_t text_bytes_max = 256;
}  // namespace

struct DescriptionPattern::Compiled {
  std::regex expression;
};

Result<DescriptionPattern> DescriptionPattern::make(std::string pattern) {
  constexpr const char* step = "read_series_rules";
  if (pattern.empty() || pattern.size() > pattern_bytes_max)
    return fail(ErrorCode::invalid_settings, step, "A description pattern must have 1 to " + std::to_string(pattern_bytes_max) + " bytes.");
  auto flags = std::regex::ECMAScript | std::regex::icase | std::regex::optimize;
#ifdef __GLIBCXX__
  // libstdc++'s default engine backtracks: exponential time and deep recursion. This flag chooses its automaton, which
  // is linear in the text and refuses back-references.
  flags |= std::regex_constants::__polynomial;
#endif
  try {
    auto compiled = std::make_shared<Compiled>();
    compiled->expression.imbue(std::locale::classic());
    compiled->expression.assign(pattern, flags);
    DescriptionPattern made;
    made.text_ = std::move(pattern);
    made.compiled_ = std::move(compiled);
    return made;
  } catch (const std::regex_error& error) {
    return fail(ErrorCode::invalid_settings, step, "\"" + pattern + "\" is not a regular expression: " + error.what() + ".");
  }
}

bool DescriptionPattern::matches(const std::string& text) const {
  if (compiled_ == nullptr) return false;
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(text.size(), text_bytes_max));
  try {
    return std::regex_search(text.begin(), end, compiled_->expression);
  } catch (const std::regex_error&) {
    return false;  // the engine gave up on this text
  }
}

}  // namespace choana::processing
