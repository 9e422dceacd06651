#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "core/task_pool.h"
#include "processing/preprocessing/grid_tracer.h"
#include "processing/radiomics/image.h"

namespace choana::processing {

/// The cubic B-spline through the voxels of an image, with whole-sample mirror boundaries, held for a box of it.
/// Coefficients and samples follow ITK's operation order, because truncation of integer images makes the last bit matter.
/// Source: Unser 1999, box 2, with the truncated first sum of ITK.
class CubicSpline {
 public:
  /// support: the box of voxels (within the image) whose coefficients will be read.
  CubicSpline(const ScalarVolume& image, const VoxelBox& support, TaskPool* pool);

  /// The spline at a continuous index inside the image.
  [[nodiscard]] double at(const Vector3& index) const;

  /// Sample a grid: values lie i fastest; points outside the image keep what `values` holds.
  void sample(const GridTracer& tracer, const Index3& grid_size, std::vector<double>& values, TaskPool* pool) const;

 private:
  class BlockSampler;

  [[nodiscard]] const double* row(int j, int k) const {
    return coefficients_.data() + (static_cast<std::size_t>(k - box_.lower[2]) * static_cast<std::size_t>(box_.size[1]) +
                                   static_cast<std::size_t>(j - box_.lower[1])) * row_stride_;
  }

  Index3 image_size_;
  VoxelBox box_;
  std::size_t row_stride_;              // box_.size[0] rounded up to whole vectors
  std::vector<double> coefficients_;    // of the box, i fastest
};

}  // namespace choana::processing
