#include "processing/deep_features/image_preparation.h"

#include <algorithm>
#include <cmath>

namespace choana::processing {
namespace {

tl::unexpected<Error> refuse(ErrorCode code, const std::string& message) { return fail(code, "prepare_slice", message); }

/// NumPy's percentile: linear between ranks.
double percentile(std::vector<float>& values, double percent) {
  const double rank = percent / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(below), values.end());
  const double low = values[below];
  if (below + 1 >= values.size()) return low;
  const double high = *std::min_element(values.begin() + static_cast<std::ptrdiff_t>(below) + 1, values.end());
  return low + (high - low) * (rank - static_cast<double>(below));
}

}  // namespace

Result<PreparedImage> prepare_slice(const SeriesVolume& series, const RegionOfInterest& region, const ImagePreparation& how) {
  const Index3 size = series.geometry().size();
  if (region.geometry() != series.geometry() || region.mask().size() != series.voxels().size())
    return refuse(ErrorCode::geometry_mismatch, "The region '" + region.name() + "' lies on another grid than the image.");
  if (how.columns < 1 || how.rows < 1 || how.columns > 4096 || how.rows > 4096 || std::any_of(how.sd.begin(), how.sd.end(), [](double sd) { return !(sd > 0); }) ||
      !(how.margin_mm >= 0 && how.margin_mm <= 1000))
    return refuse(ErrorCode::invalid_argument, "The size, the standard deviations or the margin of the image preparation are impossible.");

  PreparedImage prepared;
  prepared.slice = region.largest_slice();
  const std::size_t plane = static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1]), begin = plane * static_cast<std::size_t>(prepared.slice);
  int left = 0, right = size[0], top = 0, bottom = size[1];
  if (how.crop_to_region) {
    left = size[0], right = 0, top = size[1], bottom = 0;
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        if (region.mask()[begin + static_cast<std::size_t>(j) * static_cast<std::size_t>(size[0]) + static_cast<std::size_t>(i)] == 0) continue;
        left = std::min(left, i);
        right = std::max(right, i + 1);
        top = std::min(top, j);
        bottom = std::max(bottom, j + 1);
      }
    const int wide = static_cast<int>(std::lround(how.margin_mm / series.geometry().spacing_mm()[0])), high = static_cast<int>(std::lround(how.margin_mm / series.geometry().spacing_mm()[1]));
    left = std::max(0, left - wide);
    right = std::min(size[0], right + wide);
    top = std::max(0, top - high);
    bottom = std::min(size[1], bottom + high);
  }
  const int columns = right - left, rows = bottom - top;

  double low = how.low, high = how.high;
  if (how.range != GreyRange::window) {
    std::vector<float> seen;
    if (how.range_of == GreyRangeOf::region) {
      for (std::size_t at = 0; at < region.mask().size(); ++at)
        if (region.mask()[at] != 0) seen.push_back(series.voxels()[at]);
    } else if (how.range_of == GreyRangeOf::volume) {
      seen = series.voxels();
    } else {
      seen.assign(series.voxels().begin() + static_cast<std::ptrdiff_t>(begin), series.voxels().begin() + static_cast<std::ptrdiff_t>(begin + plane));
    }
    if (std::any_of(seen.begin(), seen.end(), [](float v) { return !std::isfinite(v); })) return refuse(ErrorCode::degenerate_input, "The image holds a voxel that is not a number.");
    if (how.range == GreyRange::percentiles) {
      if (!(how.low >= 0 && how.low < how.high && how.high <= 100)) return refuse(ErrorCode::invalid_argument, "The percentiles of the image preparation must rise from 0 to 100.");
      low = percentile(seen, how.low);
      high = percentile(seen, how.high);
    } else {
      const auto [smallest, largest] = std::minmax_element(seen.begin(), seen.end());
      low = *smallest;
      high = *largest;
    }
  }
  if (!(high > low)) return refuse(ErrorCode::degenerate_input, "The slice has a single grey value: an image network has nothing to see.");

  std::vector<float> grey;
  std::vector<std::uint8_t> whole;
  for (int j = top; j < bottom; ++j)
    for (int i = left; i < right; ++i) {
      const double voxel = series.voxels()[begin + static_cast<std::size_t>(j) * static_cast<std::size_t>(size[0]) + static_cast<std::size_t>(i)];
      if (!std::isfinite(voxel)) return refuse(ErrorCode::degenerate_input, "The image holds a voxel that is not a number.");
      const double value = std::clamp((voxel - low) / (high - low), 0.0, 1.0) * 255;
      if (how.eight_bits) whole.push_back(static_cast<std::uint8_t>(value + 0.5));
      else grey.push_back(static_cast<float>(value));
    }
  if (how.eight_bits) {
    const auto resized = resize_like_pillow(std::span<const std::uint8_t>(whole), columns, rows, how.columns, how.rows, how.filter);
    prepared.pixels.assign(resized.begin(), resized.end());
  } else {
    prepared.pixels = resize_like_pillow(std::span<const float>(grey), columns, rows, how.columns, how.rows, how.filter);
  }
  prepared.input.shape = {1, 3, how.rows, how.columns};
  auto& values = prepared.input.data.emplace<std::vector<float>>();
  values.reserve(3 * prepared.pixels.size());
  // In single precision and in torchvision's order: divide, subtract, divide.
  for (std::size_t channel = 0; channel < 3; ++channel)
    for (const float pixel : prepared.pixels) values.push_back((pixel / 255.0F - static_cast<float>(how.mean[channel])) / static_cast<float>(how.sd[channel]));
  return prepared;
}

}  // namespace choana::processing
