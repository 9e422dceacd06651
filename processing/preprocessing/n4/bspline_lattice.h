#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "core/geometry.h"
#include "core/task_pool.h"

namespace choana::processing {

/// Weights of a uniform B-spline of order q between two knots: b_0 .. b_q for the q + 1 control points that reach there, lowest first.
/// t: position between the knots, 0 <= t <= 1. They add up to 1; cubic: (1-t)^3/6, (3t^3-6t^2+4)/6, (-3t^3+3t^2+3t+1)/6, t^3/6.
/// Source: de Boor's recurrence on whole-numbered knots.
[[nodiscard]] std::vector<double> bspline_weights(int order, double t);

/// What one control point becomes when the spans are halved: new_j = sum over i of weight(j - 2i) c_i, with weight(d) = C(q+1, d+q) / 2^q, for which
/// d runs from -q to 1. Returned for d = -q .. 1. Cubic: 1/8, 4/8, 6/8, 4/8, 1/8. Source: Lee, Wolberg, Shin 1997, section 4.2, for any order.
[[nodiscard]] std::vector<double> refinement_weights(int order);

/// One axis of a spline domain: for each sample the control points that reach it, and their weights.
struct SplineAxis {
  int samples = 0;
  int control_points = 0;
  int order = 0;
  std::vector<int> first;        // of sample x: the lowest control point that reaches it
  std::vector<double> weights;   // of sample x: weights[x * (order + 1) + tap]

  [[nodiscard]] double weight(int sample, int tap) const {
    return weights[static_cast<std::size_t>(sample) * static_cast<std::size_t>(order + 1) + static_cast<std::size_t>(tap)];
  }
};

/// The samples stretched over the whole domain, first sample at its beginning, last at its end, where the last is pulled in by a thousandth of a voxel as
/// ITK does. samples >= 2, or 1 with one control point of order 0 (an axis on which nothing changes). control_points > order.
[[nodiscard]] SplineAxis stretched_axis(int samples, int control_points, int order);

/// `samples` voxels evaluated where they lie on a grid of fitted_samples that took every shrink-th voxel beginning with `offset`; constant beyond the first
/// and the last of these.
[[nodiscard]] SplineAxis aligned_axis(int samples, int control_points, int order, int fitted_samples, int offset, int shrink);

/// Control points of a tensor product B-spline in three dimensions, i fastest.
struct BSplineLattice {
  Index3 size{0, 0, 0};
  Index3 order{3, 3, 3};         // an axis of order 0 has one control point and stays as it is
  std::vector<double> values;

  BSplineLattice() = default;
  /// All values 0.
  BSplineLattice(const Index3& control_points, const Index3& orders);
};

/// The same function with twice the spans on every axis: m -> 2m - q control points.
[[nodiscard]] BSplineLattice refined(const BSplineLattice& lattice);

/// Values of the spline at all samples, i fastest. Sums along j and k are double, along i float.
[[nodiscard]] std::vector<float> evaluate(const BSplineLattice& lattice, const std::array<SplineAxis, 3>& axes, TaskPool* pool = nullptr);

/// The weights of an axis as the evaluation of rows wants them: tap by tap in float, with the ranges of samples that share their control points.
class RowEvaluator {
 public:
  explicit RowEvaluator(const SplineAxis& axis);

  /// row[x] = sum of weights times g for first <= x < last; g: one value a control point.
  void evaluate(const float* g, int first, int last, float* row) const;

 private:
  struct Span {
    int begin, end, control_point;
  };
  int samples_, order_;
  std::vector<Span> spans_;
  std::vector<float> taps_;  // taps_[tap * samples + x]
};

/// The lattice summed along k for slice k, then along j for row j: what remains is one value for each control point of the row.
/// plane: size[0] * size[1] values. row: size[0] values.
void collapse_slice(const BSplineLattice& lattice, const SplineAxis& axis, int k, std::vector<double>& plane);
void collapse_row(const Index3& lattice_size, const std::vector<double>& plane, const SplineAxis& axis, int j, std::vector<float>& row);

}  // namespace choana::processing
