#include "processing/itk/rigid_registration.h"

// The one place where ITK's registration is instantiated: 24 s of compiling.
#include <itkEuler3DTransform.h>
#include <itkImage.h>
#include <itkMattesMutualInformationImageToImageMetricv4.h>
#include <itkRegularStepGradientDescentOptimizerv4.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <exception>
#include <limits>
#include <new>

namespace choana::processing {
namespace {

constexpr const char* step = "register";
constexpr int rounds_max = 5;  // of the optimiser on one level

using Image = itk::Image<float, 3>;
using Transform = itk::Euler3DTransform<double>;
using Mattes = itk::MattesMutualInformationImageToImageMetricv4<Image, Image>;
using Optimizer = itk::RegularStepGradientDescentOptimizerv4<double>;

/// ITK's metric with one unit of work. SetMaximumNumberOfWorkUnits of ITK 5.2 limits the threads, not the units, and sums of several
/// units depend in their last bits on which thread came first.
class Metric : public Mattes {
 public:
  ITK_DISALLOW_COPY_AND_MOVE(Metric);
  using Self = Metric;
  using Pointer = itk::SmartPointer<Self>;
  itkNewMacro(Self)

 protected:
  Metric() {
    this->m_SparseGetValueAndDerivativeThreader->SetMaximumNumberOfThreads(1);
    this->m_SparseGetValueAndDerivativeThreader->SetNumberOfWorkUnits(1);
    this->m_DenseGetValueAndDerivativeThreader->SetMaximumNumberOfThreads(1);
    this->m_DenseGetValueAndDerivativeThreader->SetNumberOfWorkUnits(1);
  }
};

/// Numbers as a function of seed and position (SplitMix64), so that points do not depend on what was drawn before.
double uniform(std::uint64_t seed, std::uint64_t n) {
  std::uint64_t z = seed * 0xD1342543DE82EF95ULL + 0x9E3779B97F4A7C15ULL * (n + 1);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
}

/// A grid with values, of any level of the pyramid.
struct Grid {
  VolumeGeometry geometry;
  std::vector<float> values;

