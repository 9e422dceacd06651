#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/voxel/kernel_geometry.h"

namespace choana::processing {

/// What the features of every kernel of one image share.
struct KernelContext {
  const KernelGeometry* geometry = nullptr;
  const std::vector<int>* levels = nullptr;        // grey level of each rank, ascending, of the whole region
  int highest_level = 0;                           // Ng of the whole region
  const std::vector<int>* first_order_levels = nullptr;  // the same for Entropy and Uniformity of first order
  bool symmetric = true;
  WeightingNorm norm = WeightingNorm::none;
  int gldm_alpha = 0;
  double voxel_array_shift = 0;
  Vector3 spacing_mm{1, 1, 1};
};

/// The features of each family in the order that `KernelEvaluator` writes them: all that the catalogue lists, and StandardDeviation of first order.
/// Empty for a family without maps.
[[nodiscard]] std::span<const std::string_view> kernel_feature_names(std::string_view family);

inline constexpr std::size_t first_order_kernel_features = 19;
inline constexpr std::size_t glcm_kernel_features = 24;
inline constexpr std::size_t glrlm_kernel_features = 16;
inline constexpr std::size_t glszm_kernel_features = 16;
inline constexpr std::size_t gldm_kernel_features = 14;
inline constexpr std::size_t ngtdm_kernel_features = 5;

/// Intensity and texture features of one kernel after another. It holds all memory that they need, so that a voxel allocates nothing; one evaluator a
/// thread. The formulas are those of processing/radiomics/families, over the few counts of a kernel; a test holds them equal.
class KernelEvaluator {
 public:
  explicit KernelEvaluator(const KernelContext& context);
  ~KernelEvaluator();
  KernelEvaluator(const KernelEvaluator&) = delete;
  KernelEvaluator& operator=(const KernelEvaluator&) = delete;

  /// Read the kernel around a voxel. ranks: the voxel in a volume of ranks (-1 outside the region) padded by the radius; offsets: of the kernel's positions.
  void load(const std::int32_t* ranks, std::span<const std::ptrdiff_t> offsets);

  /// values, first_order_ranks: as `ranks` above, values for the same voxels.
  void first_order(const double* values, const std::int32_t* first_order_ranks, std::span<const std::ptrdiff_t> offsets, double* out);

  /// `skip`: directions that are empty in the whole batch and left out, as PyRadiomics does. Returns whether another direction had no pair: then JointAverage is NaN,
  /// and PyRadiomics has no MCC for the batch.
  bool glcm(std::span<const std::uint8_t> skip, double* out);
  /// Sets seen[d] for each direction that has a pair here; true once all are set.
  bool mark_directions(std::span<std::uint8_t> seen) const;
  /// False when no line holds two voxels; then every value is NaN.
  bool glrlm(double* out);
  [[nodiscard]] bool has_runs() const;
  void glszm(double* out);
  void gldm(double* out);
  void ngtdm(double* out);

 private:
  struct Item {
    std::int32_t level = 0;   // local level
    std::int32_t size = 0;
  };
  /// A cell of `cells_` that is not zero.
  struct TouchedCell {
    std::uint32_t index = 0;
    std::uint32_t row = 0;
    std::uint32_t column = 0;
  };
  void count_level_sizes(std::span<const Item> items, int size_max, double* stats);
  void fill_without_pairs(double* out, bool kept_directions) const;
  bool glcm_weighted(double* out);
  bool glrlm_weighted(double* out);
  [[nodiscard]] std::vector<double> dense_probabilities(double total, std::vector<std::size_t>& order) const;
  [[nodiscard]] double correlation_of_single_line(double total) const;
  [[nodiscard]] double imc2_of_independent(double total) const;
  double maximal_correlation(double total);

  KernelContext context_;
  std::size_t positions_ = 0;
  std::size_t levels_max_ = 0;        // most levels that a kernel can hold

  // The kernel
  std::vector<std::int32_t> local_;   // of each position: local level, -1 outside
  std::vector<std::uint32_t> stamp_;  // by rank: last kernel that met it
  std::vector<std::int32_t> local_of_;
  std::uint32_t serial_ = 0;
  int level_count_ = 0;
  int voxels_ = 0;
  std::vector<int> level_;            // grey level of each local level
  std::vector<double> level_squared_;
  std::vector<double> level_inverse_squared_;

  // Scratch, zero between uses
  std::vector<std::uint32_t> cells_;
  std::vector<TouchedCell> touched_;
  std::vector<std::uint32_t> sums_;
  std::vector<std::uint32_t> differences_;
  std::vector<int> touched_sums_;
  std::vector<int> touched_differences_;
  std::vector<std::uint32_t> px_;
  std::vector<std::uint32_t> py_;
  std::vector<std::uint32_t> level_counts_;
  std::vector<std::uint32_t> size_counts_;
  std::vector<TouchedCell> touched_cells_;
  std::vector<Item> items_;
  std::vector<std::uint16_t> parent_;
  std::vector<std::uint32_t> zone_size_;
  std::vector<std::uint32_t> dependence_;
  std::vector<std::int64_t> neighbour_sum_;
  std::vector<std::uint32_t> neighbour_count_;
  std::vector<double> tone_count_;
  std::vector<double> tone_difference_;
  std::vector<double> sorted_;
  std::vector<double> inside_values_;
  std::vector<int> pair_a_;
  std::vector<int> pair_b_;
  std::vector<std::array<double, 5>> difference_weights_;  // 1/(1+k), 1/(1+k^2), 1/(1+k/Ng), 1/(1+k^2/Ng^2), 1/k^2
  std::vector<double> matrix_;
  std::vector<double> vector_;
  std::vector<double> root_of_count_;       // square roots of whole numbers up to the most entries of a direction
  std::vector<double> inverse_root_of_count_;
  std::vector<int> node_of_;
  std::vector<int> root_;
  std::vector<std::uint8_t> parity_;
  std::vector<std::uint32_t> first_order_stamp_;
  std::vector<std::uint32_t> first_order_count_;
  std::vector<std::int32_t> first_order_touched_;
  std::uint32_t first_order_serial_ = 0;
};

}  // namespace choana::processing
