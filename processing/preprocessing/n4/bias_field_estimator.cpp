#include "processing/preprocessing/n4/bias_field_estimator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/vectorised.h"
#include "processing/preprocessing/n4/intensity_sharpening.h"
#include "processing/preprocessing/n4/running_variation.h"

namespace choana::processing {
namespace {

tl::unexpected<Error> refuse(ErrorCode code, std::string message) { return fail(code, "n4", std::move(message)); }

std::size_t index_of(int value) { return static_cast<std::size_t>(value); }

/// Denominators up to this are none (ITK: zero within a tenth of float's epsilon).
constexpr double denominator_floor = 0.1 * static_cast<double>(std::numeric_limits<float>::epsilon());
constexpr std::size_t lattice_values_max = std::size_t{1} << 22;
/// Slices whose sums are held at the same time.
constexpr std::size_t slices_at_once = 32;
/// Below this many voxels waking threads costs more than they save.
constexpr std::size_t parallel_from = 30'000;

/// A row of the grid that holds included voxels: x from first to last - 1, of which begin .. end - 1 of the packed arrays.
struct Row {
  int j = 0;
  int first = 0;
  int last = 0;
  std::size_t begin = 0;
  std::size_t end = 0;
  [[nodiscard]] bool contiguous() const { return end - begin == index_of(last - first); }
};

struct Slice {
  int k = 0;
  std::vector<Row> rows;
  [[nodiscard]] std::size_t begin() const { return rows.front().begin; }
  [[nodiscard]] std::size_t end() const { return rows.back().end; }
};

/// The included voxels in raster order.
struct Included {
  std::vector<Slice> slices;            // those that hold any
  std::vector<std::int32_t> x;
  std::vector<float> log_image;
  std::vector<float> confidence;        // empty: 1
  [[nodiscard]] std::size_t count() const { return log_image.size(); }
};

/// A sum of products in eight parts: the same on every processor, and without a chain of additions that wait for each other.
template <typename Sum>
inline Sum dot_lanes(const float* a, const float* b, int count) {
  constexpr int lanes = 8;
  Sum part[lanes] = {};
  int n = 0;
  for (; n + lanes <= count; n += lanes)
    for (int lane = 0; lane < lanes; ++lane) part[lane] += static_cast<Sum>(a[n + lane]) * static_cast<Sum>(b[n + lane]);
  Sum rest = 0;
  for (; n < count; ++n) rest += static_cast<Sum>(a[n]) * static_cast<Sum>(b[n]);
  return ((part[0] + part[4]) + (part[1] + part[5])) + ((part[2] + part[6]) + (part[3] + part[7])) + rest;
}

CHOANA_VECTORISED float dot(const float* a, const float* b, int count) { return dot_lanes<float>(a, b, count); }

/// The series of exp up to x^4 / 24, in double: exact to float's last place for |x| <= 0.01. Returns whether all are.
CHOANA_VECTORISED bool exponentials_near_0(const float* d, std::size_t count, float* result) {
  std::int32_t far = 0;
  for (std::size_t n = 0; n < count; ++n) {
    const auto x = static_cast<double>(d[n]);
    far |= std::fabs(d[n]) > 0.01F ? 1 : 0;
    result[n] = static_cast<float>(1.0 + x * (1.0 + x * (1.0 / 2 + x * (1.0 / 6 + x * (1.0 / 24)))));
  }
  return far == 0;
}

/// The series up to x^7 / 5040: |x| <= 0.3.
float exponential(float d) {
  if (std::fabs(d) > 0.3F) return std::exp(d);
  const auto x = static_cast<double>(d);
  return static_cast<float>(1.0 + x * (1.0 + x * (1.0 / 2 + x * (1.0 / 6 + x * (1.0 / 24 + x * (1.0 / 120 + x * (1.0 / 720 + x * (1.0 / 5040))))))));
}

/// exp of differences of fields, which are small but for the first iterations, in place.
void exponentials(float* values, std::size_t count) {
  constexpr std::size_t block = 256;
  float result[block];
  for (std::size_t start = 0; start < count; start += block) {
    const std::size_t length = std::min(block, count - start);
    float* d = values + start;
    if (!exponentials_near_0(d, length, result))
      for (std::size_t n = 0; n < length; ++n) result[n] = exponential(d[n]);
    std::copy_n(result, length, d);
  }
}

/// Range of log_image - field.
CHOANA_VECTORISED void widen_range(const float* log_image, const float* field, std::size_t count, float& lowest, float& highest) {
  constexpr std::size_t lanes = 8;
  float low[lanes], high[lanes];
  std::fill_n(low, lanes, lowest);
  std::fill_n(high, lanes, highest);
  std::size_t n = 0;
  for (; n + lanes <= count; n += lanes)
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const float v = log_image[n + lane] - field[n + lane];
      low[lane] = v < low[lane] ? v : low[lane];
      high[lane] = v > high[lane] ? v : high[lane];
    }
  for (; n < count; ++n) {
    low[0] = std::min(low[0], log_image[n] - field[n]);
    high[0] = std::max(high[0], log_image[n] - field[n]);
  }
  lowest = *std::min_element(low, low + lanes);
  highest = *std::max_element(high, high + lanes);
}

/// The new field at the voxels of a row, and by how much it fell.
CHOANA_VECTORISED void replace_field(const float* next, std::size_t count, float* field, float* update) {
  for (std::size_t n = 0; n < count; ++n) {
    update[n] = field[n] - next[n];
    field[n] = next[n];
  }
}

/// The matrices b^2 and b^3 / S of an axis, control point by control point, with the range of samples each one reaches.
struct FitAxis {
  struct Reach {
    int begin = 0;
    int end = 0;
  };
  int samples = 0;
  std::vector<Reach> reach;       // of each control point
  std::vector<float> squares;     // [control point][sample], 0 outside the reach
  std::vector<float> cubes;
  SplineAxis axis;

