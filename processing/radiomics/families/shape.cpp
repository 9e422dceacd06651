#include "processing/radiomics/families/shape.h"

#include <Eigen/Dense>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "processing/radiomics/families/surface_mesh.h"

namespace choana::processing {
namespace {

struct ShapeStatistics {
  MeshMeasures mesh;
  MeshDiameters diameters;
  Vector3 variances;  // ascending
  double voxel_volume = 0;
};

using S = ShapeStatistics;

double compactness_1(const S& s) { return s.mesh.volume_mm3 / (std::pow(s.mesh.area_mm2, 1.5) * std::sqrt(std::numbers::pi)); }
double compactness_2(const S& s) {
  return 36 * std::numbers::pi * s.mesh.volume_mm3 * s.mesh.volume_mm3 / (s.mesh.area_mm2 * s.mesh.area_mm2 * s.mesh.area_mm2);
}
double elongation(const S& s) { return std::sqrt(s.variances[1] / s.variances[2]); }
double flatness(const S& s) { return std::sqrt(s.variances[0] / s.variances[2]); }
double least_axis(const S& s) { return 4 * std::sqrt(s.variances[0]); }
double minor_axis(const S& s) { return 4 * std::sqrt(s.variances[1]); }
double major_axis(const S& s) { return 4 * std::sqrt(s.variances[2]); }
double diameter_column(const S& s) { return s.diameters.maximum_in_plane_mm[1]; }
double diameter_row(const S& s) { return s.diameters.maximum_in_plane_mm[0]; }
double diameter_slice(const S& s) { return s.diameters.maximum_in_plane_mm[2]; }
double diameter_3d(const S& s) { return s.diameters.maximum_mm; }
double mesh_volume(const S& s) { return s.mesh.volume_mm3; }
double sphericity(const S& s) { return std::cbrt(36 * std::numbers::pi * s.mesh.volume_mm3 * s.mesh.volume_mm3) / s.mesh.area_mm2; }
double spherical_disproportion(const S& s) { return 1 / sphericity(s); }
double surface_area(const S& s) { return s.mesh.area_mm2; }
double surface_volume_ratio(const S& s) { return s.mesh.area_mm2 / s.mesh.volume_mm3; }
double voxel_volume(const S& s) { return s.voxel_volume; }

using Row = FeatureRow<ShapeStatistics>;
constexpr auto none = Quantity::none;
constexpr auto length = Quantity::length;

constexpr std::array rows{
    Row{"Compactness1", "SKGS", none, compactness_1, Availability::by_name},
    Row{"Compactness2", "BQWJ", none, compactness_2, Availability::by_name},
    Row{"Elongation", "Q3CK", none, elongation},
    Row{"Flatness", "N17B", none, flatness},
    Row{"LeastAxisLength", "7J51", length, least_axis},
    Row{"MajorAxisLength", "TDIC", length, major_axis},
    Row{"Maximum2DDiameterColumn", "SH_MAX2DCOL", length, diameter_column},
    Row{"Maximum2DDiameterRow", "SH_MAX2DROW", length, diameter_row},
    Row{"Maximum2DDiameterSlice", "SH_MAX2DSLICE", length, diameter_slice},
    Row{"Maximum3DDiameter", "L0JK", length, diameter_3d},
    Row{"MeshVolume", "RNU0", Quantity::volume, mesh_volume},
    Row{"MinorAxisLength", "P9VJ", length, minor_axis},
    Row{"SphericalDisproportion", "KRCK", none, spherical_disproportion, Availability::by_name},
    Row{"Sphericity", "QCFX", none, sphericity},
    Row{"SurfaceArea", "C0JK", Quantity::area, surface_area},
    Row{"SurfaceVolumeRatio", "2PR5", Quantity::per_length, surface_volume_ratio},
    Row{"VoxelVolume", "YEKZ", Quantity::volume, voxel_volume},
};

}  // namespace

Vector3 principal_variances(const RegionBox& region) {
  Vector3 mean{0, 0, 0};
  const auto each_voxel = [&](auto&& operation) {
    std::size_t at = 0;
    for (int k = 0; k < region.size[2]; ++k)
      for (int j = 0; j < region.size[1]; ++j)
        for (int i = 0; i < region.size[0]; ++i, ++at)
          if (region.inside[at] != 0) operation(i, j, k);
  };
  each_voxel([&](int i, int j, int k) {
    mean[0] += i;
    mean[1] += j;
    mean[2] += k;
  });
  const auto count = static_cast<double>(region.voxels);
  for (double& value : mean) value /= count;
  Eigen::Matrix3d covariance = Eigen::Matrix3d::Zero();
  double xx = 0, xy = 0, xz = 0, yy = 0, yz = 0, zz = 0;
  each_voxel([&](int i, int j, int k) {
    const double x = i - mean[0];
    const double y = j - mean[1];
    const double z = k - mean[2];
    xx += x * x;
    xy += x * y;
    xz += x * z;
    yy += y * y;
    yz += y * z;
    zz += z * z;
  });
  const Vector3& s = region.spacing_mm;
  covariance << xx * s[0] * s[0], xy * s[0] * s[1], xz * s[0] * s[2], xy * s[0] * s[1], yy * s[1] * s[1], yz * s[1] * s[2], xz * s[0] * s[2],
      yz * s[1] * s[2], zz * s[2] * s[2];
  covariance /= count;
  const Eigen::SelfAdjointEigenSolver<Eigen::Matrix3d> solver(covariance, Eigen::EigenvaluesOnly);
  Vector3 variances{};
  // A covariance has no negative eigenvalue; what is below zero is rounding.
  for (Eigen::Index at = 0; at < 3; ++at) variances[static_cast<std::size_t>(at)] = std::max(0.0, solver.eigenvalues()(at));
  return variances;
}

std::vector<NamedValue> shape_features(const RegionBox& region, const std::vector<std::string>& names) {
  ShapeStatistics statistics;
  statistics.mesh = measure_mesh(region.size, region.inside, region.spacing_mm);
  statistics.diameters = measure_diameters(region.size, region.inside, region.spacing_mm);
  statistics.variances = principal_variances(region);
  statistics.voxel_volume = static_cast<double>(region.voxels) * (region.spacing_mm[0] * region.spacing_mm[1] * region.spacing_mm[2]);
  return evaluate(std::span<const Row>(rows), names, statistics, NotComputed{"not_finite", "The value is not finite for this region."});
}

std::vector<FeatureDescription> describe_shape() { return describe_rows("shape", std::span<const Row>(rows)); }

}  // namespace choana::processing
