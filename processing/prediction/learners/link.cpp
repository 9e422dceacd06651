#include "processing/prediction/learners/link.h"

#include <algorithm>
#include <cmath>

namespace choana::processing {

std::string_view to_string(Link link) {
  switch (link) {
    case Link::identity: return "identity";
    case Link::logistic: return "logistic";
    case Link::softmax: return "softmax";
  }
  return "identity";
}

std::vector<double> apply_link(Link link, const std::vector<double>& margins) {
  std::vector<double> values = margins;
  if (link == Link::logistic) {
    for (double& value : values) value = 1.0 / (1.0 + std::exp(-value));
  } else if (link == Link::softmax && !values.empty()) {
    const double largest = *std::max_element(values.begin(), values.end());
    double sum = 0;
    for (double& value : values) sum += value = std::exp(value - largest);
    for (double& value : values) value /= sum;
  }
  return values;
}

}  // namespace choana::processing