  explicit FitAxis(SplineAxis of) : samples(of.samples), reach(index_of(of.control_points), {of.samples, 0}), axis(std::move(of)) {
    squares.assign(reach.size() * index_of(samples), 0.0F);
    cubes = squares;
    for (int x = 0; x < samples; ++x)
      for (int tap = 0; tap <= axis.order; ++tap) {
        const int point = axis.first[index_of(x)] + tap;
        const std::size_t at = index_of(point) * index_of(samples) + index_of(x);
        squares[at] = static_cast<float>(square(x, tap));
        cubes[at] = static_cast<float>(cube(x, tap));
        Reach& reached = reach[index_of(point)];
        reached.begin = std::min(reached.begin, x);
        reached.end = std::max(reached.end, x + 1);
      }
  }

  [[nodiscard]] double square(int sample, int tap) const { return axis.weight(sample, tap) * axis.weight(sample, tap); }
  /// b^3 / S, S being the sum of b^2 at this sample.
  [[nodiscard]] double cube(int sample, int tap) const {
    double sum = 0;
    for (int other = 0; other <= axis.order; ++other) sum += square(sample, other);
    return square(sample, tap) * axis.weight(sample, tap) / sum;
  }
};

enum class Kind { square, cube };

/// Where one thread at a time works on a slice.
struct Scratch {
  std::vector<float> row, values;
  std::vector<double> collapsed;
  std::vector<float> control;
};

class Estimator {
 public:
  Estimator(const Index3& size, Included included, const N4Parameters& parameters, TaskPool* pool)
      : size_(size), included_(std::move(included)), parameters_(parameters), pool_(included_.count() >= parallel_from ? pool : nullptr) {
    field_.assign(included_.count(), 0.0F);
    updates_.resize(included_.count());
    lows_.resize(included_.slices.size());
    highs_.resize(included_.slices.size());
  }

