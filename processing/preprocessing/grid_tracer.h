#pragma once

#include "core/geometry.h"
#include "processing/itk/grid.h"

namespace choana::processing {

/// Where the samples of one output row lie in the input: a straight line, as ITK traces it.
struct RowTrace {
  Vector3 start{};
  Vector3 step{};
  double length = 1;

  [[nodiscard]] double at(int i, std::size_t axis) const { return start[axis] + static_cast<double>(i) / length * step[axis]; }
  [[nodiscard]] Vector3 at(int i) const { return {at(i, 0), at(i, 1), at(i, 2)}; }
};

/// Maps rows of an output grid into continuous indices of an input grid, to the last bit as ITK's resampling does.
class GridTracer {
 public:
  GridTracer(const VolumeGeometry& input, const VolumeGeometry& output) : input_(itk_grid(input)), output_(itk_grid(output)), row_length_(output.size()[0]) {}

  [[nodiscard]] RowTrace row(int j, int k) const {
    RowTrace trace;
    trace.start = map({0, static_cast<double>(j), static_cast<double>(k)});
    trace.step = map({static_cast<double>(row_length_), static_cast<double>(j), static_cast<double>(k)}) - trace.start;
    trace.length = row_length_;
    return trace;
  }

  [[nodiscard]] Vector3 map(const Vector3& index) const { return input_.index_from_patient(output_.patient_from_index(index)); }

 private:
  ItkGrid input_;
  ItkGrid output_;
  int row_length_;
};

/// Does ITK take a continuous index for one inside the buffer?
[[nodiscard]] inline bool inside_buffer(double index, int size) { return index >= -0.5 && index < static_cast<double>(size) - 0.5; }
[[nodiscard]] inline bool inside_buffer(const Vector3& index, const Index3& size) {
  return inside_buffer(index[0], size[0]) && inside_buffer(index[1], size[1]) && inside_buffer(index[2], size[2]);
}

}  // namespace choana::processing
