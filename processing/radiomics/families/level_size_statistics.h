#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "processing/radiomics/feature_family.h"
#include "processing/radiomics/matrices/run_length.h"

namespace choana::processing {

/// What the features of GLRLM, GLSZM and GLDM share: one algebra over a matrix of grey level i and size j (run length, zone
/// size, dependence). `total` is the sum of the matrix, `voxels` the sum of count times size.
class LevelSizeStatistics {
 public:
  explicit LevelSizeStatistics(const LevelSizeMatrix& matrix) : entries_(matrix.entries) {
    level_sums_.assign(matrix.levels.size(), 0);
    levels_.assign(matrix.levels.begin(), matrix.levels.end());
    std::vector<double> dense;
    std::map<std::uint32_t, double> sparse;
    for (const MatrixEntry& entry : entries_) {
      total_ += entry.count;
      voxels_ += entry.count * entry.column;
      level_sums_[entry.row] += entry.count;
      if (entry.column < 4096) {
        if (dense.size() <= entry.column) dense.resize(entry.column + 1, 0);
        dense[entry.column] += entry.count;
      } else {
        sparse[entry.column] += entry.count;
      }
    }
    for (std::size_t size = 0; size < dense.size(); ++size)
      if (dense[size] > 0) size_sums_.emplace_back(static_cast<double>(size), dense[size]);
    for (const auto& [size, sum] : sparse) size_sums_.emplace_back(size, sum);
  }

  [[nodiscard]] double total() const { return total_; }
  [[nodiscard]] double voxels() const { return voxels_; }

  /// sum over sizes of count x f(size), divided by the total.
  template <typename Function>
  [[nodiscard]] double mean_of_size(Function&& f) const {
    double sum = 0;
    for (const auto& [size, count] : size_sums_) sum += f(size, count);
    return sum / total_;
  }
  template <typename Function>
  [[nodiscard]] double mean_of_level(Function&& f) const {
    double sum = 0;
    for (std::size_t rank = 0; rank < levels_.size(); ++rank)
      if (level_sums_[rank] > 0) sum += f(levels_[rank], level_sums_[rank]);
    return sum / total_;
  }
  template <typename Function>
  [[nodiscard]] double mean_of_cell(Function&& f) const {
    double sum = 0;
    for (const MatrixEntry& entry : entries_) sum += f(levels_[entry.row], static_cast<double>(entry.column), entry.count);
    return sum / total_;
  }

 private:
  const std::vector<MatrixEntry>& entries_;
  std::vector<double> levels_;
  std::vector<double> level_sums_;
  std::vector<std::pair<double, double>> size_sums_;  // size, count
  double total_ = 0;
  double voxels_ = 0;
};

/// The formulas, named as IBSI groups them. small = 1/j^2, large = j^2, low = 1/i^2, high = i^2.
namespace level_size {

using S = LevelSizeStatistics;

inline double small_emphasis(const S& s) { return s.mean_of_size([](double j, double n) { return n / (j * j); }); }
inline double large_emphasis(const S& s) { return s.mean_of_size([](double j, double n) { return n * j * j; }); }
inline double level_non_uniformity(const S& s) { return s.mean_of_level([](double, double n) { return n * n; }); }
inline double level_non_uniformity_normalised(const S& s) { return level_non_uniformity(s) / s.total(); }
inline double size_non_uniformity(const S& s) { return s.mean_of_size([](double, double n) { return n * n; }); }
inline double size_non_uniformity_normalised(const S& s) { return size_non_uniformity(s) / s.total(); }
inline double percentage(const S& s) { return s.total() / s.voxels(); }
inline double level_variance(const S& s) {
  const double mean = s.mean_of_level([](double i, double n) { return i * n; });
  return s.mean_of_level([&](double i, double n) { return n * (i - mean) * (i - mean); });
}
inline double size_variance(const S& s) {
  const double mean = s.mean_of_size([](double j, double n) { return j * n; });
  return s.mean_of_size([&](double j, double n) { return n * (j - mean) * (j - mean); });
}
inline double entropy(const S& s) {
  return -s.mean_of_cell([&](double, double, double n) { return n * std::log2(n / s.total() + epsilon); });
}
inline double low_level_emphasis(const S& s) { return s.mean_of_level([](double i, double n) { return n / (i * i); }); }
inline double high_level_emphasis(const S& s) { return s.mean_of_level([](double i, double n) { return n * i * i; }); }
inline double small_low_emphasis(const S& s) { return s.mean_of_cell([](double i, double j, double n) { return n / (i * i * j * j); }); }
inline double small_high_emphasis(const S& s) { return s.mean_of_cell([](double i, double j, double n) { return n * i * i / (j * j); }); }
inline double large_low_emphasis(const S& s) { return s.mean_of_cell([](double i, double j, double n) { return n * j * j / (i * i); }); }
inline double large_high_emphasis(const S& s) { return s.mean_of_cell([](double i, double j, double n) { return n * i * i * j * j; }); }

}  // namespace level_size

}  // namespace choana::processing
