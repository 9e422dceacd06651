#include "core/near_match.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace choana {
namespace {

// Optimal string alignment distance, case-insensitive: a swap of neighbours costs one.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i)
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + cost});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

}  // namespace

std::vector<std::string> near_matches(std::string_view text, const std::vector<std::string>& candidates, std::size_t most) {
  if (text.size() > 256) return {};
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const std::string& candidate : candidates) {
    const std::size_t d = distance(text, candidate);
    const bool prefix = text.size() >= 3 && candidate.starts_with(text);
    if (d <= std::max<std::size_t>(1, std::max(text.size(), candidate.size()) / 3) || prefix) ranked.emplace_back(d, candidate);
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::string> names;
  for (const auto& [d, name] : ranked)
    if (names.size() < most && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  return names;
}

std::string did_you_mean(std::string_view text, const std::vector<std::string>& candidates) {
  const auto names = near_matches(text, candidates);
  if (names.empty()) return {};
  std::string sentence = " Did you mean ";
  for (std::size_t n = 0; n < names.size(); ++n) sentence += (n == 0 ? "" : n + 1 == names.size() ? " or " : ", ") + names[n];
  return sentence + "?";
}

}  // namespace choana
