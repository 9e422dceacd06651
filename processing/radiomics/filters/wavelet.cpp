#include "processing/radiomics/filters/wavelet.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <type_traits>
#include <utility>

#include "core/near_match.h"
#include "processing/radiomics/filters/wavelet_coefficients.h"

namespace choana::processing {
namespace {

constexpr double values_max = 1073741824;  // of all images together

/// The part of a periodic volume that is at hand. first may lie outside [0, period): positions are taken modulo the period.
/// An axis whose count equals the period starts at 0.
template <typename T>
struct Window {
  Index3 first{};
  Index3 count{};
  std::vector<T> values;  // i fastest

  Window(const Index3& where, const Index3& size)
      : first(where), count(size), values(static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1]) * static_cast<std::size_t>(size[2])) {}
};

int modulo(std::int64_t position, int period) {
  const auto rest = static_cast<int>(position % period);
  return rest < 0 ? rest + period : rest;
}

/// What the voxels [first, first + count) of a filtered axis are made of.
struct Reach {
  int first = 0;
  int count = 0;
};

Reach reach_before(const Reach& wanted, int taps, int period) {
  if (wanted.count + taps - 1 >= period) return {0, period};
  return {wanted.first + taps / 2 - (taps - 1), wanted.count + taps - 1};
}

/// Filter `input` along one axis with both filters; outputs hold [wanted] along it and everything along the others. PyWavelets sums taps in ascending
/// order, except that where the filter runs over the end of the signal, the taps beyond the end come first, descending.
template <typename T>
void filter_axis(const Window<T>& input, int axis, int period, const std::vector<T>& low_filter, const std::vector<T>& high_filter, Window<T>& low, Window<T>* high) {
  const auto a = static_cast<std::size_t>(axis);
  const auto taps = static_cast<int>(low_filter.size());
  const Reach wanted{low.first[a], low.count[a]};
  // Where along the axis each sample lies, for positions wanted.first + taps / 2 - (taps - 1) onwards.
  std::vector<std::size_t> source(static_cast<std::size_t>(wanted.count + taps - 1));
  for (int at = 0; at < wanted.count + taps - 1; ++at)
    source[static_cast<std::size_t>(at)] =
        static_cast<std::size_t>(modulo(static_cast<std::int64_t>(wanted.first) + taps / 2 - (taps - 1) + at - input.first[a], period));
  const auto order_of = [&](int out, std::vector<int>& order) {
    const int beyond = modulo(static_cast<std::int64_t>(wanted.first) + out, period) + taps / 2 - period;  // last tap beyond the end, if 0 or more
    order.clear();
    for (int tap = beyond; tap >= 0; --tap) order.push_back(tap);
    for (int tap = std::max(0, beyond + 1); tap < taps; ++tap) order.push_back(tap);
  };
  std::vector<int> order;
  order.reserve(static_cast<std::size_t>(taps));
  const std::size_t nx = static_cast<std::size_t>(input.count[0]);
  if (axis == 0) {
    const auto rows = static_cast<std::size_t>(input.count[1]) * static_cast<std::size_t>(input.count[2]);
    const auto width = static_cast<std::size_t>(wanted.count);
    std::vector<T> line(source.size());
    std::vector<T> sum_low(width);
    std::vector<T> sum_high(width);
    for (std::size_t row = 0; row < rows; ++row) {
      const T* in = input.values.data() + row * nx;
      for (std::size_t at = 0; at < source.size(); ++at) line[at] = in[source[at]];
      std::fill(sum_low.begin(), sum_low.end(), T{0});
      std::fill(sum_high.begin(), sum_high.end(), T{0});
      for (int tap = 0; tap < taps; ++tap) {
        const T* from = line.data() + (taps - 1 - tap);
        const T h = low_filter[static_cast<std::size_t>(tap)];
        const T g = high_filter[static_cast<std::size_t>(tap)];
        for (std::size_t out = 0; out < width; ++out) {
          sum_low[out] += h * from[out];
          sum_high[out] += g * from[out];
        }
      }
      for (int out = 0; out < wanted.count; ++out) {
        if (modulo(static_cast<std::int64_t>(wanted.first) + out, period) + taps / 2 < period) continue;
        order_of(out, order);
        T h = 0;
        T g = 0;
        for (const int tap : order) {
          const T x = line[static_cast<std::size_t>(out + taps - 1 - tap)];
          h += low_filter[static_cast<std::size_t>(tap)] * x;
          g += high_filter[static_cast<std::size_t>(tap)] * x;
        }
        sum_low[static_cast<std::size_t>(out)] = h;
        sum_high[static_cast<std::size_t>(out)] = g;
      }
      std::copy(sum_low.begin(), sum_low.end(), low.values.begin() + static_cast<std::ptrdiff_t>(row * width));
      if (high != nullptr) std::copy(sum_high.begin(), sum_high.end(), high->values.begin() + static_cast<std::ptrdiff_t>(row * width));
    }
    return;
  }
  // Along j and k whole rows are summed at once.
  const std::size_t step = axis == 1 ? nx : nx * static_cast<std::size_t>(input.count[1]);
  const std::size_t lines = axis == 1 ? static_cast<std::size_t>(input.count[2]) : static_cast<std::size_t>(input.count[1]);
  const std::size_t line_step = axis == 1 ? nx * static_cast<std::size_t>(input.count[1]) : nx;
  const std::size_t out_line_step = axis == 1 ? nx * static_cast<std::size_t>(low.count[1]) : nx;
  for (int out = 0; out < wanted.count; ++out) {
    order_of(out, order);
    for (std::size_t line = 0; line < lines; ++line) {
      const std::size_t target = line * out_line_step + static_cast<std::size_t>(out) * step;
      T* sum_low = low.values.data() + target;
      T* sum_high = high != nullptr ? high->values.data() + target : nullptr;
      for (const int tap : order) {
        const T* from = input.values.data() + line * line_step + source[static_cast<std::size_t>(out + taps - 1 - tap)] * step;
        const T h = low_filter[static_cast<std::size_t>(tap)];
        for (std::size_t i = 0; i < nx; ++i) sum_low[i] += h * from[i];
        if (sum_high == nullptr) continue;
        const T g = high_filter[static_cast<std::size_t>(tap)];
        for (std::size_t i = 0; i < nx; ++i) sum_high[i] += g * from[i];
      }
    }
  }
}

