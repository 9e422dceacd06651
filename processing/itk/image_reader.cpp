#include <stdlib.h>
#include <zlib.h>

#include <itkImageIOBase.h>
#include <itkMetaImageIO.h>
#include <itkNiftiImageIO.h>
#include <itkNrrdImageIO.h>
#include <itkObject.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <exception>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>

#include "processing/itk/image_file.h"

namespace choana::processing {
namespace {

constexpr std::uint64_t bytes_max = std::uint64_t{8} << 30;
/// Deflate cannot expand further than this.
constexpr std::uint64_t expansion_max = 1032;

using Component = itk::IOComponentEnum;

tl::unexpected<Error> refuse(ErrorCode code, const std::string& message) { return fail(code, "image_file", message); }

bool ends_with(const std::string& name, const char* suffix) { return name.ends_with(suffix); }

struct Format {
  itk::ImageIOBase::Pointer io;
  bool header_only = false;  // the voxels lie in another file
};

/// The reader that a name asks for; nullptr when none. Readers are made here, not found through ITK's factories.
Format format_for(const std::filesystem::path& path) {
  std::string name = path.filename().string();
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (ends_with(name, ".nrrd") || ends_with(name, ".nhdr")) return {itk::NrrdImageIO::New().GetPointer(), ends_with(name, ".nhdr")};
  if (ends_with(name, ".nii") || ends_with(name, ".nii.gz") || ends_with(name, ".hdr") || ends_with(name, ".img") || ends_with(name, ".img.gz"))
    return {itk::NiftiImageIO::New().GetPointer(), ends_with(name, ".hdr")};
  if (ends_with(name, ".mha") || ends_with(name, ".mhd")) return {itk::MetaImageIO::New().GetPointer(), ends_with(name, ".mhd")};
  return {};
}

/// Another name for a file while it is read. The NIfTI library looks for a.nii first when it is asked for a.nii.gz, and would return the
/// voxels of the one with the header of the other.
class Alias {
 public:
  explicit Alias(const std::filesystem::path& path) : path_(path) {
    std::string name = path.string();
    if (!name.ends_with(".nii.gz")) return;
    std::error_code problem;
    if (!std::filesystem::exists(name.substr(0, name.size() - 3), problem)) return;
    std::string pattern = (std::filesystem::temp_directory_path() / "choana-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) return;
    folder_ = pattern;
    std::filesystem::create_symlink(std::filesystem::absolute(path), folder_ / "image.nii.gz", problem);
    if (!problem) path_ = folder_ / "image.nii.gz";
  }
  ~Alias() {
    std::error_code problem;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, problem);
  }
  Alias(const Alias&) = delete;
  Alias& operator=(const Alias&) = delete;

  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
  std::filesystem::path folder_;
};

/// Whether the orientation and spacing in a NIfTI header are numbers that a grid can have: ITK decomposes them, and the decomposition never ends
/// for NaN. What is no NIfTI header passes; the reader refuses it.
bool has_usable_nifti_header(std::filesystem::path path) {
  std::string name = path.string();
  if (name.ends_with(".img")) path = name.substr(0, name.size() - 4) + ".hdr";
  if (name.ends_with(".img.gz")) path = name.substr(0, name.size() - 7) + ".hdr.gz";
  std::array<unsigned char, 348> header{};
  const gzFile file = gzopen(path.c_str(), "rb");  // reads plain files, too
  if (file == nullptr) return true;
  const bool whole = gzread(file, header.data(), static_cast<unsigned>(header.size())) == static_cast<int>(header.size());
  gzclose(file);
  if (!whole) return true;
  const auto word = [&](std::size_t at, bool swapped) {
    std::uint32_t value = 0;
    for (std::size_t byte = 0; byte < 4; ++byte) value |= static_cast<std::uint32_t>(header[at + (swapped ? 3 - byte : byte)]) << (8 * byte);
    return value;
  };
  const bool swapped = word(0, false) != header.size();
  constexpr float length_max = 1e12F;
  const auto usable = [&](std::size_t from, std::size_t count) {
    for (std::size_t n = 0; n < count; ++n)
      if (!(std::abs(std::bit_cast<float>(word(from + 4 * n, swapped))) <= length_max)) return false;
    return true;
  };
  const bool nifti = std::memcmp(header.data() + 344, "n+1", 4) == 0 || std::memcmp(header.data() + 344, "ni1", 4) == 0;
  // pixdim; quaternion and its offset, then the rows of the affine.
  return usable(76, 4) && (!nifti || usable(256, 18));
}

/// Whether every number of dimensions in the head of a MetaImage is a small one: the library loops over it, and past its buffers, before anybody can
/// look at it. A printf pattern as the name of the voxel files is refused with it.
bool has_usable_meta_header(const std::filesystem::path& path) {
  std::string head(1U << 16, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(file.gcount()));
  constexpr std::string_view key = "NDims", blanks = " \t\r\n", data = "ElementDataFile";
  bool found = false;
  for (std::size_t at = head.find(key); at != std::string::npos; at = head.find(key, at + 1)) {
    const std::size_t mark = head.find_first_not_of(blanks, at + key.size());
    if (mark == std::string::npos || (head[mark] != '=' && head[mark] != ':')) return false;
    const std::size_t number = head.find_first_not_of(blanks, mark + 1);
    if (number == std::string::npos) return false;
    const std::size_t end = std::min(head.find_first_not_of("0123456789", number), head.size());
    if (end != number + 1 || head[number] == '0') return false;  // 1 to 9
    found = true;
  }
  const std::size_t name = head.find(data);
  if (!found || name == std::string::npos) return false;
  return head.substr(name, head.find('\n', name) - name).find('%') == std::string::npos;
}

std::size_t component_bytes(Component type) {
  switch (type) {
    case Component::UCHAR:
    case Component::CHAR: return 1;
    case Component::USHORT:
    case Component::SHORT: return 2;
    case Component::UINT:
    case Component::INT:
    case Component::FLOAT: return 4;
    case Component::ULONG:
    case Component::LONG:
    case Component::ULONGLONG:
    case Component::LONGLONG:
    case Component::DOUBLE: return 8;
    default: return 0;
  }
}

template <typename T>
std::vector<double> widen(const std::vector<char>& buffer, std::size_t components, std::size_t channel) {
  const auto* values = reinterpret_cast<const T*>(buffer.data());
  const std::size_t count = buffer.size() / sizeof(T) / components;
  std::vector<double> result(count);
  for (std::size_t at = 0; at < count; ++at) result[at] = static_cast<double>(values[at * components + channel]);
  return result;
}

struct RawImage {
  VolumeGeometry geometry;
  std::vector<double> voxels;
  Component type = Component::UNKNOWNCOMPONENTTYPE;
};

Result<VolumeGeometry> read_geometry(const itk::ImageIOBase& io, const std::string& file) {
  const unsigned dimensions = io.GetNumberOfDimensions();
  Index3 size{1, 1, 1};
  Vector3 spacing{1, 1, 1};
  Vector3 origin{0, 0, 0};
  Matrix3 direction{1, 0, 0, 0, 1, 0, 0, 0, 1};
  for (unsigned axis = 0; axis < dimensions; ++axis) {
    const auto count = io.GetDimensions(axis);
    if (axis >= 3) {
      if (count != 1) return refuse(ErrorCode::invalid_attribute, "The image " + file + " has " + std::to_string(dimensions) + " dimensions; 2 or 3 are needed.");
      continue;
    }
    if (count < 1 || count > static_cast<itk::SizeValueType>(std::numeric_limits<int>::max()))
      return refuse(ErrorCode::invalid_attribute, "The image " + file + " states a size that is not possible.");
    size[axis] = static_cast<int>(count);
    spacing[axis] = io.GetSpacing(axis);
    origin[axis] = io.GetOrigin(axis);
    const std::vector<double> axis_direction = io.GetDirection(axis);
    for (unsigned row = 0; row < 3; ++row) {
      // A plane image has no third component.
      const double value = row < axis_direction.size() && (dimensions >= 3 || row < 2) ? axis_direction[row] : 0.0;
      direction[3 * row + axis] = value;
    }
    if (spacing[axis] < 0) {
      spacing[axis] = -spacing[axis];
      for (unsigned row = 0; row < 3; ++row) direction[3 * row + axis] = -direction[3 * row + axis];
    }
  }
  auto geometry = VolumeGeometry::make(size, spacing, origin, direction);
  if (!geometry) return refuse(geometry.error().code, "The header of " + file + " is not usable: " + geometry.error().message);
  return geometry;
}

Result<RawImage> read_raw(const std::filesystem::path& path, int channel) {
  const std::string file = path.filename().string();
  std::error_code problem;
  if (!std::filesystem::is_regular_file(path, problem)) return refuse(ErrorCode::not_found, "There is no file " + file + ".");
  const Format format = format_for(path);
  if (format.io.IsNull()) return refuse(ErrorCode::invalid_argument, "The name " + file + " is not that of an image: .nrrd, .nhdr, .nii, .nii.gz, .hdr, .img, .mha or .mhd are read.");
  if (dynamic_cast<itk::MetaImageIO*>(format.io.GetPointer()) != nullptr && !has_usable_meta_header(path))
    return refuse(ErrorCode::invalid_attribute, "The header of " + file + " is damaged: NDims or ElementDataFile are missing or not usable.");
  if (dynamic_cast<itk::NiftiImageIO*>(format.io.GetPointer()) != nullptr && !has_usable_nifti_header(path))
    return refuse(ErrorCode::invalid_attribute, "The header of " + file + " states a spacing or an orientation that is no number.");
  try {
    itk::ImageIOBase& io = *format.io;
    itk::Object::SetGlobalWarningDisplay(false);  // what is wrong with a file is in the Result
    const Alias alias(path);
    io.SetFileName(alias.path());
    if (!io.CanReadFile(alias.path().c_str())) return refuse(ErrorCode::invalid_attribute, "The file " + file + " is not what its name says, or its header is damaged.");
    io.ReadImageInformation();
    const Component type = io.GetComponentType();
    const std::size_t width = component_bytes(type);
    const std::size_t components = io.GetNumberOfComponents();
    if (width == 0) return refuse(ErrorCode::invalid_attribute, "The voxel type of " + file + " is not supported.");
    if (components < 1 || components > 1000) return refuse(ErrorCode::invalid_attribute, "The image " + file + " states a number of components that is not possible.");
    if (channel < 0 && components != 1) return refuse(ErrorCode::invalid_attribute, "The image " + file + " has " + std::to_string(components) + " values a voxel; one is needed.");
    const std::size_t wanted = channel < 0 ? 0 : static_cast<std::size_t>(channel);
    if (wanted >= components) return refuse(ErrorCode::invalid_argument, "The mask " + file + " has no channel " + std::to_string(channel) + ".");
    auto geometry = read_geometry(io, file);
    if (!geometry) return fail(geometry.error());
    // Compared as floating point so that a hostile header cannot overflow.
    const double bytes = static_cast<double>(geometry->size()[0]) * geometry->size()[1] * geometry->size()[2] * static_cast<double>(width * components);
    if (bytes > static_cast<double>(bytes_max)) return refuse(ErrorCode::limit_exceeded, "The image " + file + " is larger than 8 GiB.");
    const std::uintmax_t on_disk = std::filesystem::file_size(path, problem);
    if (!format.header_only && !problem && bytes > static_cast<double>(on_disk) * static_cast<double>(expansion_max) + 65536)
      return refuse(ErrorCode::truncated, "The file " + file + " is shorter than its header says.");
    RawImage raw;
    raw.geometry = std::move(*geometry);
    raw.type = type;
    itk::ImageIORegion region(io.GetNumberOfDimensions());
    for (unsigned axis = 0; axis < io.GetNumberOfDimensions(); ++axis) {
      region.SetIndex(axis, 0);
      region.SetSize(axis, io.GetDimensions(axis));
    }
    io.SetIORegion(region);
    std::vector<char> buffer(raw.geometry.voxel_count() * width * components);
    io.Read(buffer.data());
    switch (type) {
      case Component::UCHAR: raw.voxels = widen<std::uint8_t>(buffer, components, wanted); break;
      case Component::CHAR: raw.voxels = widen<std::int8_t>(buffer, components, wanted); break;
      case Component::USHORT: raw.voxels = widen<std::uint16_t>(buffer, components, wanted); break;
      case Component::SHORT: raw.voxels = widen<std::int16_t>(buffer, components, wanted); break;
      case Component::UINT: raw.voxels = widen<std::uint32_t>(buffer, components, wanted); break;
      case Component::INT: raw.voxels = widen<std::int32_t>(buffer, components, wanted); break;
      case Component::ULONG:
      case Component::ULONGLONG: raw.voxels = widen<std::uint64_t>(buffer, components, wanted); break;
      case Component::LONG:
      case Component::LONGLONG: raw.voxels = widen<std::int64_t>(buffer, components, wanted); break;
      case Component::FLOAT: raw.voxels = widen<float>(buffer, components, wanted); break;
      default: raw.voxels = widen<double>(buffer, components, wanted); break;
    }
    return raw;
  } catch (const std::bad_alloc&) {
    return refuse(ErrorCode::out_of_memory, "There is not enough memory to read " + file + ".");
  } catch (const std::exception&) {
    return refuse(ErrorCode::io_error, "The file " + file + " cannot be read: it is damaged or incomplete.");
  }
}

PixelType pixel_type_of(const RawImage& raw) {
  switch (raw.type) {
    case Component::UCHAR: return PixelType::uint8;
    case Component::CHAR: return PixelType::int8;
    case Component::USHORT: return PixelType::uint16;
    case Component::SHORT: return PixelType::int16;
    case Component::UINT: return PixelType::uint32;
    case Component::INT: return PixelType::int32;
    case Component::FLOAT: return PixelType::float32;
    case Component::DOUBLE: return PixelType::float64;
    default: break;
  }
  const auto range = value_range(PixelType::int32);
  const bool fits = std::all_of(raw.voxels.begin(), raw.voxels.end(), [&](double v) { return v >= range.first && v <= range.second; });
  return fits ? PixelType::int32 : PixelType::float64;
}

template <typename T>
std::vector<char> narrow(const std::vector<double>& voxels) {
  std::vector<char> buffer(voxels.size() * sizeof(T));
  auto* values = reinterpret_cast<T*>(buffer.data());
  for (std::size_t at = 0; at < voxels.size(); ++at) values[at] = static_cast<T>(voxels[at]);
  return buffer;
}

Status write_raw(const VolumeGeometry& geometry, const std::vector<char>& buffer, Component type, const std::filesystem::path& path) {
  const Format format = format_for(path);
  if (format.io.IsNull()) return refuse(ErrorCode::invalid_argument, "The name " + path.filename().string() + " is not that of an image: .nrrd, .nii, .nii.gz and .mha are written.");
  try {
    itk::ImageIOBase& io = *format.io;
    io.SetFileName(path.string());
    io.SetNumberOfDimensions(3);
    io.SetNumberOfComponents(1);
    io.SetPixelType(itk::IOPixelEnum::SCALAR);
    io.SetComponentType(type);
    io.SetUseCompression(true);
    io.SetByteOrderToLittleEndian();
    io.SetFileTypeToBinary();
    itk::ImageIORegion region(3);
    for (unsigned axis = 0; axis < 3; ++axis) {
      io.SetDimensions(axis, static_cast<itk::SizeValueType>(geometry.size()[axis]));
      io.SetSpacing(axis, geometry.spacing_mm()[axis]);
      io.SetOrigin(axis, geometry.origin_mm()[axis]);
      const Vector3 along = geometry.axis(static_cast<int>(axis));
      io.SetDirection(axis, std::vector<double>(along.begin(), along.end()));
      region.SetIndex(axis, 0);
      region.SetSize(axis, static_cast<itk::SizeValueType>(geometry.size()[axis]));
    }
    io.SetIORegion(region);
    if (!io.CanWriteFile(path.string().c_str())) return refuse(ErrorCode::invalid_argument, "The format of " + path.filename().string() + " cannot be written.");
    io.WriteImageInformation();
    io.Write(buffer.data());
    return {};
  } catch (const std::exception&) {
    return refuse(ErrorCode::io_error, "The image " + path.filename().string() + " cannot be written.");
  }
}

}  // namespace

Result<ScalarVolume> read_image_file(const std::filesystem::path& path) {
  auto raw = read_raw(path, -1);
  if (!raw) return fail(raw.error());
  const PixelType type = pixel_type_of(*raw);
  return ScalarVolume{std::move(raw->geometry), std::move(raw->voxels), type};
}

Result<MaskVolume> read_mask_file(const std::filesystem::path& path, int channel) {
  auto raw = read_raw(path, std::max(0, channel));
  if (!raw) return fail(raw.error());
  MaskVolume mask{std::move(raw->geometry), {}};
  mask.labels.reserve(raw->voxels.size());
  for (const double value : raw->voxels) {
    const double whole = std::trunc(value);
    if (!(whole >= 0 && whole <= 4294967295.0))
      return refuse(ErrorCode::invalid_attribute, "The mask " + path.filename().string() + " holds a value that is no label: labels are whole numbers from 0.");
    mask.labels.push_back(static_cast<std::uint32_t>(whole));
  }
  return mask;
}

Status write_image_file(const ScalarVolume& image, const std::filesystem::path& path) {
  switch (image.pixel_type) {
    case PixelType::int8: return write_raw(image.geometry, narrow<std::int8_t>(image.voxels), Component::CHAR, path);
    case PixelType::uint8: return write_raw(image.geometry, narrow<std::uint8_t>(image.voxels), Component::UCHAR, path);
    case PixelType::int16: return write_raw(image.geometry, narrow<std::int16_t>(image.voxels), Component::SHORT, path);
    case PixelType::uint16: return write_raw(image.geometry, narrow<std::uint16_t>(image.voxels), Component::USHORT, path);
    case PixelType::int32: return write_raw(image.geometry, narrow<std::int32_t>(image.voxels), Component::INT, path);
    case PixelType::uint32: return write_raw(image.geometry, narrow<std::uint32_t>(image.voxels), Component::UINT, path);
    case PixelType::float32: return write_raw(image.geometry, narrow<float>(image.voxels), Component::FLOAT, path);
    case PixelType::float64: return write_raw(image.geometry, narrow<double>(image.voxels), Component::DOUBLE, path);
  }
  return {};
}

Status write_mask_file(const MaskVolume& mask, const std::filesystem::path& path) {
  return write_raw(mask.geometry, narrow<std::uint32_t>({mask.labels.begin(), mask.labels.end()}), Component::UINT, path);
}

}  // namespace choana::processing
