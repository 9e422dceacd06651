#include "processing/preprocessing/bias_field_correction.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <new>
#include <utility>

#include "processing/preprocessing/n4/bias_field_estimator.h"
#include "processing/preprocessing/otsu_threshold.h"

namespace choana::processing {
namespace {

tl::unexpected<Error> refuse(ErrorCode code, std::string message) { return fail(code, "bias_field", std::move(message)); }

Status check(const BiasFieldSettings& settings) {
  if (auto status = check_n4_parameters(settings.n4); !status) return fail(ErrorCode::invalid_argument, "bias_field", status.error().message);
  if (settings.otsu_bins < 2 || settings.otsu_bins > 100000) return refuse(ErrorCode::invalid_argument, "Otsu's histogram has 2 to 100000 bins.");
  if (settings.engine == BiasFieldEngine::itk && settings.field == BiasFieldPlacement::aligned)
    return refuse(ErrorCode::invalid_argument, "The engine itk has the stretched field only; the aligned one needs the engine choana.");
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

namespace {

/// Every shrink-th voxel beginning with `offset`, and how many there are.
struct Sampling {
  Index3 size{};
  Index3 offset{};
  std::array<int, 3> shrink{};

  template <typename T>
  [[nodiscard]] std::vector<T> take(const VolumeGeometry& geometry, const std::vector<T>& values) const {
    std::vector<T> taken;
    if (values.empty()) return taken;
    taken.reserve(static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1]) * static_cast<std::size_t>(size[2]));
    for (int k = 0; k < size[2]; ++k)
      for (int j = 0; j < size[1]; ++j) {
        const T* row = values.data() + geometry.offset(offset[0], offset[1] + j * shrink[1], offset[2] + k * shrink[2]);
        for (int i = 0; i < size[0]; ++i) taken.push_back(row[static_cast<std::ptrdiff_t>(i) * shrink[0]]);
      }
    return taken;
  }
};

Result<Sampling> make_sampling(const VolumeGeometry& geometry, const std::array<int, 3>& shrink, BiasFieldPlacement placement) {
  Sampling sampling;
  sampling.shrink = shrink;
  if (placement == BiasFieldPlacement::stretched) {
    auto offset = itk_shrink_offset(geometry, shrink);
    if (!offset) return fail(offset.error());
    sampling.offset = *offset;
  }
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const int samples = geometry.size()[axis];
    sampling.size[axis] = samples / shrink[axis];
    const int spare = samples - 1 - shrink[axis] * (sampling.size[axis] - 1);  // twice what ITK puts before the first voxel
    if (placement == BiasFieldPlacement::aligned) sampling.offset[axis] = (spare + 1) / 2;
    sampling.offset[axis] = std::clamp(sampling.offset[axis], 0, spare);
  }
  return sampling;
}

Result<N4Run> run_own_n4(const SeriesVolume& series, const std::vector<std::uint8_t>& mask, const std::vector<float>& confidence, const BiasFieldSettings& settings,
                         TaskPool* pool) {
  const VolumeGeometry& geometry = series.geometry();
  const N4Parameters& n4 = settings.n4;
  auto sampling = make_sampling(geometry, n4.shrink, settings.field);
  if (!sampling) return fail(sampling.error());
  auto estimate = estimate_bias_field(sampling->size, sampling->take(geometry, series.voxels()), sampling->take(geometry, mask),
                                      sampling->take(geometry, confidence), n4, pool);
  if (!estimate) return fail(estimate.error());
  const auto axis = [&](std::size_t a) {
    const int points = estimate->lattice.size[a];
    const int order = estimate->lattice.order[a];
    return settings.field == BiasFieldPlacement::stretched
               ? stretched_axis(geometry.size()[a], points, order)
               : aligned_axis(geometry.size()[a], points, order, sampling->size[a], sampling->offset[a], n4.shrink[a]);
  };
  return N4Run{evaluate(estimate->lattice, {axis(0), axis(1), axis(2)}, pool), std::move(estimate->levels)};
}

Result<BiasFieldCorrection> correct(const SeriesVolume& series, const BiasFieldSettings& settings, TaskPool* pool, const BiasFieldInput& input) {
  if (auto status = check(settings); !status) return fail(status.error());
  if (series.empty()) return refuse(ErrorCode::invalid_argument, "There is no image to correct.");
  const VolumeGeometry& geometry = series.geometry();
  const std::vector<float>& voxels = series.voxels();
  if ((!input.mask.empty() && input.mask.size() != voxels.size()) || (!input.confidence.empty() && input.confidence.size() != voxels.size()))
    return refuse(ErrorCode::invalid_argument, "Image, mask and confidence differ in size.");
  BiasFieldSettings used = settings;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (geometry.size()[axis] < 2 && settings.engine == BiasFieldEngine::itk)
      return refuse(ErrorCode::degenerate_input, "The image is a single slice, which the engine itk cannot correct; use the engine choana.");
    // Thin stacks are shrunk less, so that two voxels remain.
    used.n4.shrink[axis] = std::max(1, std::min(settings.n4.shrink[axis], geometry.size()[axis] / 2));
  }
  if (!std::all_of(voxels.begin(), voxels.end(), [](float v) { return std::isfinite(v); }))
    return refuse(ErrorCode::degenerate_input, "The image holds a value that is not a number.");

