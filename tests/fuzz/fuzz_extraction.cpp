// Tiny volumes with ragged masks and settings of every kind through the whole extraction (PyRadiomics mode, IBSI mode, voxel maps): no crash, no hang, no
// value that is not a number.
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "processing/radiomics/feature_extractor.h"
#include "processing/radiomics/ibsi/ibsi_extractor.h"
#include "processing/radiomics/voxel_maps.h"
#include "tests/fuzz/seeds.h"
#include "tests/support/volumes.h"

using namespace choana;

namespace {

class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  std::uint8_t next() { return at_ < size_ ? data_[at_++] : 0; }
  int below(int count) { return next() % count; }
  bool flag() { return (next() & 1) != 0; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

double voxel(Bytes& bytes, PixelType type) {
  const int kind = bytes.next();
  if (is_integer(type)) {
    const auto [low, high] = value_range(type);
    return kind == 255 ? high : kind == 254 ? low : std::max(low, static_cast<double>(kind - (low < 0 ? 100 : 0)));
  }
  switch (kind) {
    case 255: return std::numeric_limits<double>::quiet_NaN();
    case 254: return std::numeric_limits<double>::infinity();
    case 253: return type == PixelType::float32 ? 3.4e38 : 1.7e308;
    case 252: return type == PixelType::float32 ? static_cast<double>(1e-38F) : 5e-324;
    case 251: return -0.0;
    default: return static_cast<double>(static_cast<float>(kind) / 7.0F - 10.0F);
  }
}

int run_ibsi(const processing::ScalarVolume& image, const processing::MaskVolume& mask, Bytes& bytes) {
  namespace ibsi = processing::ibsi;
  ibsi::IbsiProfile profile;
  profile.families = ibsi::ibsi_family_names();
  profile.aggregations = ibsi::aggregation_names();
  profile.by_slice = bytes.flag();
  if (bytes.flag()) {
    constexpr std::array<double, 3> lengths{1, 0.5, 3};
    ibsi::GridSettings grid;
    grid.spacing_mm = {lengths[bytes.next() % 3], lengths[bytes.next() % 3], profile.by_slice ? 0 : lengths[bytes.next() % 3]};
    grid.image = static_cast<ibsi::ImageInterpolation>(bytes.below(3));
    grid.mask = static_cast<ibsi::MaskInterpolation>(bytes.below(2));
    grid.round_intensities = bytes.flag();
    profile.grid = grid;
  }
  if (bytes.below(3) == 0) profile.resegmentation.lower = bytes.below(40) - 20;
  if (bytes.below(3) == 0) profile.resegmentation.outlier_sigmas = 1 + bytes.below(3);
  profile.discretisation.method = static_cast<ibsi::DiscretisationMethod>(bytes.below(3));
  profile.discretisation.bin_count = 1 + bytes.below(60);
  profile.volume_histogram.method = static_cast<ibsi::DiscretisationMethod>(bytes.below(3));
  const auto result = ibsi::extract_ibsi_features(image, mask, 1, profile);
  if (!result) {
    if (result.error().message.empty()) std::abort();
    return 0;
  }
  for (const ibsi::IbsiFeatureValue& feature : result->features)
    if (feature.computed() ? !std::isfinite(feature.number()) : std::get<NotComputed>(feature.value).reason.empty()) std::abort();
  return 0;
}

int run_maps(const processing::ScalarVolume& image, const processing::MaskVolume& mask, processing::ExtractionProfile& profile, Bytes& bytes) {
  profile.image_types.resize(1);
  profile.voxel.kernel_radius_voxels = 1 + bytes.below(2);
  profile.voxel.masked_kernel = bytes.flag();
  profile.voxel.voxel_batch = bytes.flag() ? 1 + bytes.below(9) : -1;
  const auto summary = processing::extract_voxel_maps(image, mask, 1, profile, [](processing::VoxelMap&& map) -> Status {
    if (map.volume.voxels.size() != map.volume.geometry.voxel_count()) std::abort();
    for (const double value : map.volume.voxels)
      if (std::isinf(value)) std::abort();
    return {};
  });
  if (!summary && summary.error().message.empty()) std::abort();
  return 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  const Index3 shape{1 + bytes.below(7), 1 + bytes.below(6), 1 + bytes.below(5)};
  constexpr std::array<double, 5> lengths{1, 0.5, 3, 0.01, 40};
  const VolumeGeometry grid = test::grid(shape, {lengths[bytes.next() % 5], lengths[bytes.next() % 5], lengths[bytes.next() % 5]});
  constexpr std::array types{PixelType::int16, PixelType::uint8, PixelType::float32, PixelType::float64, PixelType::int32, PixelType::uint16};
  processing::ScalarVolume image{grid, {}, types[bytes.next() % types.size()]};
  processing::MaskVolume mask{bytes.below(16) == 0 ? test::grid({shape[0], shape[1], shape[2] + 1}) : grid, {}};

  processing::ExtractionProfile profile = processing::default_profile();
  processing::ExtractionSettings& s = profile.settings;
  const std::array<double, 4> widths{25, 0.1, 1e-3, 1e6};
  s.bin_width = widths[bytes.next() % 4];
  if (bytes.flag()) s.bin_count = 1 + bytes.below(40);
  s.minimum_roi_dimensions = 1 + bytes.below(3);
  s.normalize = bytes.below(4) == 0;
  if (bytes.flag()) s.remove_outliers = 0.5 + bytes.below(4);
  if (bytes.below(3) == 0) s.resampled_pixel_spacing_mm = std::array<double, 3>{lengths[bytes.next() % 3], lengths[bytes.next() % 3], bytes.flag() ? 0 : lengths[bytes.next() % 3]};
  constexpr std::array interpolators{processing::Interpolation::cubic_bspline, processing::Interpolation::linear, processing::Interpolation::nearest_neighbour};
  s.interpolator = interpolators[bytes.next() % 3];
  s.pad_distance_voxels = bytes.below(6);
  if (bytes.flag()) s.distances_voxels = {1 + bytes.below(4), 1 + bytes.below(9)};
  s.force_2d = bytes.below(3) == 0;
  s.force_2d_dimension = bytes.below(3);
  if (bytes.below(4) == 0) s.resegment_range = {bytes.below(60) - 30.0, bytes.below(60) - 30.0};
  s.resegment_mode = static_cast<processing::ResegmentMode>(bytes.below(3));
  s.resegment_shape = bytes.flag();
  s.pre_crop = bytes.flag();
  s.correct_mask = bytes.flag();
  s.symmetrical_glcm = bytes.flag();
  s.weighting_norm = static_cast<processing::WeightingNorm>(bytes.below(5));
  s.gldm_alpha = bytes.below(4);
  s.voxel_array_shift = bytes.below(5) * 100;
  constexpr std::array image_types{"Original", "Square", "SquareRoot", "Logarithm", "Exponential", "Gradient", "LoG", "Wavelet", "LBP2D", "LBP3D"};
  profile.image_types.clear();
  const unsigned chosen = bytes.next() | static_cast<unsigned>(bytes.next()) << 8;
  for (std::size_t n = 0; n < image_types.size(); ++n)
    if ((chosen >> n & 1U) != 0) profile.image_types.push_back({image_types[n], s, "{}"});
  if (profile.image_types.empty()) profile.image_types.push_back({"Original", s, "{}"});
  if (bytes.below(4) == 0) profile.families.insert(profile.families.begin(), {"shape2D", {}});

  for (std::size_t n = 0; n < grid.voxel_count(); ++n) image.voxels.push_back(voxel(bytes, image.pixel_type));
  for (std::size_t n = 0; n < mask.geometry.voxel_count(); ++n) mask.labels.push_back(bytes.below(3));

  const int mode = bytes.below(4);
  if (mode == 1) return run_ibsi(image, mask, bytes);
  if (mode == 2) return run_maps(image, mask, profile, bytes);
  const auto result = processing::extract_features(image, mask, 1, profile);
  if (!result) {
    if (result.error().message.empty()) std::abort();
    return 0;
  }
  for (const FeatureValue& feature : result->features.values()) {
    if (feature.computed() ? !std::isfinite(feature.number()) : std::get<NotComputed>(feature.value).reason.empty()) std::abort();
  }
  if (result->voxels_used == 0) std::abort();
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  std::vector<std::vector<std::uint8_t>> seeds;
  std::uint32_t state = 12345;
  for (int n = 0; n < 30; ++n) {
    std::vector<std::uint8_t> seed(50 + 5 * static_cast<std::size_t>(n));
    for (std::uint8_t& byte : seed) {
      state = state * 1664525U + 1013904223U;
      byte = static_cast<std::uint8_t>(state >> 24);
    }
    seeds.push_back(std::move(seed));
  }
  return seeds;
}