/// One level: every combination of low and high along `axes`, in PyWavelets' order (aaa, aad, ...), on the window `wanted` (first, count).
/// approximation_only: the first alone.
template <typename T>
std::vector<Window<T>> transform(const Window<T>& input, const Index3& first, const Index3& count, const std::vector<int>& axes, const Index3& period,
                                 const std::vector<T>& low, const std::vector<T>& high, bool approximation_only) {
  std::vector<Window<T>> bands;
  const Window<T>* source = &input;
  for (const int axis : axes) {
    const auto a = static_cast<std::size_t>(axis);
    std::vector<Window<T>> next;
    for (std::size_t band = 0; band < std::max<std::size_t>(1, bands.size()); ++band) {
      const Window<T>& from = bands.empty() ? *source : bands[band];
      Index3 out_first = from.first;
      Index3 out_count = from.count;
      out_first[a] = first[a];
      out_count[a] = count[a];
      next.emplace_back(out_first, out_count);
      if (approximation_only) {
        filter_axis<T>(from, axis, period[a], low, high, next.back(), nullptr);
      } else {
        next.emplace_back(out_first, out_count);
        filter_axis<T>(from, axis, period[a], low, high, next[next.size() - 2], &next.back());
      }
    }
    bands = std::move(next);
  }
  return bands;
}

