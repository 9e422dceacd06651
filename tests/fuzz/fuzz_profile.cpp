// Parameter files of strangers (YAML or JSON) and settings of the command line: read or refused, in bounded time; what is read prints and compares.
#include <cstdlib>
#include <string>
#include <string_view>

#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/ibsi/ibsi_profile.h"
#include "tests/fuzz/seeds.h"

using namespace choana;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto profile = processing::parse_profile(text, "fuzz");
  if (!profile) {
    if (profile.error().message.empty() || profile.error().code != ErrorCode::invalid_profile) std::abort();
  } else {
    if (profile->image_types.empty() || profile->families.empty()) std::abort();
    const auto again = processing::parse_profile(text, "fuzz");
    if (!again || processing::canonical_json(*again) != processing::canonical_json(*profile)) std::abort();
    (void)processing::settings_literal(*profile, 1);
    (void)processing::image_types_literal(*profile);
  }
  (void)processing::ibsi::is_ibsi_profile(text);
  if (const auto ibsi = processing::ibsi::parse_ibsi_profile(text, "fuzz")) {
    const auto again = processing::ibsi::parse_ibsi_profile(text, "fuzz");
    if (ibsi->families.empty() || !again || processing::ibsi::canonical_json(*again) != processing::ibsi::canonical_json(*ibsi)) std::abort();
  } else if (ibsi.error().message.empty() || ibsi.error().code != ErrorCode::invalid_profile) {
    std::abort();
  }
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    auto changed = processing::default_profile();
    if (auto status = processing::override_setting(changed, text.substr(0, colon), text.substr(colon + 1)); !status && status.error().message.empty()) std::abort();
    (void)processing::canonical_json(changed);
  }
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  constexpr std::string_view texts[] = {
      "imageType: {Original: {}, LoG: {sigma: [1.0, 3, 5.5], binWidth: 5}, Wavelet: {wavelet: coif1, level: 2, start_level: 0}, LBP3D: {}}\n"
      "featureClass: {shape: , firstorder: [Mean, 10Percentile], glcm: , glrlm: [], ngtdm: }\n"
      "setting: {binWidth: 25, resampledPixelSpacing: [1, 1, 0], interpolator: sitkBSpline, resegmentRange: [-3, 3], resegmentMode: sigma, label: 2}\n"
      "voxelSetting: {kernelRadius: 1, maskedKernel: true, initValue: nan}\n",
      "{\"setting\": {\"binCount\": 16, \"distances\": [1, 2], \"weightingNorm\": \"no_weighting\", \"interpolator\": null}, \"imageType\": {\"Original\": {}}}",
      "setting:\n  normalize: true\n  removeOutliers: 3\n  force2D: true\n  force2Ddimension: 2\n  geometryTolerance: null\nfeatureClass:\n  shape2D:\n",
      "mode: ibsi\ndimensions: 2D\ninterpolation: {spacing_mm: [1, 1, 0], image: cubic_spline, mask: linear, mask_threshold: 0.5, rounding: none}\n"
      "resegmentation: {range: [0, 400], outlier_sigmas: 3}\ndiscretisation: {method: fixed_bin_size, bin_width: 25}\n"
      "volume_histogram: {method: fixed_bin_number, bin_count: 1000}\naggregations: [2D_avg, 2.5D]\n"
      "filter:\n  - {type: log, sigma_mm: 3}\n  - {type: wavelet, wavelet: db3, subband: LLH, rotation_invariant: true}\n",
      "a: &a [x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n", "resampledPixelSpacing:1,1,1", "binWidth:0.5"};
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const std::string_view text : texts) seeds.emplace_back(text.begin(), text.end());
  return seeds;
}
