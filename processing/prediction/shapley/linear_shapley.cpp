#include "processing/prediction/shapley/linear_shapley.h"

namespace choana::processing {

std::vector<Attribution> explain_linear(const LinearModel& model, const std::vector<double>& row,
                                        const std::vector<double>& mean) {
  const std::vector<double> bases = linear_margins(model, mean);
  std::vector<Attribution> attributions(bases.size());
  for (std::size_t c = 0; c < bases.size(); ++c) {
    attributions[c].base = bases[c];
    attributions[c].shares.resize(row.size());
    for (std::size_t i = 0; i < row.size(); ++i)
      attributions[c].shares[i] = model.coefficients[c][i] * (row[i] - mean[i]);
  }
  return attributions;
}

}  // namespace choana::processing