/// The voxels of `box` (which lies in the window) as doubles.
template <typename T>
std::vector<double> cut(const Window<T>& window, const VoxelBox& box) {
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(box.size[0]) * static_cast<std::size_t>(box.size[1]) * static_cast<std::size_t>(box.size[2]));
  for (int k = 0; k < box.size[2]; ++k)
    for (int j = 0; j < box.size[1]; ++j) {
      const std::size_t row = (static_cast<std::size_t>(k + box.lower[2] - window.first[2]) * static_cast<std::size_t>(window.count[1]) +
                               static_cast<std::size_t>(j + box.lower[1] - window.first[1])) * static_cast<std::size_t>(window.count[0]) +
                              static_cast<std::size_t>(box.lower[0] - window.first[0]);
      values.insert(values.end(), window.values.begin() + static_cast<std::ptrdiff_t>(row), window.values.begin() + static_cast<std::ptrdiff_t>(row) + box.size[0]);
    }
  return values;
}

/// The taps in the precision of the image.
template <typename T>
std::vector<T> in_precision(const std::vector<double>& taps, bool normalised_late) {
  if (std::is_same_v<T, double> || !normalised_late) return {taps.begin(), taps.end()};
  std::vector<T> result;
  for (const double tap : taps) result.push_back(static_cast<T>(tap / std::numbers::sqrt2) * static_cast<T>(std::numbers::sqrt2));
  return result;
}

template <typename T>
Result<DerivedImages> decompose(const FilterInput& input, const ExtractionSettings& settings, const WaveletFilters& filters) {
  const std::vector<T> low = in_precision<T>(filters.low, filters.normalised_late);
  const std::vector<T> high = in_precision<T>(filters.high, filters.normalised_late);
  const auto taps = static_cast<int>(low.size());
  std::vector<int> axes{0, 1, 2};
  if (settings.force_2d) std::erase(axes, 2 - settings.force_2d_dimension);
  const Index3& size = input.image.geometry.size();
  Index3 period{};
  for (std::size_t axis = 0; axis < 3; ++axis) period[axis] = size[axis] + size[axis] % 2;

  // What each level must give so that the last one covers the box: from the last level backwards.
  const int levels = settings.wavelet_start_level + settings.wavelet_levels;
  std::vector<std::array<Reach, 3>> needed(static_cast<std::size_t>(levels) + 1);
  for (std::size_t axis = 0; axis < 3; ++axis) needed.back()[axis] = {input.box.lower[axis], input.box.size[axis]};
  for (auto level = static_cast<std::size_t>(levels); level-- > 0;) {
    needed[level] = needed[level + 1];
    for (const int axis : axes) {
      const auto a = static_cast<std::size_t>(axis);
      needed[level][a] = reach_before(needed[level + 1][a], taps, period[a]);
    }
    // A level is also asked for its details in the box, which lies within what the next level needs unless that is cut at the period.
  }
  const auto corner = [&](std::size_t level) { return Index3{needed[level][0].first, needed[level][1].first, needed[level][2].first}; };
  const auto extent = [&](std::size_t level) { return Index3{needed[level][0].count, needed[level][1].count, needed[level][2].count}; };

  Window<T> approximation(corner(0), extent(0));
  std::size_t at = 0;
  // The sample that makes an odd size even is a copy of the first.
  const auto position = [&](std::size_t axis, int offset) {
    const int place = modulo(static_cast<std::int64_t>(approximation.first[axis]) + offset, period[axis]);
    return place == size[axis] ? 0 : place;
  };
  for (int k = 0; k < approximation.count[2]; ++k)
    for (int j = 0; j < approximation.count[1]; ++j) {
      const double* row = input.image.voxels.data() + input.image.geometry.offset(0, position(1, j), position(2, k));
      for (int i = 0; i < approximation.count[0]; ++i, ++at) approximation.values[at] = static_cast<T>(row[position(0, i)]);
    }

  DerivedImages result;
  const PixelType type = std::is_same_v<T, float> ? PixelType::float32 : PixelType::float64;
  const auto emit = [&](int level, const std::string& band, const Window<T>& window) -> Status {
    auto image = boxed_image("wavelet" + (level == 1 ? std::string() : std::to_string(level)) + "-" + band, input, type, cut(window, input.box));
    if (!image) return fail(image.error());
    result.images.push_back(std::move(*image));
    return {};
  };
  for (int level = 0; level < levels; ++level) {
    const auto next = static_cast<std::size_t>(level) + 1;
    const bool skipped = level < settings.wavelet_start_level;
    std::vector<Window<T>> bands = transform<T>(approximation, corner(next), extent(next), axes, period, low, high, skipped);
    const int named = level - settings.wavelet_start_level + 1;
    for (std::size_t band = 1; band < bands.size(); ++band) {
      std::string name;
      for (std::size_t letter = 0; letter < axes.size(); ++letter) name += (band >> (axes.size() - 1 - letter) & 1) != 0 ? 'H' : 'L';
      if (auto status = emit(named, name, bands[band]); !status) return fail(status.error());
    }
    approximation = std::move(bands[0]);
  }
  if (auto status = emit(settings.wavelet_levels, std::string(axes.size(), 'L'), approximation); !status) return fail(status.error());
  return result;
}

}  // namespace

