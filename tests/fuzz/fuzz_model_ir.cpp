// A learner that is read must score every row with finite numbers or a reason, and explain what it scores.
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "processing/prediction/readers/ir_reader.h"
#include "processing/prediction/shapley/tree_shapley.h"
#include "tests/fuzz/seeds.h"

using namespace choana::processing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto learner = read_ir({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!learner) return 0;
  for (const double x : {0.0, 0.1, -1e30, std::numeric_limits<double>::quiet_NaN()}) {
    const std::vector<double> row(learner->features.size(), x);
    const auto scored = score(*learner, row);
    if (!scored) continue;
    for (const double margin : scored->margins)
      if (!std::isfinite(margin)) std::abort();
    const auto* trees = std::get_if<TreeEnsemble>(&learner->model);
    if (trees == nullptr || !trees->has_cover) continue;
    (void)explain_trees(*trees, learner->scaler ? learner->scaler->apply(row) : row);
  }
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  constexpr std::string_view trees =
      R"({"ir":1,"kind":"tree_ensemble","features":["a","b"],"compare":"le_f64","sum":"f64","scale":0.5,"base":[0.5],"link":"logistic",)"
      R"("trees":[{"group":0,"feature":[0,-1,1,-1,-1],"threshold":[0,0,1.5,0,0],"left":[1,-1,3,-1,-1],"right":[2,-1,4,-1,-1],)"
      R"("missing_left":[1,0,0,0,0],"value":[0,-1,0,1,2],"cover":[10,4,6,5,1]}]})";
  constexpr std::string_view linear =
      R"({"ir":1,"kind":"linear","features":["a"],"scaler":{"kind":"standard","mean":[1],"scale":[2]},"coef":[[1.5],[-2]],"intercept":[0.25,1],"link":"softmax"})";
  return {{trees.begin(), trees.end()}, {linear.begin(), linear.end()}};
}