  /// Linear interpolation; false outside the outermost voxel centres.
  bool sample(const Vector3& point_mm, double& value) const { return sample_index(geometry.patient_to_index(point_mm), value); }
  bool sample_index(const Vector3& index, double& value) const {
    const Index3& size = geometry.size();
    std::array<int, 3> low{};
    Vector3 part{};
    for (std::size_t a = 0; a < 3; ++a) {
      if (!(index[a] >= 0) || !(index[a] <= size[a] - 1)) return false;
      low[a] = std::min(static_cast<int>(index[a]), std::max(0, size[a] - 2));
      part[a] = index[a] - low[a];
    }
    value = 0;
    for (int corner = 0; corner < 8; ++corner) {
      double weight = 1;
      std::array<int, 3> at{};
      for (std::size_t a = 0; a < 3; ++a) {
        const int up = (corner >> a) & 1;
        weight *= up != 0 ? part[a] : 1 - part[a];
        at[a] = std::min(low[a] + up, size[a] - 1);
      }
      if (weight > 0) value += weight * values[geometry.offset(at[0], at[1], at[2])];
    }
    return true;
  }
};

/// Values between the 0.2nd and 99.8th percentile: a few bright pixels must not take the bins of all others.
Result<std::vector<float>> clamped(const SeriesVolume& series) {
  std::vector<float> finite;
  finite.reserve(series.voxels().size());
  for (const float v : series.voxels())
    if (std::isfinite(v)) finite.push_back(v);
  const auto percentile = [&](double share) {
    const auto nth = finite.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(finite.size() - 1));
    std::nth_element(finite.begin(), nth, finite.end());
    return *nth;
  };
  if (finite.empty()) return fail(ErrorCode::degenerate_input, step, "A series without a single finite value cannot be registered.");
  const float low = percentile(0.002), high = percentile(0.998);
  if (!(high > low)) return fail(ErrorCode::degenerate_input, step, "A series without contrast cannot be registered.");
  std::vector<float> values(series.voxels());
  for (float& v : values) v = std::isfinite(v) ? std::clamp(v, low, high) : low;
  return values;
}

/// Otsu's threshold on 128 bins: what is above is tissue.
float foreground_threshold(const std::vector<float>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  constexpr std::size_t bins = 128;
  std::array<double, bins> histogram{};
  const double width = (static_cast<double>(*high) - *low) / bins;
  for (const float v : values) histogram[std::min(bins - 1, static_cast<std::size_t>((v - *low) / width))] += 1;
  double all = 0, sum = 0;
  for (std::size_t b = 0; b < bins; ++b) {
    all += histogram[b];
    sum += static_cast<double>(b) * histogram[b];
  }
  double below = 0, sum_below = 0, best = -1;
  std::size_t threshold = 0;
  for (std::size_t b = 0; b + 1 < bins; ++b) {
    below += histogram[b];
    sum_below += static_cast<double>(b) * histogram[b];
    if (below == 0 || below == all) continue;
    const double apart = sum_below / below - (sum - sum_below) / (all - below);
    const double between = below * (all - below) * apart * apart;
    if (between > best) {
      best = between;
      threshold = b;
    }
  }
  // Half of it: dark tissue (bone, muscle) shall count too.
  return *low + static_cast<float>(0.5 * width * static_cast<double>(threshold + 1));
}

/// A level of the pyramid: means of blocks as long as that loses nothing, then the rest of the Gaussian.
Result<Grid> level_of(const VolumeGeometry& geometry, const std::vector<float>& values, double sigma_mm) {
  Index3 factor{1, 1, 1}, size = geometry.size();
  for (std::size_t a = 0; a < 3; ++a) {
    factor[a] = std::clamp(static_cast<int>(sigma_mm / (1.2 * geometry.spacing_mm()[a])), 1, std::max(1, geometry.size()[a] / 8));
    size[a] = geometry.size()[a] / factor[a];
  }
  const Vector3 spacing{geometry.spacing_mm()[0] * factor[0], geometry.spacing_mm()[1] * factor[1], geometry.spacing_mm()[2] * factor[2]};
  const Vector3 origin = geometry.index_to_patient({0.5 * (factor[0] - 1), 0.5 * (factor[1] - 1), 0.5 * (factor[2] - 1)});
  auto made = VolumeGeometry::make(size, spacing, origin, geometry.direction());
  if (!made) return fail(made.error());
  Grid level{*made, {}};
  std::vector<double> work(level.geometry.voxel_count());
  const double share = 1.0 / (factor[0] * factor[1] * factor[2]);
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        double sum = 0;
        for (int c = 0; c < factor[2]; ++c)
          for (int b = 0; b < factor[1]; ++b)
            for (int a = 0; a < factor[0]; ++a) sum += values[geometry.offset(i * factor[0] + a, j * factor[1] + b, k * factor[2] + c)];
        work[level.geometry.offset(i, j, k)] = share * sum;
      }
  const std::size_t strides[3] = {1, static_cast<std::size_t>(size[0]), static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1])};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double own = geometry.spacing_mm()[axis] * geometry.spacing_mm()[axis] * (factor[axis] * factor[axis] - 1) / 12.0;
    const double sigma = std::sqrt(std::max(0.0, sigma_mm * sigma_mm - own)) / spacing[axis];
    if (sigma < 0.2 || size[axis] < 2) continue;
    std::vector<double> kernel(static_cast<std::size_t>(std::ceil(3 * sigma)) + 1);
    double all = 0;
    for (std::size_t n = 0; n < kernel.size(); ++n) all += (n == 0 ? 1 : 2) * (kernel[n] = std::exp(-0.5 * static_cast<double>(n * n) / (sigma * sigma)));
    const auto count = static_cast<std::ptrdiff_t>(size[axis]);
    std::vector<double> line(static_cast<std::size_t>(count));
    for (std::size_t at = 0; at < work.size(); ++at) {
      if (at / strides[axis] % static_cast<std::size_t>(count) != 0) continue;
      for (std::ptrdiff_t n = 0; n < count; ++n) line[static_cast<std::size_t>(n)] = work[at + static_cast<std::size_t>(n) * strides[axis]];
      for (std::ptrdiff_t n = 0; n < count; ++n) {
        double sum = kernel[0] * line[static_cast<std::size_t>(n)];
        for (std::ptrdiff_t r = 1; r < static_cast<std::ptrdiff_t>(kernel.size()); ++r)
          sum += kernel[static_cast<std::size_t>(r)] *
                 (line[static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, n - r))] + line[static_cast<std::size_t>(std::min<std::ptrdiff_t>(count - 1, n + r))]);
        work[at + static_cast<std::size_t>(n) * strides[axis]] = sum / all;
      }
    }
  }
  level.values.assign(work.begin(), work.end());
  return level;
}

