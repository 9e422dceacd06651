#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "processing/habitats/voxel_feature_stack.h"

namespace choana {
class TaskPool;
}

namespace choana::processing {

inline constexpr int habitats_limit = 9;  // codes HAB_1 to HAB_9

/// How a region is divided. Everything here shapes the result, and the numbers of habitats mean something only with all of it.
struct HabitatSettings {
  enum class Labels { k_means, gaussian_mixture };
  enum class Small { merge, unmeasured };
  std::optional<int> habitats;              // fixed number; empty: the number of mixture components with the lowest BIC
  int habitats_max = 8;                     // for the BIC: 1 to this
  Labels labels = Labels::k_means;          // what gives each voxel its habitat
  bool standardise = true;                  // z-scores over the region before clustering
  std::string order_by;                     // feature whose mean orders the habitats, "volume", or empty: the first feature
  bool descending = false;
  int voxels_min = 10;                      // a smaller habitat joins its nearest neighbour, or is left unmeasured
  Small small = Small::merge;
  std::uint64_t seed = 1;
  int mixture_starts = 5;
  int k_means_starts = 10;
  double tolerance = 1e-6;
  double regularisation = 1e-6;
  std::size_t fit_voxels_max = 20'000;      // the BIC of a larger region is that of so many of its voxels, drawn by the seed
};

/// Habitats of a region, before they are masks.
struct HabitatLabels {
  int chosen = 0;                                // k as fixed or chosen by the BIC
  int count = 0;                                 // habitats that are left after the rule for small ones
  std::vector<int> labels;                       // 1..count in the declared order, one a row of the stack
  std::vector<std::pair<int, double>> criterion; // (k, BIC) of every k that was fitted; empty where k was fixed
  std::vector<std::string> notes;                // sentences: sampling, limits, merged habitats, flat features
};

/// What one habitat holds.
struct HabitatStatistics {
  int number = 0;
  std::size_t voxels = 0;
  double volume_ml = 0;
  double fraction = 0;                                         // of the region
  std::vector<std::pair<std::string, double>> means;           // of the features, in their own units
  std::vector<std::pair<std::string, double>> deviations;      // standard deviations (of the population)
};

/// Divide the voxels of a region: choose k, label the voxels, settle small habitats, number them by the declared order. The same
/// stack and settings give the same labels on any machine with the same floating point, at any number of threads.
/// Errors: invalid_argument (settings out of range, unknown feature to order by), degenerate_input (all voxels alike),
/// roi_too_small (fewer voxels than a single habitat needs, or fewer different ones than k).
/// Source: Wu, Sci Rep 2025 (s41598-025-00186-0): Gaussian mixture and BIC for the number, k-means for the labels.
[[nodiscard]] Result<HabitatLabels> cluster_habitats(const VoxelFeatureStack& stack, const HabitatSettings& settings, TaskPool* pool = nullptr);

/// Volumes, fractions and mean feature values. voxel_volume_mm3: of the grid of the stack.
[[nodiscard]] std::vector<HabitatStatistics> habitat_statistics(const VoxelFeatureStack& stack, const HabitatLabels& labels, double voxel_volume_mm3);

}  // namespace choana::processing