  std::vector<std::uint8_t> mask = input.mask;
  if (mask.empty()) {
    switch (settings.mask) {
      case BiasFieldMask::otsu: mask = above(voxels, otsu_threshold(voxels, settings.otsu_bins)); break;
      case BiasFieldMask::positive: mask = above(voxels, 0.0F); break;
      case BiasFieldMask::every_voxel: mask.assign(voxels.size(), 1); break;
    }
  }
  BiasFieldCorrection correction;
  correction.shrink = used.n4.shrink;
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
  if (correction.mask_voxels == 0) return refuse(ErrorCode::degenerate_input, "The mask of the bias field correction is empty.");
  if (positive < 2 || !(high > low))
    return refuse(ErrorCode::degenerate_input, "The mask of the bias field correction holds no image: fewer than two positive voxels, or all of one value.");
  auto run = used.engine == BiasFieldEngine::itk ? run_itk_n4(geometry, voxels, mask, used.n4, pool == nullptr ? 1 : pool->threads(), input.confidence)
                                                 : run_own_n4(series, mask, input.confidence, used, pool);
  if (!run) return fail(run.error());
  std::vector<float> corrected(voxels.size());
  const std::size_t slices = static_cast<std::size_t>(geometry.size()[2]);
  const std::size_t area = voxels.size() / slices;
  std::vector<std::uint8_t> finite(slices, 1);
  run_tasks(pool, slices, [&](std::size_t slice) {
    for (std::size_t at = slice * area; at < (slice + 1) * area; ++at) {
      corrected[at] = voxels[at] / std::exp(run->log_field[at]);
      if (!std::isfinite(corrected[at])) finite[slice] = 0;
    }
  });
  if (std::find(finite.begin(), finite.end(), 0) != finite.end()) return refuse(ErrorCode::degenerate_input, "The bias field does not converge on this image.");
  auto result = series.with_voxels(std::move(corrected), PixelType::float32);
  if (!result) return fail(result.error());
  correction.series = std::move(*result);
  correction.log_field = std::move(run->log_field);
  correction.levels = std::move(run->levels);
  return correction;
}

}  // namespace

Result<BiasFieldCorrection> correct_bias_field(const SeriesVolume& series, const BiasFieldSettings& settings, TaskPool* pool, const BiasFieldInput& input) {
  try {
    return correct(series, settings, pool, input);
  } catch (const std::bad_alloc&) {
    return refuse(ErrorCode::out_of_memory, "There is not enough memory for the bias field correction.");
  }
}

std::string canonical_json(const BiasFieldSettings& settings) {
  const N4Parameters& n4 = settings.n4;
  const char* mask = settings.mask == BiasFieldMask::otsu ? "otsu" : settings.mask == BiasFieldMask::positive ? "positive" : "every_voxel";
  return "{\"bins\":" + std::to_string(n4.histogram_bins) + ",\"control_points\":" + list_text(n4.control_points) + ",\"engine\":\"" +
         (settings.engine == BiasFieldEngine::itk ? "itk" : "choana") + "\",\"field\":\"" +
         (settings.field == BiasFieldPlacement::aligned ? "aligned" : "stretched") + "\",\"fwhm\":" +
         number_text(n4.full_width_at_half_maximum) + ",\"iterations\":" + list_text(n4.iterations) + ",\"mask\":\"" + mask + "\",\"noise\":" +
         number_text(n4.wiener_noise) + ",\"otsu_bins\":" + std::to_string(settings.otsu_bins) + ",\"shrink\":" + list_text(n4.shrink) + ",\"threshold\":" +
         number_text(n4.convergence_threshold) + "}";
}

}  // namespace choana::processing
