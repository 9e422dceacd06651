// Models of other libraries (XGBoost in JSON and UBJ, LightGBM, CatBoost): what is read scores every row with finite numbers or a reason, the same
// with and without its prepared form; what is refused says why. All readers see every input.
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

#include "processing/prediction/readers/catboost_reader.h"
#include "processing/prediction/readers/lightgbm_reader.h"
#include "processing/prediction/readers/xgboost_reader.h"
#include "processing/prediction/shapley/tree_shapley.h"
#include "tests/fuzz/seeds.h"

using namespace choana;
using namespace choana::processing;

namespace {

void use(const Result<Learner>& learner) {
  if (!learner) {
    if (learner.error().message.empty()) std::abort();
    return;
  }
  for (const double x : {0.0, 0.1, 3.0, 1e-36, -1e30, std::numeric_limits<double>::quiet_NaN()}) {
    const std::vector<double> row(learner->features.size(), x);
    const auto scored = score(*learner, row);
    if (scored)
      for (std::size_t g = 0; g < scored->margins.size(); ++g)
        if (!std::isfinite(scored->margins[g]) || !std::isfinite(scored->values[g])) std::abort();
    const auto* trees = std::get_if<TreeEnsemble>(&learner->model);
    if (trees == nullptr) continue;
    TreeEnsemble plain = *trees;
    plain.prepared.reset();
    const auto prepared = tree_margins(*trees, row), walked = tree_margins(plain, row);
    if (prepared.has_value() != walked.has_value()) std::abort();
    for (std::size_t g = 0; walked && g < walked->size(); ++g)
      if (!((*prepared)[g] == (*walked)[g] || (std::isnan((*prepared)[g]) && std::isnan((*walked)[g])))) std::abort();
    if (trees->has_cover) (void)explain_trees(*trees, row);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  use(read_xgboost(bytes, "fuzz"));
  (void)xgboost_best_rounds(bytes);
  use(read_lightgbm(bytes, "fuzz"));
  use(read_catboost(bytes, "fuzz"));
  return 0;
}

// Small models of the libraries themselves (tests/interop/foreign_figures.py).
std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  const auto figures = nlohmann::json::parse(std::ifstream(std::string(CHOANA_SOURCE_DIR) + "/tests/unit/processing/prediction/foreign_figures.json"));
  std::vector<std::vector<std::uint8_t>> seeds;
  // One of each form: every cut and mutation of them is tried.
  for (const auto& figure : figures["models"]) {
    const std::string name = figure["name"];
    if (name.find("ubj") == std::string::npos && name.find("gblinear") == std::string::npos && name.find("dart") == std::string::npos && name.find("categorical") == std::string::npos &&
        name.find("zero") == std::string::npos && name.find("logloss") == std::string::npos && name.find("lossguide") == std::string::npos)
      continue;
    std::vector<std::uint8_t> bytes;
    if (figure.contains("hex")) {
      const std::string hex = figure["hex"];
      for (std::size_t n = 0; n + 1 < hex.size(); n += 2) bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(n, 2), nullptr, 16)));
    } else {
      const std::string text = figure["text"];
      bytes.assign(text.begin(), text.end());
    }
    seeds.push_back(std::move(bytes));
  }
  return seeds;
}