  Result<BiasFieldEstimate> run() {
    BiasFieldEstimate estimate;
    estimate.included_voxels = included_.count();
    Index3 points = parameters_.control_points;
    Index3 order;
    for (std::size_t a = 0; a < 3; ++a) {
      order[a] = size_[a] == 1 ? 0 : parameters_.spline_order;
      if (size_[a] == 1) points[a] = 1;
    }
    BSplineLattice lattice(points, order);
    for (std::size_t s = 0; s < included_.slices.size(); ++s) find_range(s);
    const auto threshold = static_cast<float>(parameters_.convergence_threshold);
    for (std::size_t level = 0; level < parameters_.iterations.size(); ++level) {
      if (level > 0) lattice = refined(lattice);
      const std::array<FitAxis, 3> axes = make_axes(lattice);
      const std::vector<double> denominator = accumulate(axes, Kind::square, nullptr);
      const RowEvaluator rows(axes[0].axis);
      BiasFieldLevel done;
      float convergence = std::numeric_limits<float>::max();
      while (done.iterations < parameters_.iterations[level] && convergence > threshold) {
        const IntensityBins bins = make_bins(lowest(), highest(), parameters_.histogram_bins);
        if (!bins.usable())
          return refuse(ErrorCode::degenerate_input, done.iterations == 0 && level == 0 ? "The included voxels all have one value: there is no bias field to find."
                                                                                         : "The bias field does not converge on this image.");
        const std::vector<float> table = sharpening_table(count(bins), bins, static_cast<float>(parameters_.full_width_at_half_maximum),
                                                          static_cast<float>(parameters_.wiener_noise));
        const SharpeningLookup lookup(table, bins);
        const std::vector<double> numerator = accumulate(axes, Kind::cube, &lookup);
        for (std::size_t n = 0; n < numerator.size(); ++n) {
          const double phi = denominator[n] > denominator_floor ? numerator[n] / denominator[n] : 0.0;
          if (std::isfinite(phi)) lattice.values[n] += phi;
        }
        convergence = update_field(lattice, axes, rows);
        if (!std::isfinite(convergence)) return refuse(ErrorCode::degenerate_input, "The bias field does not converge on this image.");
        ++done.iterations;
      }
      done.convergence = static_cast<double>(convergence);
      estimate.levels.push_back(done);
    }
    if (!std::all_of(lattice.values.begin(), lattice.values.end(), [](double v) { return std::isfinite(v); }))
      return refuse(ErrorCode::degenerate_input, "The bias field does not converge on this image.");
    estimate.lattice = std::move(lattice);
    return estimate;
  }

 private:
  std::array<FitAxis, 3> make_axes(const BSplineLattice& lattice) const {
    const auto axis = [&](std::size_t a) { return FitAxis(stretched_axis(size_[a], lattice.size[a], lattice.order[a])); };
    return {axis(0), axis(1), axis(2)};
  }

  /// Range of v over a slice, but for the very first included voxel, which ITK tries as maximum only.
  void find_range(std::size_t slice) {
    const std::size_t begin = std::max<std::size_t>(included_.slices[slice].begin(), 1);
    const std::size_t end = included_.slices[slice].end();
    lows_[slice] = std::numeric_limits<float>::infinity();
    highs_[slice] = -std::numeric_limits<float>::infinity();
    widen_range(included_.log_image.data() + begin, field_.data() + begin, end - begin, lows_[slice], highs_[slice]);
  }

  [[nodiscard]] float value_at(std::size_t n) const { return included_.log_image[n] - field_[n]; }

  [[nodiscard]] float highest() const { return std::max(value_at(0), *std::max_element(highs_.begin(), highs_.end())); }