Image::Pointer to_itk(const Grid& grid) {
  auto image = Image::New();
  Image::SizeType size;
  Image::SpacingType spacing;
  Image::PointType origin;
  Image::DirectionType direction;
  for (unsigned axis = 0; axis < 3; ++axis) {
    size[axis] = static_cast<itk::SizeValueType>(grid.geometry.size()[axis]);
    spacing[axis] = grid.geometry.spacing_mm()[axis];
    origin[axis] = grid.geometry.origin_mm()[axis];
    for (unsigned row = 0; row < 3; ++row) direction(row, axis) = grid.geometry.direction()[3 * row + axis];
  }
  image->SetRegions(size);
  image->SetSpacing(spacing);
  image->SetOrigin(origin);
  image->SetDirection(direction);
  image->Allocate();
  std::copy(grid.values.begin(), grid.values.end(), image->GetBufferPointer());
  return image;
}

/// Where the images are compared, and what is judged.
struct Points {
  std::vector<Vector3> compared;     // samples of tissue and its surroundings, most around the focus
  std::vector<Vector3> foreground;   // samples of tissue over the whole reference
  std::vector<Vector3> focus;        // samples of the focus and its margin
  Vector3 middle{};                  // of the focus, or of the tissue
};

struct Box {
  Vector3 low{}, high{};  // in voxels
};

Box box_of(const RegionOfInterest& roi, double margin_mm) {
  const VolumeGeometry& geometry = roi.geometry();
  const Index3& size = geometry.size();
  Box box{{1e9, 1e9, 1e9}, {-1e9, -1e9, -1e9}};
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        if (roi.mask()[geometry.offset(i, j, k)] == 0) continue;
        const Vector3 at{static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)};
        for (std::size_t a = 0; a < 3; ++a) {
          box.low[a] = std::min(box.low[a], at[a]);
          box.high[a] = std::max(box.high[a], at[a]);
        }
      }
  for (std::size_t a = 0; a < 3; ++a) {
    const double margin = margin_mm / geometry.spacing_mm()[a];
    box.low[a] = std::max(0.0, box.low[a] - margin);
    box.high[a] = std::min(size[a] - 1.0, box.high[a] + margin);
  }
  return box;
}

Result<Points> choose_points(const Grid& reference, const RegionOfInterest* focus, const RegistrationSettings& settings) {
  const VolumeGeometry& geometry = reference.geometry;
  const Index3& size = geometry.size();
  const float threshold = foreground_threshold(reference.values);
  Points points;
  // Tissue and the air just around it carry the outline; the air of the corners carries nothing.
  Box tissue{{1e9, 1e9, 1e9}, {-1e9, -1e9, -1e9}};
  Vector3 sum{};
  double count = 0;
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        if (reference.values[geometry.offset(i, j, k)] <= threshold) continue;
        const Vector3 at{static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)};
        for (std::size_t a = 0; a < 3; ++a) {
          tissue.low[a] = std::min(tissue.low[a], at[a]);
          tissue.high[a] = std::max(tissue.high[a], at[a]);
        }
        sum = sum + at;
        count += 1;
      }
  if (count < 100) return fail(ErrorCode::degenerate_input, step, "The reference series holds no tissue to register to.");
  points.middle = geometry.index_to_patient((1 / count) * sum);
  for (std::size_t a = 0; a < 3; ++a) {
    const double margin = 6.0 / geometry.spacing_mm()[a];
    tissue.low[a] = std::max(0.0, tissue.low[a] - margin);
    tissue.high[a] = std::min(size[a] - 1.0, tissue.high[a] + margin);
  }
  std::uint64_t drawn = 0;
  const auto draw = [&](const Box& box) {
    Vector3 index{};
    for (std::size_t a = 0; a < 3; ++a) index[a] = box.low[a] + (box.high[a] - box.low[a]) * uniform(settings.seed, drawn++);
    return geometry.index_to_patient(index);
  };
  int in_focus = 0;
  if (focus != nullptr) {
    const Box box = box_of(*focus, settings.focus_margin_mm);
    points.middle = geometry.index_to_patient(0.5 * (box_of(*focus, 0).low + box_of(*focus, 0).high));
    in_focus = static_cast<int>(settings.focus_share * settings.samples);
    for (int n = 0; n < in_focus; ++n) points.compared.push_back(draw(box));
    points.focus = points.compared;
  }
  for (int n = in_focus; n < settings.samples; ++n) points.compared.push_back(draw(tissue));
  for (const Vector3& point : points.compared) {
    double value = 0;
    if (reference.sample(point, value) && value > threshold) points.foreground.push_back(point);
  }
  return points;
}

