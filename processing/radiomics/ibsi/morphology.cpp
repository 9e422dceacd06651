#include "processing/radiomics/ibsi/morphology.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <numbers>
#include <optional>
#include <variant>

#include "processing/radiomics/families/shape.h"
#include "processing/radiomics/families/surface_mesh.h"
#include "processing/radiomics/ibsi/convex_hull.h"
#include "processing/radiomics/ibsi/spatial_autocorrelation.h"

namespace choana::processing::ibsi {
namespace {

constexpr int hull_voxels_max = 200'000;   // along one axis; keeps orientation tests exact

/// Ends of the mesh along each row of voxels; no other vertex (midpoint between a voxel and a neighbour outside) can be a corner of the hull.
/// In half voxels.
std::vector<LatticePoint> outer_vertices(const MeasuredRegion& region) {
  std::vector<LatticePoint> vertices;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::size_t u = axis == 0 ? 1 : 0;
    const std::size_t v = axis == 2 ? 1 : 2;
    for (int b = 0; b < region.size[v]; ++b)
      for (int a = 0; a < region.size[u]; ++a) {
        Index3 index{};
        index[u] = a;
        index[v] = b;
        int first = -1;
        int last = -1;
        for (int n = 0; n < region.size[axis]; ++n) {
          index[axis] = n;
          if (region.morphological[region.offset(index[0], index[1], index[2])] == 0) continue;
          if (first < 0) first = n;
          last = n;
        }
        if (first < 0) continue;
        LatticePoint point{2 * index[0], 2 * index[1], 2 * index[2]};
        point[axis] = 2 * first - 1;
        vertices.push_back(point);
        point[axis] = 2 * last + 1;
        vertices.push_back(point);
      }
  }
  return vertices;
}

/// Surface of an ellipsoid with semi-axes a >= b >= c: the series of the manual up to degree 20.
double ellipsoid_area(double a, double b, double c) {
  const double alpha_squared = 1 - b * b / (a * a);
  const double beta_squared = 1 - c * c / (a * a);
  const double half_sum = (alpha_squared + beta_squared) / 2;   // alpha beta x, x the argument of the Legendre polynomials
  const double product = alpha_squared * beta_squared;
  // (alpha beta)^n P_n(x) by recurrence, which needs no division by alpha beta (0 for a sphere).
  double before = 1;
  double current = half_sum;
  double sum = 1;
  for (int n = 1; n <= 20; ++n) {
    sum += current / (1 - 4.0 * n * n);
    const double next = ((2 * n + 1) * half_sum * current - n * product * before) / (n + 1);
    before = current;
    current = next;
  }
  return 4 * std::numbers::pi * a * b * sum;
}

struct Morphology {
  double mesh_volume = 0;
  double voxel_volume = 0;
  double area = 0;
  double diameter = 0;
  double centre_shift = no_value;
  double major = 0;                      // axis lengths
  double minor = 0;
  double least = 0;
  double box_volume = 0;
  double box_area = 0;
  double hull_volume = no_value;
  double hull_area = no_value;
  double mean_intensity = 0;
  double moran_i = no_value;
  double geary_c = no_value;
};

Morphology measure(const MeasuredRegion& region, TaskPool* pool, NotComputed& why_no_autocorrelation) {
  Morphology m;
  const Vector3& spacing = region.spacing_mm;
  const MeshMeasures mesh = measure_mesh(region.size, region.morphological, spacing);
  m.mesh_volume = std::abs(mesh.volume_mm3);
  m.area = mesh.area_mm2;
  m.voxel_volume = static_cast<double>(region.morphological_voxels) * spacing[0] * spacing[1] * spacing[2];
  m.diameter = measure_diameters(region.size, region.morphological, spacing).maximum_mm;
  // The manual's values hold for the covariance divided by N - 1.
  const auto voxels = static_cast<double>(region.morphological_voxels);
  const Vector3 variances = principal_variances({region.size, region.morphological, spacing, region.morphological_voxels});
  const double correction = voxels > 1 ? voxels / (voxels - 1) : no_value;
  m.major = 4 * std::sqrt(variances[2] * correction);
  m.minor = 4 * std::sqrt(variances[1] * correction);
  m.least = 4 * std::sqrt(variances[0] * correction);
  // The box of the mesh reaches half a voxel beyond the outermost centres.
  const double x = region.size[0] * spacing[0];
  const double y = region.size[1] * spacing[1];
  const double z = region.size[2] * spacing[2];
  m.box_volume = x * y * z;
  m.box_area = 2 * (x * y + x * z + y * z);
  if (std::max({region.size[0], region.size[1], region.size[2]}) <= hull_voxels_max)
    if (const auto hull = convex_hull(outer_vertices(region))) {
      const HullMeasures measures = measure_hull(*hull, {spacing[0] / 2, spacing[1] / 2, spacing[2] / 2});
      m.hull_volume = measures.volume;
      m.hull_area = measures.area;
    }
  Vector3 centre{};
  Vector3 centre_weighted{};
  double intensity = 0;
  std::size_t at = 0;
  std::size_t next = 0;
  for (int k = 0; k < region.size[2]; ++k)
    for (int j = 0; j < region.size[1]; ++j)
      for (int i = 0; i < region.size[0]; ++i, ++at) {
        const Vector3 position{i * spacing[0], j * spacing[1], k * spacing[2]};
        if (region.morphological[at] != 0) centre = centre + position;
        if (region.intensity[at] == 0) continue;
        centre_weighted = centre_weighted + region.intensities[next] * position;
        intensity += region.intensities[next++];
      }
  m.mean_intensity = intensity / static_cast<double>(region.intensities.size());
  if (intensity != 0) m.centre_shift = norm(1 / voxels * centre - 1 / intensity * centre_weighted);
  const auto autocorrelation = spatial_autocorrelation(region, region.intensities, pool);
  if (const auto* values = std::get_if<SpatialAutocorrelation>(&autocorrelation)) {
    m.moran_i = values->moran_i;
    m.geary_c = values->geary_c;
  } else {
    why_no_autocorrelation = std::get<NotComputed>(autocorrelation);
  }
  return m;
}

using M = Morphology;
constexpr double pi = std::numbers::pi;
constexpr double flat_mm = 1e-6;   // an axis shorter than this is rounding: the region is planar
double volume(const M& m) { return m.mesh_volume; }
double voxel_volume(const M& m) { return m.voxel_volume; }
double area(const M& m) { return m.area; }
double surface_to_volume(const M& m) { return m.area / m.mesh_volume; }
double compactness_1(const M& m) { return m.mesh_volume / (std::sqrt(pi) * std::pow(m.area, 1.5)); }
double compactness_2(const M& m) { return 36 * pi * m.mesh_volume * m.mesh_volume / (m.area * m.area * m.area); }
double disproportion(const M& m) { return m.area / std::cbrt(36 * pi * m.mesh_volume * m.mesh_volume); }
double sphericity(const M& m) { return std::cbrt(36 * pi * m.mesh_volume * m.mesh_volume) / m.area; }
double asphericity(const M& m) { return std::cbrt(m.area * m.area * m.area / (36 * pi * m.mesh_volume * m.mesh_volume)) - 1; }
double centre_shift(const M& m) { return m.centre_shift; }
double diameter(const M& m) { return m.diameter; }
double major(const M& m) { return m.major; }
double minor(const M& m) { return m.minor; }
double least(const M& m) { return m.least; }
double elongation(const M& m) { return m.minor / m.major; }
double flatness(const M& m) { return m.least / m.major; }
double box_volume_density(const M& m) { return m.mesh_volume / m.box_volume; }
double box_area_density(const M& m) { return m.area / m.box_area; }
double ellipsoid_volume_density(const M& m) { return m.least > flat_mm ? m.mesh_volume / (4.0 / 3 * pi * m.major * m.minor * m.least / 8) : no_value; }
double ellipsoid_area_density(const M& m) { return m.minor > flat_mm ? m.area / ellipsoid_area(m.major / 2, m.minor / 2, m.least / 2) : no_value; }
double hull_volume_density(const M& m) { return m.mesh_volume / m.hull_volume; }
double hull_area_density(const M& m) { return m.area / m.hull_area; }
double integrated_intensity(const M& m) { return m.mesh_volume * m.mean_intensity; }
double moran(const M& m) { return m.moran_i; }
double geary(const M& m) { return m.geary_c; }

using MRow = IbsiFeatureRow<Morphology>;
constexpr std::array rows{
    MRow{"morph_volume", "RNU0", units::volume, volume},
    MRow{"morph_vol_approx", "YEKZ", units::volume, voxel_volume},
    MRow{"morph_area_mesh", "C0JK", units::area, area},
    MRow{"morph_av", "2PR5", units::per_length, surface_to_volume},
    MRow{"morph_comp_1", "SKGS", units::none, compactness_1},
    MRow{"morph_comp_2", "BQWJ", units::none, compactness_2},
    MRow{"morph_sph_dispr", "KRCK", units::none, disproportion},
    MRow{"morph_sphericity", "QCFX", units::none, sphericity},
    MRow{"morph_asphericity", "25C7", units::none, asphericity},
    MRow{"morph_com", "KLMA", units::length, centre_shift},
    MRow{"morph_diam", "L0JK", units::length, diameter},
    MRow{"morph_pca_maj_axis", "TDIC", units::length, major},
    MRow{"morph_pca_min_axis", "P9VJ", units::length, minor},
    MRow{"morph_pca_least_axis", "7J51", units::length, least},
    MRow{"morph_pca_elongation", "Q3CK", units::none, elongation},
    MRow{"morph_pca_flatness", "N17B", units::none, flatness},
    MRow{"morph_vol_dens_aabb", "PBX1", units::none, box_volume_density},
    MRow{"morph_area_dens_aabb", "R59B", units::none, box_area_density},
    MRow{"morph_vol_dens_aee", "6BDE", units::none, ellipsoid_volume_density},
    MRow{"morph_area_dens_aee", "RDD2", units::none, ellipsoid_area_density},
    MRow{"morph_vol_dens_conv_hull", "R3ER", units::none, hull_volume_density},
    MRow{"morph_area_dens_conv_hull", "7T7F", units::none, hull_area_density},
    MRow{"morph_integ_int", "99N0", units::intensity_volume, integrated_intensity},
    MRow{"morph_moran_i", "N365", units::none, moran},
    MRow{"morph_geary_c", "NPT7", units::none, geary},
};

}  // namespace

std::vector<TaggedValue> morphological_features(const MeasuredRegion& region, TaskPool* pool) {
  NotComputed why_no_autocorrelation;
  const std::vector<Morphology> measures{measure(region, pool, why_no_autocorrelation)};
  auto values = evaluate_rows(std::span<const MRow>(rows), measures,
                              {"degenerate_region", "The value is not defined: the region is one voxel, flat, or has a mean intensity of zero."});
  for (TaggedValue& value : values)
    if ((value.tag == "morph_moran_i" || value.tag == "morph_geary_c") && std::holds_alternative<NotComputed>(value.value) && !why_no_autocorrelation.reason.empty())
      value.value = why_no_autocorrelation;
  return values;
}

void describe_morphological_features(std::vector<IbsiFeatureDescription>& descriptions) {
  describe_rows("morphology", std::span<const MRow>(rows), descriptions);
}

}  // namespace choana::processing::ibsi
