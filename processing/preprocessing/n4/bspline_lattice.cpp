#include "processing/preprocessing/n4/bspline_lattice.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "core/vectorised.h"

namespace choana::processing {
namespace {

std::size_t index_of(int value) { return static_cast<std::size_t>(value); }

SplineAxis axis_at(const std::vector<double>& positions, int control_points, int order) {
  SplineAxis axis;
  axis.samples = static_cast<int>(positions.size());
  axis.control_points = control_points;
  axis.order = order;
  axis.first.reserve(positions.size());
  axis.weights.reserve(positions.size() * index_of(order + 1));
  for (const double u : positions) {
    const int span = std::min(static_cast<int>(u), std::max(0, control_points - order - 1));
    axis.first.push_back(span);
    const std::vector<double> b = bspline_weights(order, u - span);
    axis.weights.insert(axis.weights.end(), b.begin(), b.end());
  }
  return axis;
}

SplineAxis flat_axis(int samples) { return axis_at(std::vector<double>(index_of(samples), 0.0), 1, 0); }

// The end of the domain belongs to no span; ITK's epsilon moves the sample there inside.
double pulled_in(double u, int spans, int samples) {
  const double epsilon = 1e-3 * spans / (samples - 1);
  return std::abs(u - spans) <= epsilon ? spans - epsilon : u;
}

/// row = b0 g0 + b1 g1 + b2 g2 + b3 g3, the four taps lying `stride` apart.
CHOANA_VECTORISED void sum_cubic(const float* taps, std::ptrdiff_t stride, const float* g, int begin, int end, float* row) {
  const float* b0 = taps;
  const float* b1 = taps + stride;
  const float* b2 = taps + 2 * stride;
  const float* b3 = taps + 3 * stride;
  const float g0 = g[0], g1 = g[1], g2 = g[2], g3 = g[3];
  for (int x = begin; x < end; ++x) row[x] = b0[x] * g0 + b1[x] * g1 + b2[x] * g2 + b3[x] * g3;
}

}  // namespace

std::vector<double> bspline_weights(int order, double t) {
  std::vector<double> b{1.0};
  for (int degree = 1; degree <= order; ++degree) {
    std::vector<double> next(index_of(degree + 1), 0.0);
    for (int i = 0; i <= degree; ++i) {
      if (i > 0) next[index_of(i)] += (t - i + degree) / degree * b[index_of(i - 1)];
      if (i < degree) next[index_of(i)] += (i + 1 - t) / degree * b[index_of(i)];
    }
    b = std::move(next);
  }
  return b;
}

std::vector<double> refinement_weights(int order) {
  std::vector<double> weights;
  double binomial = 1;
  for (int r = 0; r <= order + 1; ++r) {
    weights.push_back(std::ldexp(binomial, -order));
    binomial = binomial * (order + 1 - r) / (r + 1);
  }
  return weights;
}

SplineAxis stretched_axis(int samples, int control_points, int order) {
  if (order == 0) return flat_axis(samples);
  assert(samples >= 2 && control_points > order);
  const int spans = control_points - order;
  std::vector<double> positions;
  for (int x = 0; x < samples; ++x) positions.push_back(pulled_in(static_cast<double>(spans) * x / (samples - 1), spans, samples));
  return axis_at(positions, control_points, order);
}

SplineAxis aligned_axis(int samples, int control_points, int order, int fitted_samples, int offset, int shrink) {
  if (order == 0) return flat_axis(samples);
  assert(fitted_samples >= 2 && control_points > order && shrink >= 1);
  const int spans = control_points - order;
  std::vector<double> positions;
  for (int x = 0; x < samples; ++x) {
    const double at = std::clamp(static_cast<double>(x - offset) / shrink, 0.0, static_cast<double>(fitted_samples - 1));
    positions.push_back(pulled_in(spans * at / (fitted_samples - 1), spans, fitted_samples));
  }
  return axis_at(positions, control_points, order);
}

BSplineLattice::BSplineLattice(const Index3& control_points, const Index3& orders)
    : size(control_points), order(orders), values(index_of(size[0]) * index_of(size[1]) * index_of(size[2]), 0.0) {}

BSplineLattice refined(const BSplineLattice& lattice) {
  BSplineLattice current = lattice;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const int q = current.order[axis];
    if (q == 0) continue;
    const std::vector<double> weights = refinement_weights(q);
    const int m = current.size[axis];
    Index3 size = current.size;
    size[axis] = 2 * m - q;
    BSplineLattice next(size, current.order);
    // Before and after the axis: values that lie inside one step of it, and how many such groups there are.
    const std::size_t inner = axis == 0 ? 1 : axis == 1 ? index_of(size[0]) : index_of(size[0]) * index_of(size[1]);
    const std::size_t outer = axis == 0 ? index_of(size[1]) * index_of(size[2]) : axis == 1 ? index_of(size[2]) : 1;
    for (std::size_t o = 0; o < outer; ++o)
      for (int j = 0; j < size[axis]; ++j)
        for (int i = std::max(0, j / 2); i < m && 2 * i <= j + q; ++i) {
          const double weight = weights[index_of(j - 2 * i + q)];
          const double* from = current.values.data() + (o * index_of(m) + index_of(i)) * inner;
          double* to = next.values.data() + (o * index_of(size[axis]) + index_of(j)) * inner;
          for (std::size_t n = 0; n < inner; ++n) to[n] += weight * from[n];
        }
    current = std::move(next);
  }
  return current;
}

