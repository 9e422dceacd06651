// Manifest, feature table, distance and name patterns of a stranger's package: read or refused, in bounded time.
#include <cstdlib>
#include <string_view>

#include "processing/prediction/applicability.h"
#include "processing/prediction/readers/manifest_reader.h"
#include "processing/prediction/readers/table.h"
#include "tests/fuzz/seeds.h"

using namespace choana::processing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  if (const auto manifest = read_manifest(text)) {
    if (manifest->id.empty() || manifest->outputs.empty() || manifest->stages.empty()) std::abort();
    for (const RequiredRoi& roi : manifest->rois) (void)roi.rank_of("GTVp_final_2");
  }
  if (const auto features = read_package_features(text))
    for (std::size_t n = 0; n < features->size(); ++n)
      if ((*features)[n].order != static_cast<int>(n) + 1) std::abort();
  if (const auto distance = TrainingDistance::read(text, "distance.json")) {
    if (distance->precision.size() != distance->features.size() * distance->features.size() || !(distance->limit > 0)) std::abort();
    if (distance->squared(distance->mean) != 0) std::abort();
  }
  if (check_roi_name_pattern(text)) (void)matches_roi_name(text, "GTVp");
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  constexpr std::string_view manifest =
      "format: choana-model/1\nid: a\nversion: 1.0.0\ntitle: t\nstatus: research\nintended_use: {statement: s, not_for: [x]}\n"
      "inputs:\n  sequences: {T2: {required: true, accepts: [T2, T2-FS], acquisition: {echo_time_ms: [60, 130], manufacturer: [GE]}}}\n  rois: {primary: {of: [T2], volume_ml: [1, 2], names: [GTVp, \"GTV.*\", \"[a-z]+\"]}}\n"
      "  clinical: {age: {type: integer, min: 0, max: 120}}\npreprocessing:\n  - {step: n4, shrink: 4}\nextraction: {T2: e.yaml}\nfeatures: features.csv\n"
      "stages:\n  - {id: z, type: standard, params: {from: features.csv}, in: features}\n  - {id: m, type: linear, file: m.json, in: z}\n"
      "outputs:\n  - {from: m, name: n}\nthresholds:\n  - {on: m, value: 0.5, label: yes, otherwise: no, risk: high}\n"
      "missing: {radiomic: refuse, clinical: {age: pass}}\nuncertainty: {quantile_guard: [0.01, 0.99], max_flagged: 1, distance: {file: d.json, beyond: withhold}}\nrobustness: {count: 20, boundary_mm: 0.5}\nselftest: {file: s.csv}\n";
  constexpr std::string_view features =
      "order,id,role,roi,kind,feature,unit,train_mean,train_sd,q01,q99\n2,\"b\",T2,primary,radiomic,original_shape_Sphericity,1,0.5,0.1,0.2,0.9\n1,clinical.age,,,clinical,,a,,,,\n";
  constexpr std::string_view distance = R"({"format":"choana-distance/1","of":"z","features":["a","b"],"mean":[1,-1],"precision":[[2,1],[1,3]],"limit":16.8,"quantile":0.99})";
  constexpr std::string_view pattern = "GTV[-_ ]?p.*|tumou?r";
  return {{manifest.begin(), manifest.end()}, {features.begin(), features.end()}, {distance.begin(), distance.end()}, {pattern.begin(), pattern.end()}};
}
