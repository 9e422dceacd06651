#include "processing/radiomics/ibsi/phantom_selftest.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "processing/radiomics/feature_extractor.h"
#include "processing/radiomics/ibsi/digital_phantom.h"
#include "processing/radiomics/ibsi/ibsi_extractor.h"

namespace choana::processing::ibsi {
namespace {

/// What the manual leaves to each user, set as the manual set it for the phantom.
IbsiProfile phantom_profile() {
  IbsiProfile profile;
  profile.name = "ibsi-phantom";
  profile.families = ibsi_family_names();
  profile.aggregations = aggregation_names();
  return profile;
}

/// PyRadiomics mode of the features that both have; grey levels of the phantom are its intensities.
ExtractionProfile pyradiomics_profile(WeightingNorm directions) {
  ExtractionProfile profile = default_profile();
  profile.settings.bin_width = 1;
  profile.settings.weighting_norm = directions;
  profile.image_types = {ImageTypeRequest{"Original", profile.settings, "{}"}};
  std::map<std::string, std::vector<std::string>> names;
  for (const PhantomReference& reference : phantom_references()) {
    const std::string text(reference.pyradiomics);
    const auto underscore = text.find('_');
    if (underscore == std::string::npos) continue;
    auto& list = names[text.substr(0, underscore)];
    if (std::find(list.begin(), list.end(), text.substr(underscore + 1)) == list.end()) list.push_back(text.substr(underscore + 1));
  }
  profile.families.clear();
  for (auto& [family, list] : names) profile.families.push_back({family, list});
  return profile;
}

/// How PyRadiomics' definition of a feature differs (shared notes, section 4), and what that makes of the reference value.
struct Difference {
  std::string_view text;
  double expected;
};

Difference difference_of(std::string_view feature, double reference, double voxels) {
  if (feature == "firstorder_Kurtosis") return {"PyRadiomics does not subtract 3", reference + 3};
  if (feature == "shape_MajorAxisLength" || feature == "shape_MinorAxisLength" || feature == "shape_LeastAxisLength")
    return {"PyRadiomics divides the covariance by N, the manual's values by N - 1", reference * std::sqrt((voxels - 1) / voxels)};
  return {"", reference};
}

}  // namespace

Result<PhantomSelftest> run_phantom_selftest(TaskPool* pool) {
  const ScalarVolume image = phantom_image();
  const MaskVolume mask = phantom_mask();
  const auto ibsi = extract_ibsi_features(image, mask, 1, phantom_profile(), pool);
  if (!ibsi) return fail(ibsi.error());
  const auto averaged = extract_features(image, mask, 1, pyradiomics_profile(WeightingNorm::none), pool);
  if (!averaged) return fail(averaged.error());
  const auto merged = extract_features(image, mask, 1, pyradiomics_profile(WeightingNorm::no_weighting), pool);
  if (!merged) return fail(merged.error());

  std::map<std::string, const IbsiFeatureValue*> values;
  for (const IbsiFeatureValue& feature : ibsi->features) values[feature.name()] = &feature;
  PhantomSelftest selftest;
  for (const PhantomReference& reference : phantom_references()) {
    PhantomCheck check{std::string(reference.tag), std::string(reference.code), std::string(reference.aggregation), no_value,
                       PhantomReference::number(reference.value), reference.allowed_deviation(), false};
    const auto found = values.find("original_" + check.feature + (check.aggregation.empty() ? "" : "_" + check.aggregation));
    if (found != values.end() && found->second->computed()) check.value = found->second->number();
    check.passed = std::abs(check.value - check.reference) <= check.tolerance && found->second->code == check.code;
    if (!reference.pyradiomics.empty() && (check.aggregation.empty() || check.aggregation.starts_with("3D"))) {
      const Difference difference = difference_of(reference.pyradiomics, check.reference, static_cast<double>(ibsi->voxels_intensity));
      ModeCheck mode{check.feature, check.code, std::string(reference.pyradiomics), check.aggregation, check.value, no_value, difference.expected, check.tolerance, std::string(difference.text), false};
      if (const auto id = FeatureId::parse("original_" + mode.pyradiomics)) mode.value = (check.aggregation == "3D_merged" ? merged : averaged)->features.number(*id).value_or(no_value);
      mode.passed = std::abs(mode.value - mode.expected) <= mode.tolerance;
      selftest.modes.push_back(std::move(mode));
    }
    selftest.checks.push_back(std::move(check));
  }
  return selftest;
}

}  // namespace choana::processing::ibsi
