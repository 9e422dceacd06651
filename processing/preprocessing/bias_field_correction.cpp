#include "processing/preprocessing/bias_field_correction.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>

namespace choana::processing {
namespace {

tl::unexpected<Error> refuse(ErrorCode code, std::string message) { return fail(code, "bias_field", std::move(message)); }

Status check(const BiasFieldSettings& settings) {
  const N4Parameters& n4 = settings.n4;
  const bool levels_fine = !n4.iterations.empty() && n4.iterations.size() <= 10 &&
                           std::all_of(n4.iterations.begin(), n4.iterations.end(), [](int n) { return n >= 1 && n <= 10000; });
  if (!levels_fine) return refuse(ErrorCode::invalid_argument, "N4 needs 1 to 10 levels of 1 to 10000 iterations.");
  for (std::size_t axis = 0; axis < 3; ++axis)
    if (n4.shrink[axis] < 1 || n4.shrink[axis] > 64 || n4.control_points[axis] < 4 || n4.control_points[axis] > 64)
      return refuse(ErrorCode::invalid_argument, "N4 shrink factors are 1 to 64, control points 4 to 64 an axis.");
  if (n4.histogram_bins < 2 || n4.histogram_bins > 100000 || !(n4.full_width_at_half_maximum > 0) || !(n4.wiener_noise > 0) || !(n4.convergence_threshold >= 0))
    return refuse(ErrorCode::invalid_argument, "N4 histogram bins are 2 to 100000; width, noise and threshold are positive.");
  if (settings.otsu_bins < 2 || settings.otsu_bins > 100000) return refuse(ErrorCode::invalid_argument, "Otsu's histogram has 2 to 100000 bins.");
  return {};
}

std::string number_text(double value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

template <typename T>
std::string list_text(const T& values) {
  std::string text = "[";
  for (const int value : values) text += (text.size() > 1 ? "," : "") + std::to_string(value);
  return text + "]";
}

}  // namespace

Result<BiasFieldCorrection> correct_bias_field(const SeriesVolume& series, const BiasFieldSettings& settings, int threads,
                                               const std::vector<std::uint8_t>& given_mask) {
  if (auto status = check(settings); !status) return fail(status.error());
  if (series.empty()) return refuse(ErrorCode::invalid_argument, "There is no image to correct.");
  const VolumeGeometry& geometry = series.geometry();
  const std::vector<float>& voxels = series.voxels();
  if (!given_mask.empty() && given_mask.size() != voxels.size()) return refuse(ErrorCode::invalid_argument, "Image and mask differ in size.");
  BiasFieldSettings used = settings;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (geometry.size()[axis] < 2) return refuse(ErrorCode::degenerate_input, "The image is a single slice: a bias field needs two voxels on every axis.");
    // Thin stacks are shrunk less, so that two voxels remain.
    used.n4.shrink[axis] = std::max(1, std::min(settings.n4.shrink[axis], geometry.size()[axis] / 2));
  }
  if (!std::all_of(voxels.begin(), voxels.end(), [](float v) { return std::isfinite(v); }))
    return refuse(ErrorCode::degenerate_input, "The image holds a value that is not a number.");

  std::vector<std::uint8_t> mask = given_mask;
  if (mask.empty()) {
    switch (settings.mask) {
      case BiasFieldMask::otsu: {
        auto otsu = otsu_mask(geometry, voxels, settings.otsu_bins);
        if (!otsu) return fail(otsu.error());
        mask = std::move(*otsu);
        break;
      }
      case BiasFieldMask::positive:
        mask.resize(voxels.size());
        std::transform(voxels.begin(), voxels.end(), mask.begin(), [](float v) { return v > 0 ? std::uint8_t{1} : std::uint8_t{0}; });
        break;
      case BiasFieldMask::every_voxel: mask.assign(voxels.size(), 1); break;
    }
  }
  BiasFieldCorrection correction;
  // Included: in the mask, with a logarithm. The histogram needs two different values.
  float low = std::numeric_limits<float>::max();
  float high = 0;
  std::size_t positive = 0;
  for (std::size_t at = 0; at < voxels.size(); ++at) {
    if (mask[at] == 0) continue;
    ++correction.mask_voxels;
    if (!(voxels[at] > 0)) continue;
    ++positive;
    low = std::min(low, voxels[at]);
    high = std::max(high, voxels[at]);
  }
  if (positive < 2 || !(high > low))
    return refuse(ErrorCode::degenerate_input, "The mask of the bias field correction holds no image: fewer than two positive voxels, or all of one value.");
  auto run = run_itk_n4(geometry, voxels, mask, used.n4, threads);
  if (!run) return fail(run.error());
  std::vector<float> corrected;
  corrected.reserve(voxels.size());
  for (std::size_t at = 0; at < voxels.size(); ++at) {
    const float value = voxels[at] / std::exp(run->log_field[at]);
    if (!std::isfinite(value)) return refuse(ErrorCode::degenerate_input, "The bias field does not converge on this image.");
    corrected.push_back(value);
  }
  auto result = series.with_voxels(std::move(corrected), PixelType::float32);
  if (!result) return fail(result.error());
  correction.series = std::move(*result);
  correction.log_field = std::move(run->log_field);
  correction.levels = std::move(run->levels);
  return correction;
}

std::string canonical_json(const BiasFieldSettings& settings) {
  const N4Parameters& n4 = settings.n4;
  const char* mask = settings.mask == BiasFieldMask::otsu ? "otsu" : settings.mask == BiasFieldMask::positive ? "positive" : "every_voxel";
  return "{\"bins\":" + std::to_string(n4.histogram_bins) + ",\"control_points\":" + list_text(n4.control_points) + ",\"engine\":\"itk\",\"fwhm\":" +
         number_text(n4.full_width_at_half_maximum) + ",\"iterations\":" + list_text(n4.iterations) + ",\"mask\":\"" + mask + "\",\"noise\":" +
         number_text(n4.wiener_noise) + ",\"otsu_bins\":" + std::to_string(settings.otsu_bins) + ",\"shrink\":" + list_text(n4.shrink) + ",\"threshold\":" +
         number_text(n4.convergence_threshold) + "}";
}

}  // namespace choana::processing