/// Share of points that lie in the moving series.
double share_inside(const std::vector<Vector3>& points, const VolumeGeometry& moving, const RigidTransform& transform) {
  if (points.empty()) return 1;
  std::size_t inside = 0;
  for (const Vector3& point : points) {
    const Vector3 index = moving.patient_to_index(transform.apply(point));
    bool in = true;
    for (std::size_t a = 0; a < 3; ++a) in = in && index[a] >= -0.5 && index[a] <= moving.size()[a] - 0.5;
    inside += in ? 1 : 0;
  }
  return static_cast<double>(inside) / static_cast<double>(points.size());
}

Vector3 centre_of_mass(const Grid& grid) {
  const float threshold = foreground_threshold(grid.values);
  const Index3& size = grid.geometry.size();
  Vector3 sum{};
  double count = 0;
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i)
        if (grid.values[grid.geometry.offset(i, j, k)] > threshold) {
          sum = sum + Vector3{static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)};
          count += 1;
        }
  return grid.geometry.index_to_patient((1 / std::max(1.0, count)) * sum);
}

Vector3 middle_of(const VolumeGeometry& geometry) {
  return geometry.index_to_patient({0.5 * (geometry.size()[0] - 1), 0.5 * (geometry.size()[1] - 1), 0.5 * (geometry.size()[2] - 1)});
}

RigidTransform from_itk(const Transform& transform) {
  RigidTransform result;
  for (unsigned row = 0; row < 3; ++row) {
    for (unsigned column = 0; column < 3; ++column) result.rotation[3 * row + column] = transform.GetMatrix()(row, column);
    result.centre_mm[row] = transform.GetCenter()[row];
    result.translation_mm[row] = transform.GetTranslation()[row];
  }
  return result;
}

/// One level: the metric on smoothed images at the chosen points.
class Level {
 public:
  /// share: of the points, spread evenly; coarse levels need fewer.
  Level(const Grid& reference, const Grid& moving, const Points& points, const RegistrationSettings& settings, double share)
      : metric_(Metric::New()), transform_(Transform::New()), set_(Metric::FixedSampledPointSetType::New()) {
    itk::SizeValueType n = 0;
    double due = 0;
    for (const Vector3& point : points.compared) {
      if ((due += share) < 1) continue;
      due -= 1;
      Metric::FixedSampledPointSetType::PointType p;
      for (unsigned a = 0; a < 3; ++a) p[a] = point[a];
      double value = 0;
      // Blocks of a coarse level may end a little before the last voxels.
      if (reference.sample(point, value)) set_->SetPoint(n++, p);
    }
    used_ = static_cast<double>(n);
    Transform::InputPointType centre;
    for (unsigned a = 0; a < 3; ++a) centre[a] = points.middle[a];
    transform_->SetIdentity();
    transform_->SetCenter(centre);
    metric_->SetFixedImage(to_itk(reference));
    metric_->SetMovingImage(to_itk(moving));
    metric_->SetMovingTransform(transform_);
    metric_->SetNumberOfHistogramBins(static_cast<unsigned>(settings.histogram_bins));
    metric_->SetFixedSampledPointSet(set_);
    metric_->SetUseSampledPointSet(true);
    metric_->SetUseFixedImageGradientFilter(false);
    metric_->SetUseMovingImageGradientFilter(false);
    metric_->Initialize();
  }

  Transform* transform() { return transform_; }
  Metric* metric() { return metric_; }

  /// Mutual information (nats), or nothing where less than a fifth of the points meet the moving image.
  std::optional<double> information(const Transform::ParametersType& parameters) {
    transform_->SetParameters(parameters);
    try {
      const double value = -static_cast<double>(metric_->GetValue());
      if (static_cast<double>(metric_->GetNumberOfValidPoints()) < 0.2 * used_ || !std::isfinite(value)) return std::nullopt;
      return value;
    } catch (const itk::ExceptionObject&) {
      return std::nullopt;
    }
  }