const std::vector<std::string>& wavelet_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all{"haar"};
    for (const WaveletCoefficients& entry : wavelet_coefficients()) {
      all.emplace_back(entry.name);
      if (entry.name.starts_with("bior")) all.push_back("rbio" + std::string(entry.name.substr(4)));
    }
    return all;
  }();
  return names;
}

Result<WaveletFilters> find_wavelet(std::string_view name) {
  const bool reverse = name.starts_with("rbio");
  const std::string wanted = name == "haar" ? "db1" : reverse ? "bior" + std::string(name.substr(4)) : std::string(name);
  for (const WaveletCoefficients& entry : wavelet_coefficients()) {
    if (entry.name != wanted) continue;
    std::vector<double> low(entry.analysis_low.begin(), entry.analysis_low.end());
    std::vector<double> synthesis(entry.synthesis_low.begin(), entry.synthesis_low.end());
    if (synthesis.empty()) synthesis.assign(low.rbegin(), low.rend());
    if (reverse) {
      std::swap(low, synthesis);
      std::reverse(low.begin(), low.end());
      std::reverse(synthesis.begin(), synthesis.end());
    }
    std::vector<double> high(synthesis);
    for (std::size_t tap = 0; tap < high.size(); tap += 2) high[tap] = -high[tap];
    return WaveletFilters{std::move(low), std::move(high), name.starts_with("coif")};
  }
  for (const char* family : {"cgau", "cmor", "fbsp", "gaus", "mexh", "morl", "shan"})
    if (name.starts_with(family))
      return fail(ErrorCode::invalid_profile, "find_wavelet", "The wavelet '" + std::string(name) + "' is continuous; the Wavelet images need a discrete one, such as coif1.");
  return fail(ErrorCode::invalid_profile, "find_wavelet", "Unknown wavelet '" + std::string(name) + "'." + did_you_mean(name, wavelet_names()));
}

Result<DerivedImages> wavelet_images(const FilterInput& input, const ExtractionSettings& settings) {
  const auto filters = find_wavelet(settings.wavelet);
  if (!filters) return fail(filters.error());
  const double values = (7.0 * settings.wavelet_levels + 1) * input.box.size[0] * input.box.size[1] * input.box.size[2];
  if (values > values_max)
    return fail(ErrorCode::limit_exceeded, "wavelet", "The wavelet images of this region would hold more than 2^30 values: ask for fewer levels, or resample to larger voxels.");
  return input.image.pixel_type == PixelType::float32 ? decompose<float>(input, settings, *filters) : decompose<double>(input, settings, *filters);
}

}  // namespace choana::processing
