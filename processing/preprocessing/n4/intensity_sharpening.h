#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace choana::processing {

/// Range of the values that N4 sharpens, and the width of a bin of their histogram, all in float as ITK has them.
struct IntensityBins {
  float low = 0;
  float width = 0;   // (high - low) / (count - 1)
  int count = 0;

  /// False where no histogram can be made: all values equal, or one that is not a number.
  [[nodiscard]] bool usable() const;
};

[[nodiscard]] IntensityBins make_bins(float low, float high, int count);

/// Histogram in which a value between two bin centres counts for both in proportion (a triangular window). Values beyond the last centre, which
/// rounding makes, and below the first are not counted. Sums are whole numbers: they do not depend on the order, so parts may be added up in any.
class TriangularHistogram {
 public:
  explicit TriangularHistogram(int bins);

  /// Count log_image[n] - field[n]; both of `count` values.
  void add(const float* log_image, const float* field, std::size_t count, const IntensityBins& bins);
  void add(const TriangularHistogram& other);
  [[nodiscard]] std::vector<double> counts() const;

 private:
  std::size_t bins_;
  std::vector<std::uint64_t> values_, offsets_;  // of bin k: values that fell there; sum of their distances from its centre, in 2^-24 bins
  std::vector<std::uint64_t> packed_;            // four copies of both in one number, so that neighbours do not wait for each other
};

/// E(u | v) at the bin centres: the expected intensity without blur for each measured one, after Wiener deconvolution of the histogram by a Gaussian.
/// full_width_at_half_maximum: of the Gaussian, in log units.  noise: of the Wiener filter.
/// Source: Sled, Zijdenbos, Evans 1998; Tustison et al. 2010; padding, types and clipping as ITK 5 (N4BiasFieldCorrectionImageFilter).
[[nodiscard]] std::vector<float> sharpening_table(const std::vector<double>& counts, const IntensityBins& bins, float full_width_at_half_maximum, float noise);

/// Length to which a histogram of so many bins is padded: ITK's 2^(ceil(log2 bins) + 1), in which the logarithm of float makes some powers of two one longer.
[[nodiscard]] std::size_t padded_size(int bins);

/// The table as it is looked up: linear between centres, the last value beyond them (and below, where only the quirk of the minimum leads).
class SharpeningLookup {
 public:
  SharpeningLookup(const std::vector<float>& table, const IntensityBins& bins);

  /// residual[n] = v - E(v) with v = log_image[n] - field[n].
  void residuals(const float* log_image, const float* field, std::size_t count, float* residual) const;

 private:
  struct Entry {
    float value, step;
  };
  std::vector<Entry> entries_;
  IntensityBins bins_;
};

}  // namespace choana::processing
