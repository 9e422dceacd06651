#pragma once

#include <string_view>

#include "core/result.h"
#include "processing/roles/series_roles.h"

namespace choana::node {

/// Parse conf/series-rules.toml (format "choana-series-rules/1"; the file explains itself). file_name: for messages.
/// Errors: invalid_settings with the line, for TOML that does not parse, an unknown key (with near matches), a value of the
/// wrong kind, a bad regular expression, an unknown role, a rule without a name or twice the same name, too many rules.
[[nodiscard]] Result<processing::SeriesRules> read_series_rules(std::string_view toml_text, std::string_view file_name);

}  // namespace choana::node