RowEvaluator::RowEvaluator(const SplineAxis& axis) : samples_(axis.samples), order_(axis.order) {
  for (int x = 0; x < samples_; ++x) {
    const int control_point = axis.first[index_of(x)];
    if (spans_.empty() || spans_.back().control_point != control_point) spans_.push_back({x, x, control_point});
    spans_.back().end = x + 1;
  }
  taps_.reserve(axis.weights.size());
  for (int tap = 0; tap <= order_; ++tap)
    for (int x = 0; x < samples_; ++x) taps_.push_back(static_cast<float>(axis.weight(x, tap)));
}

void RowEvaluator::evaluate(const float* g, int first, int last, float* row) const {
  for (const Span& span : spans_) {
    const int begin = std::max(first, span.begin);
    const int end = std::min(last, span.end);
    if (begin >= end) continue;
    const float* values = g + span.control_point;
    const float* taps = taps_.data();
    if (order_ == 3) {
      sum_cubic(taps, samples_, values, begin, end, row);
      continue;
    }
    for (int x = begin; x < end; ++x) row[x] = taps[x] * values[0];
    for (int tap = 1; tap <= order_; ++tap) {
      const float* b = taps + static_cast<std::ptrdiff_t>(tap) * samples_;
      const float value = values[tap];
      for (int x = begin; x < end; ++x) row[x] += b[x] * value;
    }
  }
}

void collapse_slice(const BSplineLattice& lattice, const SplineAxis& axis, int k, std::vector<double>& plane) {
  const std::size_t area = index_of(lattice.size[0]) * index_of(lattice.size[1]);
  plane.assign(area, 0.0);
  for (int tap = 0; tap <= axis.order; ++tap) {
    const double weight = axis.weight(k, tap);
    const double* from = lattice.values.data() + index_of(axis.first[index_of(k)] + tap) * area;
    for (std::size_t n = 0; n < area; ++n) plane[n] += weight * from[n];
  }
}

void collapse_row(const Index3& lattice_size, const std::vector<double>& plane, const SplineAxis& axis, int j, std::vector<float>& row) {
  const std::size_t length = index_of(lattice_size[0]);
  row.resize(length);
  for (std::size_t n = 0; n < length; ++n) {
    double sum = 0;
    for (int tap = 0; tap <= axis.order; ++tap) sum += axis.weight(j, tap) * plane[index_of(axis.first[index_of(j)] + tap) * length + n];
    row[n] = static_cast<float>(sum);
  }
}

std::vector<float> evaluate(const BSplineLattice& lattice, const std::array<SplineAxis, 3>& axes, TaskPool* pool) {
  const RowEvaluator rows(axes[0]);
  const std::size_t area = index_of(axes[0].samples) * index_of(axes[1].samples);
  std::vector<float> values(area * index_of(axes[2].samples));
  run_tasks(pool, index_of(axes[2].samples), [&](std::size_t k) {
    std::vector<double> plane;
    std::vector<float> row;
    collapse_slice(lattice, axes[2], static_cast<int>(k), plane);
    for (int j = 0; j < axes[1].samples; ++j) {
      collapse_row(lattice.size, plane, axes[1], j, row);
      rows.evaluate(row.data(), 0, axes[0].samples, values.data() + k * area + index_of(j) * index_of(axes[0].samples));
    }
  });
  return values;
}

}  // namespace choana::processing
