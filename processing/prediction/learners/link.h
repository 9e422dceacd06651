#pragma once

#include <string_view>
#include <vector>

namespace choana::processing {

/// How a margin becomes a value: identity (value = margin), logistic (one margin, a probability), softmax (one margin a
/// class, one probability a class).
enum class Link { identity, logistic, softmax };

[[nodiscard]] std::string_view to_string(Link link);

/// Values of margins. logistic: 1 / (1 + exp(-m)); softmax: the largest margin is taken off first. Same length.
[[nodiscard]] std::vector<double> apply_link(Link link, const std::vector<double>& margins);

}  // namespace choana::processing