  /// ITK's minimum: a voxel that raises the running maximum is not tried. That changes the result only if the first voxel alone has the lowest value.
  [[nodiscard]] float lowest() const {
    const float low = *std::min_element(lows_.begin(), lows_.end());
    if (low <= value_at(0)) return low;
    float maximum = value_at(0);
    float minimum = std::numeric_limits<float>::infinity();
    for (std::size_t n = 1; n < included_.count(); ++n) {
      const float v = value_at(n);
      if (v > maximum)
        maximum = v;
      else if (v < minimum)
        minimum = v;
    }
    // Values that only ever rise leave ITK without a minimum and with a meaningless histogram; here the first one is it.
    return std::isinf(minimum) ? value_at(0) : minimum;
  }

  [[nodiscard]] std::vector<double> count(const IntensityBins& bins) const {
    const std::size_t parts = pool_ == nullptr ? 1 : std::clamp<std::size_t>(included_.count() / parallel_from, 1, 16);
    std::vector<TriangularHistogram> histograms(parts, TriangularHistogram(bins.count));
    run_tasks(pool_, parts, [&](std::size_t part) {
      const std::size_t begin = included_.count() * part / parts;
      const std::size_t end = included_.count() * (part + 1) / parts;
      histograms[part].add(included_.log_image.data() + begin, field_.data() + begin, end - begin, bins);
    });
    for (std::size_t part = 1; part < parts; ++part) histograms[0].add(histograms[part]);
    return histograms[0].counts();
  }

  /// For every control point the sum over the included voxels of weight times w, or times w r: the residuals of `lookup`.
  [[nodiscard]] std::vector<double> accumulate(const std::array<FitAxis, 3>& axes, Kind kind, const SharpeningLookup* lookup) const {
    const std::size_t m0 = axes[0].reach.size(), m1 = axes[1].reach.size(), m2 = axes[2].reach.size();
    const std::size_t slices = included_.slices.size();
    std::vector<double> sums(m0 * m1 * m2, 0.0);
    std::vector<double> planes;
    for (std::size_t start = 0; start < slices; start += slices_at_once) {
      const std::size_t held = std::min(slices_at_once, slices - start);
      planes.assign(held * m0 * m1, 0.0);
      run_tasks(pool_, held, [&](std::size_t s) { accumulate_slice(axes, kind, lookup, included_.slices[start + s], planes.data() + s * m0 * m1); });
      for (std::size_t s = 0; s < held; ++s) {
        const int k = included_.slices[start + s].k;
        for (int tap = 0; tap <= axes[2].axis.order; ++tap) {
          const double weight = kind == Kind::square ? axes[2].square(k, tap) : axes[2].cube(k, tap);
          double* to = sums.data() + index_of(axes[2].axis.first[index_of(k)] + tap) * m0 * m1;
          const double* from = planes.data() + s * m0 * m1;
          for (std::size_t n = 0; n < m0 * m1; ++n) to[n] += weight * from[n];
        }
      }
    }
    return sums;
  }

