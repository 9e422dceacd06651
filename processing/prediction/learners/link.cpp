#include "processing/prediction/learners/link.h"

#include <algorithm>
#include <cmath>

namespace choana::processing {
namespace {

template <typename Real>
Real value_of(Link link, Real m) {
  switch (link) {
    case Link::logistic: {
      // XGBoost keeps its exponential from overflowing a float; in double nothing is cut.
      if constexpr (sizeof(Real) == sizeof(float)) return 1.0F / (std::exp(std::min(-m, 88.7F)) + 1.0F);
      return Real(1) / (Real(1) + std::exp(-m));
    }
    case Link::exponential: return std::exp(m);
    case Link::step: return m > 0 ? Real(1) : Real(0);
    case Link::softplus: return std::log1p(std::exp(m));
    case Link::square: return std::copysign(m * m, m);
    case Link::identity:
    case Link::softmax:
    case Link::own: break;
  }
  return m;
}

template <typename Real>
void apply(Link link, std::vector<double>& values) {
  if (link != Link::softmax) {
    for (double& value : values) value = static_cast<double>(value_of(link, static_cast<Real>(value)));
    return;
  }
  if (values.empty()) return;
  const Real largest = static_cast<Real>(*std::max_element(values.begin(), values.end()));
  double sum = 0;  // in double also where the rest is float: XGBoost does so
  for (double& value : values) sum += value = static_cast<double>(std::exp(static_cast<Real>(value) - largest));
  for (double& value : values) value = static_cast<double>(static_cast<Real>(value) / static_cast<Real>(sum));
}

}  // namespace

std::string_view to_string(Link link) {
  static constexpr std::string_view names[]{"identity", "logistic", "softmax", "exponential", "step", "softplus", "square", "own"};
  return names[static_cast<std::size_t>(link)];
}

bool is_probability(Link link) { return link == Link::logistic || link == Link::softmax || link == Link::own; }

std::vector<double> apply_link(Link link, const std::vector<double>& margins, const LinkDetail& detail) {
  std::vector<double> values = margins;
  if (detail.divisor != 1)
    for (double& value : values) value /= detail.divisor;
  if (detail.slope != 1)
    for (double& value : values) value *= detail.slope;
  if (detail.in_float)
    apply<float>(link, values);
  else
    apply<double>(link, values);
  return values;
}

}  // namespace choana::processing