 private:
  Metric::Pointer metric_;
  Transform::Pointer transform_;
  Metric::FixedSampledPointSetType::Pointer set_;
  double used_ = 0;
};

/// What a pair of grey values says for or against lying on one another: pointwise mutual information, ln p(r, m) / p(r) p(m), from the
/// joint histogram of the whole registration in bins of equal counts. Blocks of a few hundred points are too small for histograms
/// of their own.
class PairEvidence {
 public:
  PairEvidence(const std::vector<double>& reference, const std::vector<double>& moving) : reference_edges_(edges_of(reference)), moving_edges_(edges_of(moving)) {
    // A little of everything everywhere, so that a pair never seen does not decide alone.
    std::vector<double> joint(bins * bins, 0.5);
    for (std::size_t n = 0; n < reference.size(); ++n) joint[reference_bin(reference[n]) * bins + moving_bin(moving[n])] += 1;
    std::array<double, bins> of_reference{}, of_moving{};
    double all = 0;
    for (std::size_t r = 0; r < bins; ++r)
      for (std::size_t m = 0; m < bins; ++m) {
        of_reference[r] += joint[r * bins + m];
        of_moving[m] += joint[r * bins + m];
        all += joint[r * bins + m];
      }
    for (std::size_t r = 0; r < bins; ++r)
      for (std::size_t m = 0; m < bins; ++m) evidence_[r * bins + m] = std::log(joint[r * bins + m] * all / (of_reference[r] * of_moving[m]));
  }

  [[nodiscard]] std::size_t reference_bin(double value) const { return bin(reference_edges_, value); }
  [[nodiscard]] double of(std::size_t reference, double moving) const { return evidence_[reference * bins + moving_bin(moving)]; }

 private:
  static constexpr std::size_t bins = 20;
  using Edges = std::array<double, bins - 1>;

  static Edges edges_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    Edges edges{};
    for (std::size_t b = 1; b < bins; ++b) edges[b - 1] = values[b * values.size() / bins];
    return edges;
  }
  static std::size_t bin(const Edges& edges, double value) { return static_cast<std::size_t>(std::upper_bound(edges.begin(), edges.end(), value) - edges.begin()); }
  [[nodiscard]] std::size_t moving_bin(double value) const { return bin(moving_edges_, value); }

  Edges reference_edges_, moving_edges_;
  std::array<double, bins * bins> evidence_{};
};

struct Agreement {
  double share = 0;
  double residual_mm = 0;
  int blocks = 0;
};

struct Block {
  std::vector<Vector3> places;         // indices in the moving series
  std::vector<double> values;          // of the reference
};

constexpr double agreement_mm = 2.5;   // a block that fits best this near agrees

