#include "processing/radiomics/families/shape2d.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "processing/radiomics/families/surface_mesh.h"

namespace choana::processing {
namespace {

struct PlaneStatistics {
  double surface = 0;
  double perimeter = 0;
  double diameter = 0;
  double pixel_surface = 0;
  double minor_variance = 0;
  double major_variance = 0;
};

using S = PlaneStatistics;

double elongation(const S& s) { return std::sqrt(s.minor_variance / s.major_variance); }
double major_axis(const S& s) { return 4 * std::sqrt(s.major_variance); }
double minor_axis(const S& s) { return 4 * std::sqrt(s.minor_variance); }
double maximum_diameter(const S& s) { return s.diameter; }
double mesh_surface(const S& s) { return s.surface; }
double perimeter(const S& s) { return s.perimeter; }
double perimeter_surface_ratio(const S& s) { return s.perimeter / s.surface; }
double pixel_surface(const S& s) { return s.pixel_surface; }
double sphericity(const S& s) { return 2 * std::sqrt(std::numbers::pi * s.surface) / s.perimeter; }
double spherical_disproportion(const S& s) { return 1 / sphericity(s); }

using Row = FeatureRow<PlaneStatistics>;
constexpr auto none = Quantity::none;
constexpr auto length = Quantity::length;

constexpr std::array rows{
    Row{"Elongation", "SH2_ELONGATION", none, elongation},
    Row{"MajorAxisLength", "SH2_MAJORAXIS", length, major_axis},
    Row{"MaximumDiameter", "SH2_MAXDIAM", length, maximum_diameter},
    Row{"MeshSurface", "SH2_MESHSURF", Quantity::area, mesh_surface},
    Row{"MinorAxisLength", "SH2_MINORAXIS", length, minor_axis},
    Row{"Perimeter", "SH2_PERIMETER", length, perimeter},
    Row{"PerimeterSurfaceRatio", "SH2_PERSURFRATIO", Quantity::per_length, perimeter_surface_ratio},
    Row{"PixelSurface", "SH2_PIXELSURF", Quantity::area, pixel_surface},
    Row{"SphericalDisproportion", "SH2_SPHERDISP", none, spherical_disproportion, Availability::by_name},
    Row{"Sphericity", "SH2_SPHERICITY", none, sphericity},
};

/// Marching squares over the padded slice. Two diagonal pixels stay apart.
void trace_outline(const std::vector<std::uint8_t>& inside, int width, int height, double du, double dv, PlaneStatistics& statistics) {
  const auto pixel = [&](int u, int v) {
    return u >= 0 && v >= 0 && u < width && v < height && inside[static_cast<std::size_t>(v) * static_cast<std::size_t>(width) + static_cast<std::size_t>(u)] != 0;
  };
  const double diagonal = 0.5 * std::sqrt(du * du + dv * dv);
  double eighths = 0;
  double diagonals = 0;
  double along_u = 0;
  double along_v = 0;
  for (int v = -1; v < height; ++v)
    for (int u = -1; u < width; ++u) {
      const bool a = pixel(u, v);
      const bool b = pixel(u + 1, v);
      const bool c = pixel(u, v + 1);
      const bool d = pixel(u + 1, v + 1);
      const int corners = (a ? 1 : 0) + (b ? 1 : 0) + (c ? 1 : 0) + (d ? 1 : 0);
      switch (corners) {
        case 1: eighths += 1; diagonals += 1; break;
        case 2:
          if (a == d) {
            eighths += 2;
            diagonals += 2;
          } else {
            eighths += 4;
            if (a == b) along_u += 1;
            else along_v += 1;
          }
          break;
        case 3: eighths += 7; diagonals += 1; break;
        case 4: eighths += 8; break;
        default: break;
      }
    }
  statistics.surface = eighths / 8 * du * dv;
  statistics.perimeter = diagonals * diagonal + along_u * du + along_v * dv;
}

}  // namespace

std::vector<NamedValue> shape2d_features(const RegionBox& region, int flat_axis, const std::vector<std::string>& names) {
  const auto across = static_cast<std::size_t>(flat_axis);
  if (region.size[across] != 1) {
    std::vector<NamedValue> values;
    for (const auto* row : select_rows(std::span<const Row>(rows), names))
      values.push_back({row->name, NotComputed{"several_slices", "2-D shape needs a region of one slice along the dimension of force2Ddimension."}});
    return values;
  }
  const std::size_t u = across == 0 ? 1 : 0;
  const std::size_t v = across == 2 ? 1 : 2;
  PlaneStatistics statistics;
  // The box is one voxel thick, so its bytes are the slice, row by row, whichever axis is flat.
  trace_outline(region.inside, region.size[u], region.size[v], region.spacing_mm[u], region.spacing_mm[v], statistics);
  statistics.diameter = measure_diameters(region.size, region.inside, region.spacing_mm).maximum_in_plane_mm[across];
  statistics.pixel_surface = static_cast<double>(region.voxels) * (region.spacing_mm[u] * region.spacing_mm[v]);
  const Vector3 variances = principal_variances(region);
  statistics.minor_variance = variances[1];
  statistics.major_variance = variances[2];
  return evaluate(std::span<const Row>(rows), names, statistics, NotComputed{"not_finite", "The value is not finite for this region."});
}

std::vector<FeatureDescription> describe_shape2d() { return describe_rows("shape2D", std::span<const Row>(rows)); }

}  // namespace choana::processing
