#include "core/series_volume.h"

#include <limits>
#include <utility>

namespace choana {

std::string_view to_string(PixelType type) {
  switch (type) {
    case PixelType::int8: return "int8";
    case PixelType::uint8: return "uint8";
    case PixelType::int16: return "int16";
    case PixelType::uint16: return "uint16";
    case PixelType::int32: return "int32";
    case PixelType::uint32: return "uint32";
    case PixelType::float32: return "float32";
    case PixelType::float64: return "float64";
  }
  return "float64";
}

bool is_integer(PixelType type) { return type != PixelType::float32 && type != PixelType::float64; }

namespace {
template <typename T>
std::pair<double, double> limits() {
  return {static_cast<double>(std::numeric_limits<T>::lowest()), static_cast<double>(std::numeric_limits<T>::max())};
}
}  // namespace

std::pair<double, double> value_range(PixelType type) {
  switch (type) {
    case PixelType::int8: return limits<std::int8_t>();
    case PixelType::uint8: return limits<std::uint8_t>();
    case PixelType::int16: return limits<std::int16_t>();
    case PixelType::uint16: return limits<std::uint16_t>();
    case PixelType::int32: return limits<std::int32_t>();
    case PixelType::uint32: return limits<std::uint32_t>();
    case PixelType::float32:
    case PixelType::float64: break;
  }
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return {-infinity, infinity};
}

Result<SeriesVolume> SeriesVolume::make(VolumeGeometry geometry, std::vector<float> voxels, PixelType pixel_type,
                                        SeriesReference reference, AcquisitionFacts acquisition) {
  if (voxels.size() != geometry.voxel_count())
    return fail(ErrorCode::invalid_argument, "series_volume", "The number of voxels does not fit the geometry.");
  SeriesVolume volume;
  volume.geometry_ = std::move(geometry);
  volume.voxels_ = std::make_shared<const std::vector<float>>(std::move(voxels));
  volume.pixel_type_ = pixel_type;
  volume.reference_ = std::move(reference);
  volume.acquisition_ = std::move(acquisition);
  return volume;
}

Result<SeriesVolume> SeriesVolume::with_voxels(std::vector<float> voxels, PixelType pixel_type) const {
  return make(geometry_, std::move(voxels), pixel_type, reference_, acquisition_);
}

}  // namespace choana