/// Blocks of tissue, each moved to and fro by itself around where the registration puts it.
Agreement block_agreement(const Grid& reference, const Grid& moving, const RigidTransform& transform, const Vector3& middle) {
  constexpr double block_mm = 28, reach_mm = 8, coarse_mm = 3, fine_mm = 1;
  constexpr int per_axis = 7, around = 3;
  const float threshold = foreground_threshold(reference.values);
  std::vector<Block> blocks;
  std::vector<double> all_reference, all_moving;
  for (int bk = -around; bk <= around; ++bk)
    for (int bj = -around; bj <= around; ++bj)
      for (int bi = -around; bi <= around; ++bi) {
        Block block;
        std::size_t tissue = 0;
        for (int c = 0; c < per_axis; ++c)
          for (int b = 0; b < per_axis; ++b)
            for (int a = 0; a < per_axis; ++a) {
              const auto along = [&](int at, int n) { return at * block_mm + block_mm * ((n + 0.5) / per_axis - 0.5); };
              const Vector3 point = middle + Vector3{along(bi, a), along(bj, b), along(bk, c)};
              double value = 0, other = 0;
              if (!reference.sample(point, value)) continue;
              const Vector3 there = transform.apply(point);
              // All of its places must lie in the moving series: sums over fewer points are not comparable.
              bool inside = true;
              for (int corner = 0; corner < 8 && inside; ++corner)
                inside = moving.sample(there + Vector3{(corner & 1) != 0 ? reach_mm : -reach_mm, (corner & 2) != 0 ? reach_mm : -reach_mm, (corner & 4) != 0 ? reach_mm : -reach_mm}, other);
              if (!inside) continue;
              block.places.push_back(moving.geometry.patient_to_index(there));
              block.values.push_back(value);
              tissue += value > threshold ? 1 : 0;
            }
        if (block.places.size() < 100 || tissue < block.places.size() / 2) continue;
        for (std::size_t n = 0; n < block.places.size(); ++n) {
          double other = 0;
          (void)moving.sample_index(block.places[n], other);
          all_reference.push_back(block.values[n]);
          all_moving.push_back(other);
        }
        blocks.push_back(std::move(block));
      }
  Agreement agreement;
  agreement.blocks = static_cast<int>(blocks.size());
  if (blocks.empty()) return agreement;
  const PairEvidence evidence(all_reference, all_moving);
  std::vector<double> residuals;
  for (const Block& block : blocks) {
    std::vector<std::size_t> bins;
    for (const double value : block.values) bins.push_back(evidence.reference_bin(value));
    const auto at = [&](const Vector3& shift) {
      double sum = 0, other = 0;
      const Vector3 by = moving.geometry.patient_to_index(shift) - moving.geometry.patient_to_index({0, 0, 0});
      for (std::size_t n = 0; n < bins.size(); ++n) {
        (void)moving.sample_index(block.places[n] + by, other);
        sum += evidence.of(bins[n], other);
      }
      return sum;
    };
    // The place of the registration comes first: of equals it stays.
    Vector3 best{};
    double highest = at(best);
    for (const auto& [spacing, steps] : {std::pair{coarse_mm, 2}, std::pair{fine_mm, 2}}) {
      const Vector3 around_here = best;
      for (int k = -steps; k <= steps; ++k)
        for (int j = -steps; j <= steps; ++j)
          for (int i = -steps; i <= steps; ++i) {
            const Vector3 shift = around_here + Vector3{i * spacing, j * spacing, k * spacing};
            if (const double sum = at(shift); sum > highest) {
              highest = sum;
              best = shift;
            }
          }
    }
    residuals.push_back(norm(best));
  }
  std::sort(residuals.begin(), residuals.end());
  agreement.residual_mm = residuals[residuals.size() / 2];
  agreement.share = static_cast<double>(std::upper_bound(residuals.begin(), residuals.end(), agreement_mm) - residuals.begin()) / static_cast<double>(residuals.size());
  return agreement;
}

Status check(const SeriesVolume& reference, const SeriesVolume& moving, const RegionOfInterest* focus, const RegistrationSettings& settings) {
  if (settings.smoothing_mm.empty() || settings.smoothing_mm.size() > 6 || settings.samples < 500 || settings.samples > 1'000'000 || settings.histogram_bins < 8 ||
      settings.histogram_bins > 256 || settings.iterations_max < 1 || !(settings.focus_share >= 0 && settings.focus_share <= 1) || !(settings.focus_margin_mm >= 0))
    return fail(ErrorCode::invalid_argument, step, "The settings of the registration are out of range.");
  for (const double sigma : settings.smoothing_mm)
    if (!(sigma > 0 && sigma <= 20)) return fail(ErrorCode::invalid_argument, step, "The smoothing of a registration is between 0 and 20 mm.");
  for (const SeriesVolume* series : {&reference, &moving}) {
    if (series->empty()) return fail(ErrorCode::invalid_argument, step, "There is no image to register.");
    const Index3& size = series->geometry().size();
    if (size[0] < 8 || size[1] < 8 || size[2] < 3)
      return fail(ErrorCode::degenerate_input, step, "Series " + std::to_string(series->reference().series_number) + " is too small to be registered: at least 8 columns, 8 rows and 3 slices.");
  }
  if (focus != nullptr && !focus->geometry().matches(reference.geometry())) return fail(ErrorCode::invalid_argument, step, "The focus of a registration must lie on the grid of the reference.");
  return {};
}

