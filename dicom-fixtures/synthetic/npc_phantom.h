#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/geometry.h"

namespace choana::fixtures {

/// What one image of the phantom shows. The signal is that of a spin echo (or of an echo planar image for diffusion)
/// with the times in npc_study.cpp.
enum class Contrast { t1, t2, t1c, t1c_fs, dwi_b0, dwi_b800 };
inline constexpr std::size_t contrast_count = 6;

/// How one synthetic patient differs from another.
struct PhantomSettings {
  std::uint64_t seed = 1;
  double tumour_ml = 25;   // volume enclosed by the surface of the tumour
  double response = 0.5;   // 0..1: heterogeneous, necrotic and lobulated, to even and compact
  double echo_factor = 1;  // echo times of the scanner, as a multiple of those of sequence_times
};

/// Repetition and echo time of a contrast.
struct SequenceTimes {
  double repetition_ms = 0;
  double echo_ms = 0;
};
[[nodiscard]] SequenceTimes sequence_times(Contrast contrast);

/// A head with a tumour in the nasopharynx, as a function of the position in patient coordinates (LPS, mm; the
/// nasopharynx lies near the origin). It resembles anatomy; it is nobody's.
class NpcPhantom {
 public:
  explicit NpcPhantom(const PhantomSettings& settings);

  /// Negative inside the primary tumour, positive outside; about the distance to its surface in mm.
  [[nodiscard]] double tumour_distance_mm(const Vector3& point_mm) const;
  /// The same for the cervical lymph node.
  [[nodiscard]] double node_distance_mm(const Vector3& point_mm) const;
  /// Volume enclosed by the surface: analytic for the node, by quadrature of the star-shaped surface for the tumour.
  [[nodiscard]] double tumour_volume_ml() const { return settings_.tumour_ml; }
  [[nodiscard]] double node_volume_ml() const;
  [[nodiscard]] const Vector3& tumour_centre_mm() const { return tumour_.centre; }
  [[nodiscard]] double tumour_reach_mm() const { return tumour_.reach; }
  [[nodiscard]] const Vector3& node_centre_mm() const { return node_centre_; }
  [[nodiscard]] double node_reach_mm() const;

  /// Noise-free images on a grid, voxels i fastest, one vector for each contrast asked for; coil shading included.
  [[nodiscard]] std::vector<std::vector<float>> paint(const VolumeGeometry& grid, const std::vector<Contrast>& contrasts) const;

 private:
  enum class Tissue { air, fat, skin, muscle, cortical_bone, marrow, white, grey, csf, mucosa, gland, vitreous, vessel, vein, tumour, necrosis, node, brain };
  static constexpr std::size_t tissue_count = 18;

  struct Part {
    Tissue tissue = Tissue::air;
    Vector3 centre{};
    Vector3 radii{};
    double angle_deg = 0;       // about the z axis
    double shear_y = 0;         // mm of y for each mm of z below the centre
    double warp = 1;            // share of the smooth deformation
    double z_min = -1e3;
    double z_max = 1e3;
  };
  struct Tumour {
    Vector3 centre{};
    Vector3 scale{1, 1, 1};
    double radius = 1;
    double reach = 1;
    std::vector<std::array<double, 5>> lobes;  // direction, height, sharpness
  };

  void add(Tissue tissue, Vector3 centre, Vector3 radii, double angle_deg = 0, double warp = 1);
  void add_pair(Tissue tissue, Vector3 centre, Vector3 radii, double angle_deg = 0, double warp = 1);
  void build_head();
  void build_tumour();
  [[nodiscard]] double tumour_surface(const Vector3& direction) const;

  PhantomSettings settings_;
  std::vector<Part> parts_;
  Tumour tumour_;
  Vector3 node_centre_{};
  Vector3 node_radii_{};
  std::array<std::array<float, contrast_count>, tissue_count> signal_{};
  std::array<float, tissue_count> grain_{};
  std::array<double, 4> shading_{};
};

/// Normally distributed noise of standard deviation 1 that depends on nothing but its arguments.
[[nodiscard]] float gaussian_noise(std::uint64_t stream, std::uint64_t index);
/// A smooth field in about [-1, 1] that changes over cell_mm and depends on nothing but its arguments.
[[nodiscard]] double smooth_field(const Vector3& point_mm, double cell_mm, std::uint64_t stream);
/// A number in [0, 1) that depends on nothing but its arguments.
[[nodiscard]] double uniform_number(std::uint64_t stream, std::uint64_t index);

}  // namespace choana::fixtures
