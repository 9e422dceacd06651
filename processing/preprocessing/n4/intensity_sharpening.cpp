#include "processing/preprocessing/n4/intensity_sharpening.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/vectorised.h"
#include "processing/preprocessing/n4/fourier.h"

namespace choana::processing {
namespace {

constexpr std::size_t block = 512;
constexpr int copies = 4;
constexpr int count_shift = 44;
constexpr float offset_scale = 16777216.0F;  // 2^24: an offset from a value of 1 or more is a whole multiple of 2^-23
constexpr std::size_t flush_every = (std::size_t{1} << (64 - count_shift)) - 1;

/// Where the values of a block fall: bin and distance from its centre in 2^-24 bins; the bin behind the last for those below the first centre or beyond the last.
CHOANA_VECTORISED void find_slots(const float* log_image, const float* field, std::size_t count, float low, float width, float last, std::int32_t* slots,
                                  std::int32_t* parts) {
  const float dropped = last + 1;
  for (std::size_t n = 0; n < count; ++n) {
    // Compared as float, because a far value does not fit an integer.
    const float s = ((log_image[n] - field[n]) - low) / width;
    const float at = s >= 0 && s <= last ? s : dropped;
    slots[n] = static_cast<std::int32_t>(at);
    parts[n] = static_cast<std::int32_t>((at - static_cast<float>(slots[n])) * offset_scale);
  }
}

/// Where they are looked up: bin and distance from its centre in bins; the last bin, whose table does not rise, for those below the first centre or beyond it.
CHOANA_VECTORISED void find_entries(const float* log_image, const float* field, std::size_t count, float low, float width, float last, std::int32_t* slots,
                                    float* parts) {
  for (std::size_t n = 0; n < count; ++n) {
    const float s = ((log_image[n] - field[n]) - low) / width;
    const float at = s >= 0 && s < last ? s : last;
    slots[n] = static_cast<std::int32_t>(at);
    parts[n] = at - static_cast<float>(slots[n]);
  }
}

}  // namespace

bool IntensityBins::usable() const { return std::isfinite(low) && std::isfinite(width) && width > 0 && count >= 2; }

IntensityBins make_bins(float low, float high, int count) { return {low, (high - low) / static_cast<float>(count - 1), count}; }

TriangularHistogram::TriangularHistogram(int bins)
    : bins_(static_cast<std::size_t>(bins)), values_(bins_, 0), offsets_(bins_, 0), packed_(static_cast<std::size_t>(copies) * (bins_ + 1), 0) {}

void TriangularHistogram::add(const float* log_image, const float* field, std::size_t count, const IntensityBins& bins) {
  std::array<std::int32_t, block> slot;
  std::array<std::int32_t, block> part;
  const float last = static_cast<float>(bins_ - 1);
  const std::size_t stride = bins_ + 1;
  std::size_t unflushed = 0;
  const auto flush = [&] {
    for (std::size_t k = 0; k < bins_; ++k)
      for (std::size_t copy = 0; copy < copies; ++copy) {
        values_[k] += packed_[copy * stride + k] >> count_shift;
        offsets_[k] += packed_[copy * stride + k] & ((std::uint64_t{1} << count_shift) - 1);
      }
    std::fill(packed_.begin(), packed_.end(), std::uint64_t{0});
    unflushed = 0;
  };
  for (std::size_t start = 0; start < count; start += block) {
    const std::size_t length = std::min(block, count - start);
    find_slots(log_image + start, field + start, length, bins.low, bins.width, last, slot.data(), part.data());
    for (std::size_t n = 0; n < length; ++n)
      packed_[(n % copies) * stride + static_cast<std::size_t>(slot[n])] += (std::uint64_t{1} << count_shift) + static_cast<std::uint64_t>(part[n]);
    unflushed += length;
    if (unflushed + block > flush_every) flush();
  }
  flush();
}

void TriangularHistogram::add(const TriangularHistogram& other) {
  for (std::size_t k = 0; k < bins_; ++k) {
    values_[k] += other.values_[k];
    offsets_[k] += other.offsets_[k];
  }
}

std::vector<double> TriangularHistogram::counts() const {
  std::vector<double> counts(bins_, 0.0);
  for (std::size_t k = 0; k < bins_; ++k) {
    const double moved = static_cast<double>(offsets_[k]) / static_cast<double>(offset_scale);
    counts[k] += static_cast<double>(values_[k]) - moved;
    if (k + 1 < bins_) counts[k + 1] += moved;
  }
  return counts;
}

std::size_t padded_size(int bins) {
  const auto exponent = static_cast<float>(std::ceil(static_cast<double>(std::log(static_cast<float>(bins))) / std::log(2.0)) + 1);
  return std::size_t{1} << static_cast<unsigned>(exponent);
}

std::vector<float> sharpening_table(const std::vector<double>& counts, const IntensityBins& bins, float full_width_at_half_maximum, float noise) {
  const std::size_t size = padded_size(bins.count);
  const std::size_t offset = (size - counts.size()) / 2;
  const FourierTransform fourier(size);
  const double log2 = std::log(2.0);
  constexpr double pi = 3.14159265358979323846;

  // The Gaussian; float and double where ITK has them.
  const float width = full_width_at_half_maximum / bins.width;
  const auto exponent = static_cast<float>(4.0 * log2 / static_cast<double>(width * width));
  const auto scale = static_cast<float>(2.0 * std::sqrt(log2 / pi) / static_cast<double>(width));
  std::vector<double> blur(size, 0.0), unused(size, 0.0);
  blur[0] = static_cast<double>(scale);
  for (std::size_t n = 1; n <= size / 2; ++n) {
    const auto distance = static_cast<float>(n);
    blur[n] = blur[size - n] = static_cast<double>(scale * std::exp(-(distance * distance) * exponent));
  }
  const auto length = static_cast<float>(size);
  blur[size / 2] = static_cast<double>(scale) * std::exp(0.25 * static_cast<double>(-(length * length)) * static_cast<double>(exponent));
  fourier.forward(blur, unused);  // symmetric, so the transform is real

  // U: the histogram without the blur, clipped at 0.
  std::vector<double> re(size, 0.0), im(size, 0.0);
  std::copy(counts.begin(), counts.end(), re.begin() + static_cast<std::ptrdiff_t>(offset));
  fourier.forward(re, im);
  const auto wiener_noise = static_cast<double>(noise);
  for (std::size_t n = 0; n < size; ++n) {
    const double gain = blur[n] / (blur[n] * blur[n] + wiener_noise);
    re[n] *= gain;
    im[n] *= gain;
  }
  fourier.backward(re, im);

  // E = blur(x U) / blur(U), both in one transform: one as real, one as imaginary part, of like size so that neither drowns the other's last digits.
  const float reach = std::max({std::abs(bins.low), std::abs(bins.low + static_cast<float>(bins.count) * bins.width), bins.width});
  const double balance = std::ldexp(1.0, std::ilogb(reach));
  for (std::size_t n = 0; n < size; ++n) {
    const double u = std::max(re[n], 0.0);
    const float x = bins.low + (static_cast<float>(n) - static_cast<float>(offset)) * bins.width;
    re[n] = static_cast<double>(x) * u;
    im[n] = balance * u;
  }
  fourier.forward(re, im);
  for (std::size_t n = 0; n < size; ++n) {
    re[n] *= blur[n];
    im[n] *= blur[n];
  }
  fourier.backward(re, im);
  std::vector<float> table(counts.size());
  for (std::size_t k = 0; k < table.size(); ++k) {
    const double denominator = im[k + offset];
    table[k] = denominator == 0 ? 0.0F : static_cast<float>(re[k + offset] / denominator * balance);
  }
  return table;
}

SharpeningLookup::SharpeningLookup(const std::vector<float>& table, const IntensityBins& bins) : bins_(bins) {
  entries_.reserve(table.size());
  for (std::size_t k = 0; k + 1 < table.size(); ++k) entries_.push_back({table[k], table[k + 1] - table[k]});
  entries_.push_back({table.back(), 0.0F});
}

void SharpeningLookup::residuals(const float* log_image, const float* field, std::size_t count, float* residual) const {
  std::array<float, block> position;
  std::array<std::int32_t, block> slot;
  const float last = static_cast<float>(entries_.size() - 1);
  for (std::size_t start = 0; start < count; start += block) {
    const std::size_t length = std::min(block, count - start);
    find_entries(log_image + start, field + start, length, bins_.low, bins_.width, last, slot.data(), position.data());
    for (std::size_t n = 0; n < length; ++n) {
      const Entry entry = entries_[static_cast<std::size_t>(slot[n])];
      const float v = log_image[start + n] - field[start + n];
      residual[start + n] = v - (entry.value + entry.step * position[n]);
    }
  }
}

}  // namespace choana::processing