Result<RigidRegistration> run(const SeriesVolume& reference, const SeriesVolume& moving, const RegionOfInterest* focus, const RegistrationSettings& settings) {
  auto reference_values = clamped(reference);
  if (!reference_values) return fail(reference_values.error());
  auto moving_values = clamped(moving);
  if (!moving_values) return fail(moving_values.error());
  const Grid full{reference.geometry(), std::move(*reference_values)};
  auto points = choose_points(full, focus, settings);
  if (!points) return fail(points.error());

  RigidRegistration result;
  result.converged = true;
  Transform::ParametersType parameters(6);
  parameters.Fill(0);
  Grid fine_reference, fine_moving;
  for (std::size_t n = 0; n < settings.smoothing_mm.size(); ++n) {
    auto level_reference = level_of(full.geometry, full.values, settings.smoothing_mm[n]);
    if (!level_reference) return fail(level_reference.error());
    auto level_moving = level_of(moving.geometry(), *moving_values, settings.smoothing_mm[n]);
    if (!level_moving) return fail(level_moving.error());
    Level level(*level_reference, *level_moving, *points, settings, std::pow(0.5, static_cast<double>(settings.smoothing_mm.size() - 1 - n)));
    if (n == 0) {
      const std::array<std::pair<const char*, Vector3>, 3> starts{{{"scanner coordinates", {0, 0, 0}},
                                                                   {"centres of the images", middle_of(moving.geometry()) - middle_of(reference.geometry())},
                                                                   {"centres of mass", centre_of_mass(*level_moving) - centre_of_mass(*level_reference)}}};
      double best = -1;
      for (const auto& [name, shift] : starts) {
        Transform::ParametersType trial(6);
        trial.Fill(0);
        for (unsigned a = 0; a < 3; ++a) trial[3 + a] = shift[a];
        const auto information = level.information(trial);
        if (information && *information > best + 1e-9) {
          best = *information;
          parameters = trial;
          result.start = name;
        }
      }
      if (result.start.empty()) return fail(ErrorCode::degenerate_input, step, "The two series do not overlap, wherever the search begins.");
    }
    if (n + 1 == settings.smoothing_mm.size()) {
      Transform::ParametersType none(6);
      none.Fill(0);
      result.information_before = level.information(none).value_or(0);
    }
    // Steps shorten at every turn of the gradient and may end in a narrow valley: begin again until a round gains nothing.
    double reached = level.information(parameters).value_or(0);
    bool settled = false;
    for (int round = 0; round < rounds_max && !settled; ++round) {
      level.transform()->SetParameters(parameters);
      auto optimizer = Optimizer::New();
      optimizer->SetMetric(level.metric());
      Optimizer::ScalesType scales(6);
      // A radian moves what lies 50 mm from the middle by 50 mm.
      for (unsigned p = 0; p < 6; ++p) scales[p] = p < 3 ? 50.0 * 50.0 : 1.0;
      optimizer->SetScales(scales);
      optimizer->SetDoEstimateLearningRateOnce(false);
      optimizer->SetDoEstimateLearningRateAtEachIteration(false);
      optimizer->SetDoEstimateScales(false);
      optimizer->SetLearningRate(settings.smoothing_mm[n] / (round + 1));
      optimizer->SetMinimumStepLength(0.004 * settings.smoothing_mm[n]);
      optimizer->SetRelaxationFactor(0.7);
      optimizer->SetGradientMagnitudeTolerance(1e-7);
      optimizer->SetNumberOfIterations(static_cast<itk::SizeValueType>(settings.iterations_max));
      optimizer->SetReturnBestParametersAndValue(true);
      optimizer->SetNumberOfWorkUnits(1);
      optimizer->StartOptimization();
      result.iterations += static_cast<int>(optimizer->GetCurrentIteration());
      const double now = level.information(optimizer->GetCurrentPosition()).value_or(0);
      settled = now < reached + 1e-4 && static_cast<int>(optimizer->GetCurrentIteration()) < settings.iterations_max;
      if (now > reached) {
        reached = now;
        parameters = optimizer->GetCurrentPosition();
      }
    }
    result.converged = result.converged && settled;
    if (n + 1 == settings.smoothing_mm.size()) {
      // Where the scanner put it is a candidate to the last: what it cannot better, stays.
      if (reached <= result.information_before) {
        parameters.Fill(0);
        result.start = "scanner coordinates";
      }
      result.information_after = level.information(parameters).value_or(0);
      result.reference_to_moving = from_itk(*level.transform());
      fine_reference = std::move(*level_reference);
      fine_moving = std::move(*level_moving);
    }
  }
  result.translation_mm = result.reference_to_moving.displacement_mm(points->middle);
  result.rotation_deg = result.reference_to_moving.rotation_deg();
  result.overlap = share_inside(points->foreground, moving.geometry(), result.reference_to_moving);
  result.focus_overlap = share_inside(points->focus, moving.geometry(), result.reference_to_moving);
  const Agreement agreement = block_agreement(fine_reference, fine_moving, result.reference_to_moving, points->middle);
  result.agreement = agreement.share;
  result.residual_mm = agreement.residual_mm;
  result.blocks = agreement.blocks;
  return result;
}

