#pragma once

#include <string_view>

#include "core/result.h"

namespace choana::processing {

/// Whether a pattern for names of regions is one we run: 1 to 64 characters of a small regular language, matched against
/// the whole name without regard to ASCII case. `.` any character; `[abc]`, `[a-z]`, `[^...]` a class; `*`, `+`, `?`
/// after one of these; `|` between alternatives; `\` before a character that is meant literally. No groups, so matching
/// takes time proportional to pattern times name, whatever a package holds.
/// Errors: invalid_package.
[[nodiscard]] Status check_roi_name_pattern(std::string_view pattern);

/// Whether a name (surrounding blanks do not count, at most 256 bytes) matches a pattern that passed the check.
[[nodiscard]] bool matches_roi_name(std::string_view pattern, std::string_view name);

}  // namespace choana::processing
