#include "processing/preprocessing/intensity_normaliser.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace choana::processing {
namespace {

/// Kahan summation, as ITK's statistics do it.
class CompensatedSum {
 public:
  void add(double value) {
    const double corrected = value - compensation_;
    const double next = sum_ + corrected;
    compensation_ = (next - sum_) - corrected;
    sum_ = next;
  }
  [[nodiscard]] double value() const { return sum_; }

 private:
  double sum_ = 0;
  double compensation_ = 0;
};

template <typename T>
Result<std::pair<double, double>> finite_range(const std::vector<T>& voxels) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const T voxel : voxels) {
    const auto value = static_cast<double>(voxel);
    if (!std::isfinite(value)) return fail(ErrorCode::degenerate_input, "rescale", "The image holds a value that is not a number.");
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (!(high > low)) return fail(ErrorCode::degenerate_input, "rescale", "The image is constant: its grey values cannot be stretched.");
  return std::pair{low, high};
}

}  // namespace

Result<ScalarVolume> normalise_intensities(const ScalarVolume& image, double scale, std::optional<double> outliers_sd) {
  CompensatedSum sum;
  CompensatedSum squares;
  for (const double value : image.voxels) {
    sum.add(value);
    squares.add(value * value);
  }
  const auto count = static_cast<double>(image.voxels.size());
  const double mean = sum.value() / count;
  const double variance = (squares.value() - sum.value() * sum.value() / count) / (count - 1);
  if (!(variance > 0) || !std::isfinite(variance))
    return fail(ErrorCode::degenerate_input, "normalise", "The image is constant or holds a value that is not a number: it cannot be normalised.");
  const double factor = 1.0 / std::sqrt(variance);
  ScalarVolume result{image.geometry, {}, PixelType::float64};
  result.voxels.reserve(image.voxels.size());
  for (const double voxel : image.voxels) {
    double value = (voxel - mean) * factor;
    if (outliers_sd) value = std::clamp(value, -*outliers_sd, *outliers_sd);
    result.voxels.push_back(value * scale);
  }
  return result;
}

Result<ScalarVolume> rescale(const ScalarVolume& image, double low, double high) {
  if (!(high > low)) return fail(ErrorCode::invalid_argument, "rescale", "The upper bound must be above the lower one.");
  const auto range = finite_range(image.voxels);
  if (!range) return fail(range.error());
  const auto [from, to] = *range;
  ScalarVolume result{image.geometry, {}, PixelType::float64};
  result.voxels.reserve(image.voxels.size());
  for (const double voxel : image.voxels) result.voxels.push_back(low + (voxel - from) / (to - from) * (high - low));
  return result;
}

Result<SeriesVolume> rescale(const SeriesVolume& series, double low, double high) {
  if (!(high > low)) return fail(ErrorCode::invalid_argument, "rescale", "The upper bound must be above the lower one.");
  const auto range = finite_range(series.voxels());
  if (!range) return fail(range.error());
  const auto [from, to] = *range;
  std::vector<float> voxels;
  voxels.reserve(series.voxels().size());
  for (const float voxel : series.voxels())
    voxels.push_back(static_cast<float>(low + (static_cast<double>(voxel) - from) / (to - from) * (high - low)));
  return series.with_voxels(std::move(voxels), PixelType::float32);
}

}  // namespace choana::processing