std::string figure(double value, int decimals) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

}  // namespace

Result<RigidRegistration> register_rigidly(const SeriesVolume& reference, const SeriesVolume& moving, const RegionOfInterest* focus, const RegistrationSettings& settings) {
  if (const auto good = check(reference, moving, focus, settings); !good) return fail(good.error());
  try {
    return run(reference, moving, focus, settings);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, step, "There is not enough memory for the registration.");
  } catch (const itk::ExceptionObject& error) {
    return fail(ErrorCode::internal, step, std::string("The registration failed: ") + error.GetDescription());
  } catch (const std::exception& error) {
    return fail(ErrorCode::internal, step, std::string("The registration failed: ") + error.what());
  }
}

std::optional<Error> refusal_of(const RigidRegistration& r, const RegistrationSettings& settings) {
  const auto refuse = [](const std::string& why) { return Error{ErrorCode::geometry_mismatch, step, "The registration is not good enough to be used: " + why, ""}; };
  const auto percent = [](double share) { return figure(100 * share, 0) + " %"; };
  if (r.overlap < settings.overlap_min)
    return refuse("only " + percent(r.overlap) + " of the reference's tissue lies in the other series (at least " + percent(settings.overlap_min) + ").");
  if (r.focus_overlap < settings.focus_overlap_min)
    return refuse("only " + percent(r.focus_overlap) + " of the region and its surroundings lies in the other series (at least " + percent(settings.focus_overlap_min) + ").");
  if (r.translation_mm > settings.translation_max_mm)
    return refuse("it moves the region by " + figure(r.translation_mm, 1) + " mm (at most " + figure(settings.translation_max_mm, 0) + " mm).");
  if (r.rotation_deg > settings.rotation_max_deg)
    return refuse("it turns by " + figure(r.rotation_deg, 1) + " degrees (at most " + figure(settings.rotation_max_deg, 0) + ").");
  if (r.information_after < settings.information_min)
    return refuse("the images share " + figure(r.information_after, 3) + " nats of information (at least " + figure(settings.information_min, 3) + ").");
  if (r.information_after < r.information_before - 1e-6) return refuse("the images agree less after it than before.");
  if (r.blocks < settings.blocks_min)
    return refuse("only " + std::to_string(r.blocks) + " blocks of tissue lie in both series, too few to check it (at least " + std::to_string(settings.blocks_min) + ").");
  if (r.agreement < settings.agreement_min)
    return refuse("only " + percent(r.agreement) + " of " + std::to_string(r.blocks) + " blocks of tissue agree with it (at least " + percent(settings.agreement_min) +
                  "); the series may be of two patients or of two times between which the anatomy changed.");
  return std::nullopt;
}

std::string registration_record(const RigidRegistration& r) {
  const auto number = [](double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%.9g", value);
    return std::string(text);
  };
  return "{\"agreement\":" + number(r.agreement) + ",\"blocks\":" + std::to_string(r.blocks) + ",\"converged\":" + (r.converged ? "true" : "false") +
         ",\"focus_overlap\":" + number(r.focus_overlap) + ",\"information_after\":" + number(r.information_after) + ",\"information_before\":" + number(r.information_before) +
         ",\"iterations\":" + std::to_string(r.iterations) + ",\"overlap\":" + number(r.overlap) + ",\"residual_mm\":" + number(r.residual_mm) + ",\"rotation_deg\":" + number(r.rotation_deg) + ",\"start\":\"" + r.start +
         "\",\"transform\":" + r.reference_to_moving.json() + ",\"translation_mm\":" + number(r.translation_mm) + "}";
}

}  // namespace choana::processing
