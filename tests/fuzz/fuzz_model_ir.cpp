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
  constexpr std::string_view svm =
      R"({"ir":1,"kind":"svm","features":["a"],"kernel":"rbf","gamma":0.5,"sv":[[1],[-1]],"dual_coef":[1,-1],"intercept":[0.1],"probability":"libsvm_coupling","A":-1,"B":0})";
  constexpr std::string_view bayes = R"({"ir":1,"kind":"gaussian_nb","features":["a"],"prior":[0.4,0.6],"mean":[[0],[1]],"var":[[1],[2]]})";
  constexpr std::string_view network =
      R"({"ir":1,"kind":"mlp","features":["a"],"coefs":[[[1,2]],[[1],[-1]]],"intercepts":[[0,0.5],[0]],"activation":"relu","output":"logistic"})";
  constexpr std::string_view calibrated =
      R"({"ir":1,"kind":"calibrated","features":["a"],"members":[{"base":{"kind":"linear","coef":[1],"intercept":[0],"link":"identity"},)"
      R"("calibrator":{"kind":"isotonic","x":[0,1],"y":[0.1,0.9]}},{"base":{"kind":"linear","coef":[1],"intercept":[0],"link":"identity"},"calibrator":{"kind":"sigmoid","a":-1,"b":0}}]})";
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const std::string_view seed : {trees, linear, svm, bayes, network, calibrated}) seeds.emplace_back(seed.begin(), seed.end());
  return seeds;
}