  void accumulate_slice(const std::array<FitAxis, 3>& axes, Kind kind, const SharpeningLookup* lookup, const Slice& slice, double* plane) const {
    const FitAxis& along = axes[0];
    const std::size_t m0 = along.reach.size();
    Scratch scratch;
    scratch.row.resize(index_of(size_[0]));
    scratch.values.resize(index_of(size_[0]));
    scratch.collapsed.resize(m0);
    for (const Row& row : slice.rows) {
      const std::size_t count = row.end - row.begin;
      float* values = row.contiguous() ? scratch.row.data() + row.first : scratch.values.data();
      if (lookup == nullptr)
        std::fill_n(values, count, 1.0F);
      else
        lookup->residuals(included_.log_image.data() + row.begin, field_.data() + row.begin, count, values);
      if (!included_.confidence.empty())
        for (std::size_t n = 0; n < count; ++n) values[n] *= included_.confidence[row.begin + n];
      if (!row.contiguous()) {
        std::fill(scratch.row.begin() + row.first, scratch.row.begin() + row.last, 0.0F);
        for (std::size_t n = 0; n < count; ++n) scratch.row[index_of(included_.x[row.begin + n])] = values[n];
      }
      const float* matrix = kind == Kind::square ? along.squares.data() : along.cubes.data();
      for (std::size_t point = 0; point < m0; ++point) {
        const int begin = std::max(row.first, along.reach[point].begin);
        const int end = std::min(row.last, along.reach[point].end);
        double sum = 0;
        if (begin < end) {
          const float* weights = matrix + point * index_of(size_[0]) + begin;
          const float* voxels = scratch.row.data() + begin;
          // The denominators decide which control points have any support, and are made once a level: in double.
          sum = lookup == nullptr ? dot_lanes<double>(weights, voxels, end - begin) : static_cast<double>(dot(weights, voxels, end - begin));
        }
        scratch.collapsed[point] = sum;
      }
      for (int tap = 0; tap <= axes[1].axis.order; ++tap) {
        const double weight = kind == Kind::square ? axes[1].square(row.j, tap) : axes[1].cube(row.j, tap);
        double* to = plane + index_of(axes[1].axis.first[index_of(row.j)] + tap) * m0;
        for (std::size_t point = 0; point < m0; ++point) to[point] += weight * scratch.collapsed[point];
      }
    }
  }

  /// The field of the lattice at the included voxels. Returns how much it changed.
  float update_field(const BSplineLattice& lattice, const std::array<FitAxis, 3>& axes, const RowEvaluator& rows) {
    run_tasks(pool_, included_.slices.size(), [&](std::size_t s) {
      const Slice& slice = included_.slices[s];
      Scratch scratch;
      scratch.row.resize(index_of(size_[0]));
      collapse_slice(lattice, axes[2].axis, slice.k, scratch.collapsed);
      for (const Row& row : slice.rows) {
        collapse_row(lattice.size, scratch.collapsed, axes[1].axis, row.j, scratch.control);
        rows.evaluate(scratch.control.data(), row.first, row.last, scratch.row.data());
        float* field = field_.data() + row.begin;
        float* update = updates_.data() + row.begin;
        const std::size_t count = row.end - row.begin;
        if (row.contiguous()) {
          replace_field(scratch.row.data() + row.first, count, field, update);
        } else {
          const std::int32_t* x = included_.x.data() + row.begin;
          for (std::size_t n = 0; n < count; ++n) {
            const float next = scratch.row[index_of(x[n])];
            update[n] = field[n] - next;
            field[n] = next;
          }
        }
      }
      const std::size_t begin = slice.begin();
      exponentials(updates_.data() + begin, slice.end() - begin);
      find_range(s);
    });
    RunningVariation variation;
    variation.add(updates_.data(), updates_.size());
    return variation.value();
  }

  Index3 size_;
  Included included_;
  const N4Parameters& parameters_;
  TaskPool* pool_;
  std::vector<float> field_;             // of the included voxels
  std::vector<float> updates_;           // exp(f - f_new)
  std::vector<float> lows_, highs_;      // of v, slice by slice
};

Result<Included> include_voxels(const Index3& size, std::span<const float> image, std::span<const std::uint8_t> mask, std::span<const float> confidence) {
  Included included;
  std::size_t at = 0;
  std::size_t count = 0;
  for (std::size_t n = 0; n < image.size(); ++n) count += (mask.empty() || mask[n] != 0) && (confidence.empty() || confidence[n] > 0) ? 1U : 0U;
  if (count == 0) return refuse(ErrorCode::degenerate_input, "No voxel is included in the fit of the bias field: the mask is empty on the (shrunk) grid.");
  included.x.reserve(count);
  included.log_image.reserve(count);
  if (!confidence.empty()) included.confidence.reserve(count);
  for (int k = 0; k < size[2]; ++k) {
    Slice slice{k, {}};
    for (int j = 0; j < size[1]; ++j) {
      Row row{j, 0, 0, included.count(), 0};
      for (int i = 0; i < size[0]; ++i, ++at) {
        if (!mask.empty() && mask[at] == 0) continue;
        if (!confidence.empty() && !(confidence[at] > 0)) continue;
        const float value = image[at];
        if (!std::isfinite(value) || (!confidence.empty() && !std::isfinite(confidence[at])))
          return refuse(ErrorCode::degenerate_input, "A voxel of the image, or its confidence, is not a finite number.");
        if (row.begin == included.count()) row.first = i;
        row.last = i + 1;
        included.x.push_back(i);
        included.log_image.push_back(value > 0 ? std::log(value) : value);
        if (!confidence.empty()) included.confidence.push_back(confidence[at]);
      }
      row.end = included.count();
      if (row.end > row.begin) slice.rows.push_back(row);
    }
    if (!slice.rows.empty()) included.slices.push_back(std::move(slice));
  }
  return included;
}

}  // namespace

