// features.csv, selftest.csv and background.csv of a stranger's package, and the tables given to `choana model import`: admitted or refused with a reason.
// Input: the three tables with zero bytes between them.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "processing/prediction/model_import.h"
#include "processing/prediction/model_package.h"
#include "processing/prediction/package_files.h"
#include "tests/fuzz/seeds.h"

using namespace choana;
using namespace choana::processing;

namespace {
constexpr std::string_view model = R"({"ir":1,"kind":"linear","features":["a","b"],"coef":[1,-2],"intercept":[0.5],"link":"logistic"})";
constexpr std::string_view manifest =
    "format: choana-model/1\nid: fuzz\nversion: 1.0.0\ntitle: t\nstatus: research\nintended_use: s\ninputs: {}\nfeatures: features.csv\n"
    "stages:\n  - {id: z, type: standard, params: {from: features.csv}, in: table}\n  - {id: model, type: linear, file: model.json, in: z}\n"
    "outputs:\n  - {from: model, name: prediction, endpoint: PREDICTION, primary: true}\nbackground: background.csv\nmissing: {table: pass}\n"
    "uncertainty: {quantile_guard: [0.01, 0.99]}\nselftest: {file: selftest.csv, tolerance: {stages: 1.0e-9}}\nintegrity: {sums: SHA256SUMS}\n";
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  std::string parts[3];
  std::size_t at = 0;
  for (std::string& part : parts) {
    const std::size_t end = std::min(text.find('\0', at), size);
    part = std::string(text.substr(at, end - at));
    at = std::min(end + 1, size);
  }
  PackageFiles files;
  files.content = {{"manifest.yaml", std::string(manifest)}, {"model.json", std::string(model)}, {"features.csv", parts[0]}, {"selftest.csv", parts[1]}, {"background.csv", parts[2]}};
  seal(files);
  if (const auto package = ModelPackage::admit(files)) {
    const auto scored = package->score({{"a", 0.5}, {"b", -1}}, true);
    if (!scored && scored.error().message.empty()) std::abort();
    (void)package->predict({{"a", 1e9}});
  } else if (package.error().message.empty()) {
    std::abort();
  }
  ImportRequest request;
  request.format = "ir";
  request.model = std::string(model);
  request.features_csv = parts[0];
  request.selftest_csv = parts[1];
  request.background_csv = parts[2];
  if (const auto imported = import_model(request)) {
    if (const auto again = ModelPackage::admit(*imported); !again && again.error().message.empty()) std::abort();
  } else if (imported.error().message.empty()) {
    std::abort();
  }
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  // Mean 0 and deviation 1: the scaled inputs are the inputs. p = 1 / (1 + exp(-(0.5 + a - 2 b))) at a = b = 0 and a = 0.5, b = 0.5.
  std::string package = "order,id,role,roi,kind,feature,unit,train_mean,train_sd,q01,q99\n1,a,,,table,a,1,0,1,-1,1\n2,b,,,table,b,1,0,1,-1,1\n";
  package += '\0';
  package += "case,a,b,z.a,z.b,model,model.margin\n";
  for (int n = 0; n < 10; ++n) package += "\"r\",0,0,0,0,0.62245933120185459,0.5\nr,0.5,0.5,0.5,0.5,0.5,0\n";
  package += "m,,1,,,,\n";
  package += '\0';
  package += "b,a\n0.25,-1\n1e-3, 2 \n";
  std::string rows = "feature,unit,train_mean\na,mm,1\nb,1,\n";
  rows += '\0';
  rows += "b,a,expected\n";
  for (int n = 0; n < 20; ++n) rows += "0,0,0.62245933120185459\n";
  rows += "NA,1,\n";
  rows += '\0';
  rows += "a,b\n0,1\n";
  return {{package.begin(), package.end()}, {rows.begin(), rows.end()}};
}
