#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace choana {

/// The candidates nearest to `text` by edit distance (at most a third of its length, at most `most` of them, nearest
/// first): what an error about an unknown name offers.
[[nodiscard]] std::vector<std::string> near_matches(std::string_view text, const std::vector<std::string>& candidates, std::size_t most = 3);

/// " Did you mean a or b?" or an empty string.
[[nodiscard]] std::string did_you_mean(std::string_view text, const std::vector<std::string>& candidates);

}  // namespace choana
