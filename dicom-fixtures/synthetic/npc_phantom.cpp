#include "dicom-fixtures/synthetic/npc_phantom.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace choana::fixtures {
namespace {

std::uint64_t mix(std::uint64_t x) {  // splitmix64
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

std::uint64_t lattice(int x, int y, int z, std::uint64_t seed) {
  std::uint64_t h = seed;
  h ^= static_cast<std::uint64_t>(static_cast<std::uint32_t>(x)) * 0x9E3779B1ull;
  h ^= static_cast<std::uint64_t>(static_cast<std::uint32_t>(y)) * 0x85EBCA77C2B2ull;
  h ^= static_cast<std::uint64_t>(static_cast<std::uint32_t>(z)) * 0xC2B2AE3D27D4E5ull;
  h *= 0xFF51AFD7ED558CCDull;
  h ^= h >> 32;
  return h * 0xC4CEB9FE1A85EC53ull;
}

// Three smooth fields in [-1, 1] from one walk over the eight corners of a lattice cell.
std::array<float, 3> smooth_noise(const Vector3& p, double cell_mm, std::uint64_t seed) {
  int base[3];
  float fade[3];
  for (std::size_t a = 0; a < 3; ++a) {
    const double x = p[a] / cell_mm, whole = std::floor(x);
    base[a] = static_cast<int>(whole);
    const auto f = static_cast<float>(x - whole);
    fade[a] = f * f * (3 - 2 * f);
  }
  std::array<float, 3> value{};
  for (int corner = 0; corner < 8; ++corner) {
    const bool cx = corner & 1, cy = corner & 2, cz = corner & 4;
    const std::uint64_t h = lattice(base[0] + cx, base[1] + cy, base[2] + cz, seed);
    const float w = (cx ? fade[0] : 1 - fade[0]) * (cy ? fade[1] : 1 - fade[1]) * (cz ? fade[2] : 1 - fade[2]);
    for (std::size_t n = 0; n < 3; ++n) value[n] += w * (static_cast<float>((h >> (16 + 16 * n)) & 0xFFFF) / 32767.5f - 1);
  }
  return value;
}

float ramp(double d_mm, double edge_mm) { return static_cast<float>(std::clamp(0.5 - d_mm / edge_mm, 0.0, 1.0)); }

// Approximate signed distance to an ellipsoid around the origin.
double ellipsoid_distance(const Vector3& d, const Vector3& r) {
  double squared = 0, gradient = 0;
  for (std::size_t a = 0; a < 3; ++a) {
    const double u = d[a] / r[a];
    squared += u * u;
    gradient += u * u / (r[a] * r[a]);
  }
  const double rho = std::sqrt(squared);
  if (rho < 1e-9) return -std::min({r[0], r[1], r[2]});
  return (rho - 1) * rho / std::sqrt(gradient);
}

constexpr std::ptrdiff_t outline_parts = 12;  // the first parts are the three layers of the outline

struct TissueFacts {
  double density, t1_ms, t2_ms, t1_enhanced_ms, adc_um2_per_ms, fat, grain;
};

}  // namespace

float gaussian_noise(std::uint64_t stream, std::uint64_t index) {
  // Sum of eight uniform numbers: whole-number arithmetic, so equal on every machine.
  const std::uint64_t a = mix(stream ^ (index * 0xD1B54A32D192ED03ull)), b = mix(a);
  std::int64_t sum = 0;
  for (int n = 0; n < 4; ++n) sum += static_cast<std::int64_t>((a >> (16 * n)) & 0xFFFF) + static_cast<std::int64_t>((b >> (16 * n)) & 0xFFFF);
  return static_cast<float>(sum - 4 * 65535) / (65536.0f * 0.8164966f);
}

double smooth_field(const Vector3& point_mm, double cell_mm, std::uint64_t stream) { return static_cast<double>(smooth_noise(point_mm, cell_mm, stream)[0]); }

double uniform_number(std::uint64_t stream, std::uint64_t index) {
  return static_cast<double>(mix(mix(stream) ^ (index + 1) * 0x2545F4914F6CDD1Dull) >> 11) / 9007199254740992.0;
}

SequenceTimes sequence_times(Contrast contrast) {
  switch (contrast) {
    case Contrast::t1: return {550, 10};
    case Contrast::t2: return {4200, 95};
    case Contrast::t1c: return {560, 10};
    case Contrast::t1c_fs: return {620, 11};
    case Contrast::dwi_b0:
    case Contrast::dwi_b800: return {5500, 72};
  }
  return {};
}

NpcPhantom::NpcPhantom(const PhantomSettings& settings) : settings_(settings) {
  settings_.response = std::clamp(settings.response, 0.0, 1.0);
  const double r = settings_.response;
  const auto jitter = [&](std::uint64_t n, double share) { return 1 + share * (2 * uniform_number(settings_.seed ^ 0x7155, n) - 1); };
  // Rough values at 3 T; enough that each sequence looks like itself.
  std::array<TissueFacts, tissue_count> facts{};
  const auto set = [&](Tissue t, TissueFacts f) { facts[static_cast<std::size_t>(t)] = f; };
  set(Tissue::air, {0, 1000, 50, 1000, 0.001, 0, 0});
  set(Tissue::fat, {0.80, 290, 78, 290, 0.15, 1, 0.07});
  set(Tissue::skin, {0.62, 800, 45, 640, 1.1, 0, 0.05});
  set(Tissue::muscle, {0.80, 1150, 42, 930, 1.35, 0, 0.09});
  set(Tissue::cortical_bone, {0.07, 900, 20, 900, 0.4, 0, 0.3});
  set(Tissue::marrow, {0.55, 420, 62, 390, 0.4, 0.6, 0.12});
  set(Tissue::white, {0.69, 800, 74, 780, 0.72, 0, 0.03});
  set(Tissue::grey, {0.82, 1350, 92, 1290, 0.86, 0, 0.04});
  set(Tissue::csf, {1.0, 4200, 700, 4200, 3.0, 0, 0.03});
  set(Tissue::mucosa, {0.88, 1250, 120, 430, 1.6, 0, 0.10});
  set(Tissue::gland, {0.80, 620, 72, 430, 0.95, 0.3, 0.14});
  set(Tissue::vitreous, {1.0, 4000, 600, 4000, 2.9, 0, 0.01});
  set(Tissue::vessel, {0.14, 1600, 40, 300, 1.0, 0, 0.1});
  set(Tissue::vein, {0.45, 1400, 60, 210, 1.2, 0, 0.08});
  set(Tissue::tumour, {0.86, 1180 * jitter(1, 0.05), (82 + 12 * (1 - r)) * jitter(2, 0.05), (400 + 130 * r) * jitter(3, 0.06), (0.74 + 0.20 * (1 - r)) * jitter(4, 0.05), 0, 0.03});
  set(Tissue::necrosis, {0.95, 2100, 190, 1800, 1.9, 0, 0.03});
  set(Tissue::node, {0.86, 1150, 86, 470, 0.82, 0, 0.06});
  for (std::size_t t = 0; t < tissue_count; ++t) {
    grain_[t] = static_cast<float>(facts[t].grain);
    for (std::size_t c = 0; c < contrast_count; ++c) {
      const auto contrast = static_cast<Contrast>(c);
      const auto [repetition, echo] = sequence_times(contrast);
      const bool enhanced = contrast == Contrast::t1c || contrast == Contrast::t1c_fs;
      const bool fat_suppressed = contrast == Contrast::t1c_fs || contrast == Contrast::dwi_b0 || contrast == Contrast::dwi_b800;
      const double t1 = enhanced ? facts[t].t1_enhanced_ms : facts[t].t1_ms;
      double s = facts[t].density * (1 - std::exp(-repetition / t1)) * std::exp(-echo * settings_.echo_factor / facts[t].t2_ms);
      if (fat_suppressed) s *= 1 - 0.9 * facts[t].fat;
      if (contrast == Contrast::dwi_b800) s *= std::exp(-0.8 * facts[t].adc_um2_per_ms);
      // Gains that fill a 12-bit range without reaching its end.
      const double gain = contrast == Contrast::t2 ? 2600 : contrast == Contrast::dwi_b0 || contrast == Contrast::dwi_b800 ? 2400 : 2000;
      signal_[t][c] = static_cast<float>(gain * s);
    }
  }
  for (std::size_t n = 0; n < 4; ++n) shading_[n] = 0.16 * (2 * uniform_number(settings_.seed ^ 0xB1A5, n) - 1);
  build_head();
  build_tumour();
}

void NpcPhantom::add(Tissue tissue, Vector3 centre, Vector3 radii, double angle_deg, double warp) {
  const std::uint64_t n = 8 * parts_.size();
  for (std::size_t a = 0; a < 3; ++a) {
    centre[a] += 1.2 * warp * (2 * uniform_number(settings_.seed ^ 0xA7A7, n + a) - 1);
    radii[a] *= 1 + 0.04 * warp * (2 * uniform_number(settings_.seed ^ 0xA7A7, n + 3 + a) - 1);
  }
  Part part;
  part.tissue = tissue;
  part.centre = centre;
  part.radii = radii;
  part.angle_deg = angle_deg;
  part.warp = warp;
  parts_.push_back(part);
}

void NpcPhantom::add_pair(Tissue tissue, Vector3 centre, Vector3 radii, double angle_deg, double warp) {
  add(tissue, centre, radii, angle_deg, warp);
  add(tissue, {-centre[0], centre[1], centre[2]}, radii, -angle_deg, warp);
}

// From outside to inside: each part is painted over the earlier ones.
void NpcPhantom::build_head() {
  using T = Tissue;
  const auto last = [&]() -> Part& { return parts_.back(); };
  // Outline: skin, the fat below it, the soft tissue of face and neck.
  const std::array<Part, 4> outline{Part{T::skin, {0, 6, 26}, {77, 100, 112}, 0, 0, 0.6, -1e3, 1e3}, Part{T::skin, {0, 18, -60}, {66, 64, 90}, 0, 0, 0.6, -1e3, 1e3},
                                    Part{T::skin, {0, -44, -40}, {55, 50, 48}, 0, 0, 0.6, -1e3, 1e3}, Part{T::skin, {0, -88, -3}, {11, 17, 19}, 0, 0, 0.4, -1e3, 1e3}};
  for (const auto& [tissue, depth] : {std::pair{T::skin, 0.0}, std::pair{T::fat, 2.2}, std::pair{T::muscle, 8.0}})
    for (Part part : outline) {
      part.tissue = tissue;
      for (double& radius : part.radii) radius -= depth;
      parts_.push_back(part);
    }
  // Neck: muscles in beds of fat.
  add(T::fat, {0, 52, -50}, {52, 34, 46});
  add_pair(T::muscle, {17, 62, -48}, {15, 15, 60}, 20);
  add_pair(T::muscle, {38, 48, -50}, {12, 17, 60}, -35);
  add_pair(T::muscle, {19, 38, -50}, {13, 9, 60}, 10);
  add_pair(T::fat, {44, 12, -44}, {17, 17, 34});
  add_pair(T::muscle, {54, 20, -52}, {7, 15, 40}, 25);
  add_pair(T::gland, {55, 2, -20}, {14, 20, 22}, -15);
  // Skull: tables, marrow, fluid, brain. The base slopes back towards the neck.
  for (const auto& [tissue, depth] : {std::pair{T::cortical_bone, 0.0}, std::pair{T::marrow, 2.2}, std::pair{T::cortical_bone, 5.0}, std::pair{T::csf, 6.8}, std::pair{T::brain, 9.6}}) {
    add(tissue, {0, 12, 42}, {71 - depth, 86 - depth, 53 - depth}, 0, 0.5);
    last().shear_y = 0.52;
  }
  // The face lies in front of the skull base: fat with thin muscles.
  add(T::cortical_bone, {0, -62, -4}, {60, 53, 30});
  add(T::fat, {0, -62, -5}, {60, 51, 28});
  add(T::muscle, {0, -80, -22}, {34, 8, 9});
  add_pair(T::muscle, {40, -70, -6}, {3, 12, 20}, 35);
  add_pair(T::muscle, {22, -84, 2}, {2.2, 7, 16}, 50);
  add_pair(T::muscle, {18, 2, -14}, {12, 9, 16}, 15);
  add(T::csf, {0, 26, 4}, {13, 12, 24}, 0, 0.5);
  add(T::white, {0, 28, 2}, {9.5, 8.5, 26}, 0, 0.5);
  add(T::csf, {0, 38, 8}, {6, 3.5, 10});
  add_pair(T::csf, {10, 18, 58}, {4, 22, 12}, -8);
  // Spine and its canal.
  add(T::cortical_bone, {0, 14, -44}, {16, 13, 44});
  add(T::marrow, {0, 14, -44}, {14, 11, 42});
  add(T::cortical_bone, {0, 34, -52}, {15, 13, 40}, 0, 0.5);
  add(T::csf, {0, 33, -48}, {11, 9, 48}, 0, 0.4);
  add(T::white, {0, 33, -48}, {6, 4.5, 48}, 0, 0.4);
  // Skull base: clivus, petrous bones with air cells.
  add(T::cortical_bone, {0, 6, 10}, {15, 11, 18});
  add(T::marrow, {0, 6, 10}, {13, 9, 16});
  add_pair(T::cortical_bone, {42, 20, 3}, {24, 11, 10}, -25);
  add_pair(T::marrow, {30, 14, 4}, {9, 5, 6}, -25);
  for (int n = 0; n < 9; ++n)
    add_pair(T::air, {46 + 3.4 * (n % 3) + 0.8 * (n / 3), 24 + 4.2 * (n / 3) - (n % 3), -1 + 3.0 * (n % 2)}, {1.7, 1.8, 4.5});
  // Muscles of chewing, jaw, deep fat.
  add_pair(T::fat, {30, -18, -8}, {12, 20, 26}, 20);
  add_pair(T::muscle, {35, -26, 2}, {9, 17, 11}, 25);
  add_pair(T::muscle, {33, -22, -22}, {7, 15, 16}, 20);
  add_pair(T::cortical_bone, {48, -20, -20}, {5, 17, 30}, 12);
  add_pair(T::marrow, {48, -20, -20}, {2.8, 14, 27}, 12);
  add_pair(T::muscle, {58, -26, -20}, {8, 20, 26}, 12);
  add_pair(T::muscle, {58, -24, 28}, {7, 24, 24}, 8);
  add_pair(T::fat, {38, -48, -16}, {11, 13, 20}, 15);
  // Mouth and tongue.
  add(T::cortical_bone, {0, -62, -22}, {27, 26, 7});
  add(T::mucosa, {0, -58, -29}, {24, 26, 4});
  add(T::muscle, {0, -52, -46}, {22, 30, 20});
  add(T::fat, {0, -52, -46}, {2.2, 26, 16});
  // Airways: nose with septum and turbinates, sinuses, throat.
  add(T::mucosa, {0, -55, 3}, {16, 37, 21});
  add_pair(T::air, {5.6, -56, 2}, {3.1, 34, 17});
  add_pair(T::mucosa, {6.5, -54, -4}, {3.0, 21, 5});
  add_pair(T::mucosa, {6.2, -50, 8}, {2.6, 18, 4});
  add(T::cortical_bone, {0, -62, 2}, {0.9, 22, 17}, 0, 0.4);
  add_pair(T::cortical_bone, {29, -55, 2}, {17.5, 20, 20});
  add_pair(T::mucosa, {29, -55, 2}, {16, 18.5, 18.5});
  add_pair(T::air, {29, -55, 2.5}, {14.6, 17, 17});
  add(T::mucosa, {0, -17, 23}, {16, 14, 11});
  add_pair(T::air, {7, -17, 23.5}, {6.5, 12, 9});
  for (int n = 0; n < 6; ++n) add_pair(T::air, {7.0 + 4.5 * (n % 2), -40.0 - 8 * (n / 2), 27}, {1.9, 3.4, 7});
  add(T::mucosa, {0, -12, -6}, {17, 16, 20});
  add(T::air, {0, -17, -8}, {12, 10, 20});
  add_pair(T::mucosa, {12, -9, -4}, {4, 5, 7});
  add(T::mucosa, {0, -16, -44}, {15, 12, 30});
  add(T::air, {0, -17, -46}, {9, 7, 32});
  add_pair(T::muscle, {9, 0, -18}, {6.5, 4.5, 26}, 10);
  // Orbits.
  add_pair(T::fat, {31, -60, 32}, {17, 25, 15}, 22, 0.6);
  add_pair(T::muscle, {40, -56, 32}, {2.2, 14, 4}, 18, 0.4);
  add_pair(T::muscle, {23, -56, 32}, {2.2, 14, 4}, 12, 0.4);
  add_pair(T::white, {29, -52, 32}, {2.0, 14, 2.2}, 22, 0.4);
  add_pair(T::skin, {33, -72, 32}, {12.6, 12.6, 12.6}, 0, 0.15);
  add_pair(T::vitreous, {33, -72, 32}, {11.6, 11.6, 11.6}, 0, 0.15);
  // Vessels.
  add_pair(T::vessel, {26, 4, -20}, {3.2, 3.2, 44}, 0, 0.7);
  add_pair(T::vein, {32, 10, -22}, {5, 4.4, 42}, 0, 0.7);
  // The node: on the left or on the right, beside the great vessels.
  const double side = uniform_number(settings_.seed ^ 0x40DE, 0) < 0.5 ? 1 : -1;
  node_centre_ = {side * 43, 16, -30 + 4 * uniform_number(settings_.seed ^ 0x40DE, 1)};
  node_radii_ = {8, 10, 12};
}

void NpcPhantom::build_tumour() {
  const std::uint64_t seed = settings_.seed ^ 0x70304;
  const auto number = [&](std::uint64_t n) { return uniform_number(seed, n); };
  tumour_.centre = {-3 + 6 * number(0), -15 + 4 * number(1), -3 + 4 * number(2)};
  tumour_.scale = {1.12 + 0.12 * number(3), 0.92 + 0.1 * number(4), 0.92 + 0.12 * number(5)};
  const double lobulation = 0.16 + 0.22 * (1 - settings_.response);
  for (std::uint64_t n = 0; n < 9; ++n) {
    const double z = 2 * number(10 + 4 * n) - 1, angle = 2 * std::numbers::pi * number(11 + 4 * n), s = std::sqrt(1 - z * z);
    tumour_.lobes.push_back({s * std::cos(angle), s * std::sin(angle), z, lobulation * (0.4 + number(12 + 4 * n)), 5 + 5 * number(13 + 4 * n)});
  }
  // V = det(scale) / 3 * integral of r^3 over the sphere, on a Fibonacci lattice; the radius follows from the volume.
  constexpr int points = 40000;
  double sum = 0, widest = 0;
  for (int n = 0; n < points; ++n) {
    const double z = 1 - (2 * n + 1.0) / points, s = std::sqrt(1 - z * z), angle = n * std::numbers::pi * (3 - std::sqrt(5.0));
    const double r = tumour_surface({s * std::cos(angle), s * std::sin(angle), z});
    sum += r * r * r;
    widest = std::max(widest, r);
  }
  const double unit_mm3 = tumour_.scale[0] * tumour_.scale[1] * tumour_.scale[2] * sum / points * 4 * std::numbers::pi / 3;
  tumour_.radius = std::cbrt(settings_.tumour_ml * 1000 / unit_mm3);
  tumour_.reach = tumour_.radius * widest * std::max({tumour_.scale[0], tumour_.scale[1], tumour_.scale[2]});
}

double NpcPhantom::tumour_surface(const Vector3& direction) const {
  double r = 1;
  for (const auto& lobe : tumour_.lobes) r += lobe[3] * std::exp(lobe[4] * (direction[0] * lobe[0] + direction[1] * lobe[1] + direction[2] * lobe[2] - 1));
  return r;
}

double NpcPhantom::tumour_distance_mm(const Vector3& point_mm) const {
  Vector3 d = point_mm - tumour_.centre;
  for (std::size_t a = 0; a < 3; ++a) d[a] /= tumour_.scale[a] * tumour_.radius;
  const double rho = norm(d);
  if (rho < 1e-9) return -tumour_.radius;
  return (rho - tumour_surface((1 / rho) * d)) * tumour_.radius;
}

double NpcPhantom::node_distance_mm(const Vector3& point_mm) const { return ellipsoid_distance(point_mm - node_centre_, node_radii_); }
double NpcPhantom::node_volume_ml() const { return 4.0 / 3.0 * std::numbers::pi * node_radii_[0] * node_radii_[1] * node_radii_[2] / 1000; }
double NpcPhantom::node_reach_mm() const { return std::max({node_radii_[0], node_radii_[1], node_radii_[2]}); }

std::vector<std::vector<float>> NpcPhantom::paint(const VolumeGeometry& grid, const std::vector<Contrast>& contrasts) const {
  std::vector<std::vector<float>> images(contrasts.size(), std::vector<float>(grid.voxel_count(), 0.0f));
  const std::uint64_t seed = settings_.seed;
  const auto& size = grid.size();
  const double edge = std::max(1.2, grid.spacing_mm()[0]);  // partial volume at borders
  const std::size_t channels = contrasts.size();
  std::array<std::array<float, contrast_count>, tissue_count> table{};
  for (std::size_t t = 0; t < tissue_count; ++t)
    for (std::size_t c = 0; c < channels; ++c) table[t][c] = signal_[t][static_cast<std::size_t>(contrasts[c])];
  const auto row_of = [&](Tissue t) -> const std::array<float, contrast_count>& { return table[static_cast<std::size_t>(t)]; };

  const double uneven = 0.08 + 0.22 * (1 - settings_.response);            // spread of the grain inside the tumour
  const double grain_mm = 2.6 + 2.2 * uniform_number(seed ^ 0x6124, 0) + 2.0 * settings_.response;
  const double necrosis_level = 0.42 + 0.55 * settings_.response;           // of a field in about [-1, 1]

  struct Ready {
    const Part* part;
    double cosine, sine, reach;
    bool outline;
  };
  for (int k = 0; k < size[2]; ++k) {
    double z_low = 1e9, z_high = -1e9;
    for (int corner = 0; corner < 4; ++corner) {
      const double z = grid.index_to_patient({(corner & 1) ? size[0] - 1.0 : 0.0, (corner & 2) ? size[1] - 1.0 : 0.0, static_cast<double>(k)})[2];
      z_low = std::min(z_low, z);
      z_high = std::max(z_high, z);
    }
    std::vector<Ready> ready;
    for (const Part& part : parts_) {
      if (part.centre[2] - part.radii[2] - 6 > z_high || part.centre[2] + part.radii[2] + 6 < z_low) continue;
      const double angle = part.angle_deg * std::numbers::pi / 180;
      ready.push_back({&part, std::cos(angle), std::sin(angle), std::max(part.radii[0], part.radii[1]) + edge, &part < parts_.data() + outline_parts});
    }
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        const Vector3 p = grid.index_to_patient({static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)});
        // Nothing of the head reaches further than this.
        if (p[0] * p[0] / (84 * 84.0) + (p[1] - 0) * (p[1] - 0) / (120 * 120.0) > 1) continue;
        const auto bend = smooth_noise(p, 17, seed ^ 0x3A39);
        const auto coarse = smooth_noise({p[0] + 6 * bend[1], p[1] + 6 * bend[2], p[2] + 4 * bend[0]}, 6.5, seed ^ 0x51C2);
        const auto fine = smooth_noise(p, 2.3, seed ^ 0x77E1);
        const float grain = 0.6f * fine[0] + 0.6f * coarse[0];
        std::array<float, contrast_count> value{};
        float inside_skin = 0;
        for (const Ready& r : ready) {
          const Part& part = *r.part;
          const double warp = 3.2 * part.warp;
          Vector3 d{p[0] - part.centre[0] + warp * bend[0], p[1] - part.centre[1] + warp * bend[1], p[2] - part.centre[2] + warp * bend[2]};
          d[1] += part.shear_y * d[2];
          if (std::abs(d[0]) > r.reach || std::abs(d[1]) > r.reach) continue;
          const Vector3 turned{r.cosine * d[0] + r.sine * d[1], r.cosine * d[1] - r.sine * d[0], d[2]};
          const double distance = ellipsoid_distance(turned, part.radii);
          float weight = ramp(distance, edge);
          // What lies inside cannot stick out of the skin.
          if (r.outline && part.tissue == Tissue::fat) inside_skin = std::max(inside_skin, weight);
          if (!r.outline) weight = std::min(weight, inside_skin);
          if (weight <= 0) continue;
          const Tissue tissue = part.tissue;
          const float modulation = 1 + grain_[static_cast<std::size_t>(tissue)] * grain;
          if (tissue == Tissue::brain) {
            // Folds: fluid along the ridges of a field near the surface, then cortex, then white matter; leaves in the cerebellum.
            const bool cerebellum = p[2] < 12 && p[1] > 34;
            const double depth = -distance + (cerebellum ? 1.8 * std::sin(0.9 * (p[1] + p[2]) + 3 * coarse[1]) : 3.5 * coarse[1] + 4 * bend[2]);
            const float cortex = ramp(depth - (cerebellum ? 8.0 : 5.0), 2.0);
            const double ridge = std::abs(coarse[2] + 0.5 * bend[1]);
            const float fluid = std::max(0.0f, 0.7f * (1 - static_cast<float>(ridge) / 0.2f)) * ramp(-distance - 13, 4);
            const float modulated = 1 + grain_[static_cast<std::size_t>(Tissue::grey)] * grain;
            for (std::size_t c = 0; c < channels; ++c) {
              float mixed = row_of(Tissue::white)[c] + std::max(cortex, std::min(1.0f, 2 * fluid)) * (row_of(Tissue::grey)[c] - row_of(Tissue::white)[c]);
              mixed += fluid * (row_of(Tissue::csf)[c] - mixed);
              value[c] += weight * (mixed * modulated - value[c]);
            }
            continue;
          }
          const auto& row = row_of(tissue);
          for (std::size_t c = 0; c < channels; ++c) value[c] += weight * (row[c] * modulation - value[c]);
        }
        if (const Vector3 d = p - node_centre_; std::abs(d[0]) < 14 && std::abs(d[1]) < 14 && std::abs(d[2]) < 16) {
          const float weight = ramp(node_distance_mm(p), edge);
          const float modulation = 1 + grain_[static_cast<std::size_t>(Tissue::node)] * grain;
          for (std::size_t c = 0; c < channels; ++c) value[c] += weight * (row_of(Tissue::node)[c] * modulation - value[c]);
        }
        if (norm(p - tumour_.centre) < tumour_.reach + edge) {
          const double distance = tumour_distance_mm(p);
          const float weight = ramp(distance, edge);
          if (weight > 0) {
            const auto a = smooth_noise(p, grain_mm, seed ^ 0x7E87), b = smooth_noise(p, 2.1 * grain_mm, seed ^ 0x7E88);
            const float texture = 0.55f * a[0] + 0.65f * b[0];
            const double depth = std::clamp(-distance / tumour_.radius, 0.0, 1.0);
            const float necrosis = ramp((necrosis_level - (0.8 * b[1] + 0.35 * a[1] + 0.75 * depth - 0.25)) * 4, 1.0);
            for (std::size_t c = 0; c < channels; ++c) {
              const float solid = row_of(Tissue::tumour)[c] * (1 + static_cast<float>(uneven) * texture + 0.04f * fine[1]);
              const float inside = solid + necrosis * (row_of(Tissue::necrosis)[c] - solid);
              value[c] += weight * (inside - value[c]);
            }
          }
        }
        const double shade = 1 + shading_[0] * p[0] / 80 + shading_[1] * p[1] / 100 + shading_[2] * p[2] / 60 + 0.22 * ((p[0] * p[0] + p[1] * p[1]) / 10000.0 - 0.4) + shading_[3] * p[0] * p[1] / 8000;
        const std::size_t offset = grid.offset(i, j, k);
        for (std::size_t c = 0; c < channels; ++c) images[c][offset] = value[c] * static_cast<float>(std::max(0.35, shade));
      }
  }
  return images;
}

}  // namespace choana::fixtures
