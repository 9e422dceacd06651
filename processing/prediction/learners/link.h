#pragma once

#include <string_view>
#include <vector>

namespace choana::processing {

/// How margins become values. identity: value = margin; logistic: a probability of each margin (one margin: of class 1;
/// several: one against all, they need not add up to 1); softmax: one margin a class, one probability a class;
/// exponential: exp(margin), a hazard ratio or an expected count; step: 1 where the margin is above 0 (hinge);
/// softplus: log(1 + exp(margin)) (LightGBM cross_entropy_lambda); square: sign(m) m^2 (LightGBM regression with sqrt);
/// own: the learner has a map of its own to probabilities (nearest neighbours, Gaussian process).
enum class Link { identity, logistic, softmax, exponential, step, softplus, square, own };

[[nodiscard]] std::string_view to_string(Link link);

/// Whether the values are probabilities.
[[nodiscard]] bool is_probability(Link link);

/// What a library does around its link. The argument of the link is slope * (margin / divisor); in_float: the link is
/// computed in single precision, as XGBoost does.
struct LinkDetail {
  double divisor = 1;
  double slope = 1;
  bool in_float = false;
};

/// Values of margins. logistic: 1 / (1 + exp(-m)); softmax: the largest margin is taken off first. Same length.
[[nodiscard]] std::vector<double> apply_link(Link link, const std::vector<double>& margins, const LinkDetail& detail = {});

}  // namespace choana::processing