Status check_n4_parameters(const N4Parameters& n4) {
  const bool levels_fine = !n4.iterations.empty() && n4.iterations.size() <= 10 &&
                           std::all_of(n4.iterations.begin(), n4.iterations.end(), [](int n) { return n >= 1 && n <= 10000; });
  if (!levels_fine) return refuse(ErrorCode::invalid_argument, "N4 needs 1 to 10 levels of 1 to 10000 iterations.");
  if (n4.spline_order < 1 || n4.spline_order > 9) return refuse(ErrorCode::invalid_argument, "The spline order of N4 is 1 to 9.");
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (n4.shrink[axis] < 1 || n4.shrink[axis] > 64) return refuse(ErrorCode::invalid_argument, "N4 shrink factors are 1 to 64.");
    if (n4.control_points[axis] <= n4.spline_order || n4.control_points[axis] > 64)
      return refuse(ErrorCode::invalid_argument, "N4 needs " + std::to_string(n4.spline_order + 1) + " to 64 control points an axis: more than the spline order.");
  }
  // Negated comparisons, so that what is not a number fails them too.
  const auto within = [](double value, double low, double high) { return value >= low && value <= high; };
  if (n4.histogram_bins < 2 || n4.histogram_bins > 100000 || !within(n4.full_width_at_half_maximum, 1e-6, 1e6) || !within(n4.wiener_noise, 1e-12, 1e12) ||
      !within(n4.convergence_threshold, 0, 1e6))
    return refuse(ErrorCode::invalid_argument, "N4 histogram bins are 2 to 100000; width and noise are positive numbers, the threshold is not negative.");
  return {};
}

Result<BiasFieldEstimate> estimate_bias_field(const Index3& size, std::span<const float> image, std::span<const std::uint8_t> mask,
                                              std::span<const float> confidence, const N4Parameters& parameters, TaskPool* pool) {
  if (auto status = check_n4_parameters(parameters); !status) return fail(status.error());
  std::size_t voxels = 1;
  for (const int samples : size) {
    if (samples < 1) return refuse(ErrorCode::invalid_argument, "There is no image to fit a bias field to.");
    voxels *= index_of(samples);
  }
  if (image.size() != voxels || (!mask.empty() && mask.size() != voxels) || (!confidence.empty() && confidence.size() != voxels))
    return refuse(ErrorCode::invalid_argument, "Image, mask and confidence differ in size.");
  std::size_t points = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    std::size_t spans = index_of(parameters.control_points[axis] - parameters.spline_order);
    for (std::size_t level = 1; level < parameters.iterations.size(); ++level) spans *= 2;
    points *= size[axis] == 1 ? 1 : spans + index_of(parameters.spline_order);
  }
  if (points > lattice_values_max)
    return refuse(ErrorCode::limit_exceeded, "The last level of N4 would have " + std::to_string(points) + " control points; use fewer levels or control points.");
  auto included = include_voxels(size, image, mask, confidence);
  if (!included) return fail(included.error());
  return Estimator(size, std::move(*included), parameters, pool).run();
}

}  // namespace choana::processing
