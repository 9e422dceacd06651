#pragma once

// Private to this folder: the one door to the JSON library.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/result.h"

namespace choana::processing {

/// Parse JSON that may come from a stranger: no repeated keys, at most `depth_max` levels, no number beyond double.
/// name: of the file, for messages. Errors: invalid_package.
[[nodiscard]] Result<nlohmann::json> parse_json_strictly(std::string_view text, const std::string& name,
                                                         int depth_max = 16);

}  // namespace choana::processing
