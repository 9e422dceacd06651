#include "processing/radiomics/diagnostics.h"

#include <openssl/evp.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include "core/version.h"
#include "processing/preprocessing/label_scan.h"
#include "processing/radiomics/families/sample_kernels.h"
#include "processing/radiomics/matrices/level_volume.h"
#include "processing/radiomics/matrices/size_zone.h"

namespace choana::processing {
namespace {

static_assert(std::endian::native == std::endian::little, "voxel hashes are of little-endian buffers");

class Sha1 {
 public:
  Sha1() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) { EVP_DigestInit_ex(context_.get(), EVP_sha1(), nullptr); }
  void update(const void* data, std::size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &size);
    std::string text;
    for (unsigned at = 0; at < size; ++at) {
      constexpr char digits[] = "0123456789abcdef";
      text += digits[digest[at] >> 4];
      text += digits[digest[at] & 15];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

template <typename T>
std::string hash_as(const std::vector<double>& voxels) {
  Sha1 sha1;
  std::vector<T> block;
  constexpr std::size_t block_size = 65536;
  for (std::size_t from = 0; from < voxels.size(); from += block_size) {
    block.resize(std::min(voxels.size() - from, block_size));
    for (std::size_t at = 0; at < block.size(); ++at) block[at] = static_cast<T>(voxels[from + at]);
    sha1.update(block.data(), block.size() * sizeof(T));
  }
  return sha1.hex();
}

std::string json_quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

/// A Python literal of our own making as JSON.
std::string json_of_literal(const std::string& literal) {
  std::string json;
  bool quoted = false;
  for (std::size_t at = 0; at < literal.size(); ++at) {
    const char c = literal[at];
    if (c == '\'') {
      json += '"';
      quoted = !quoted;
    } else if (quoted) {
      if (c == '"' || c == '\\') json += '\\';
      json += c;
    } else if (literal.compare(at, 4, "None") == 0) {
      json += "null";
      at += 3;
    } else if (literal.compare(at, 4, "True") == 0) {
      json += "true";
      at += 3;
    } else if (literal.compare(at, 5, "False") == 0) {
      json += "false";
      at += 4;
    } else {
      json += c;
    }
  }
  return json;
}

template <typename T, typename Text>
std::string joined(const T& values, char open, char close, Text&& text) {
  std::string result(1, open);
  bool first = true;
  for (const auto& value : values) {
    if (!first) result += ", ";
    result += text(value);
    first = false;
  }
  return result + close;
}

}  // namespace

std::string python_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (value == 0) return std::signbit(value) ? "-0.0" : "0.0";
  char buffer[48];
  const auto scientific = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  std::string text(buffer, scientific.ptr);
  const std::size_t e = text.find('e');
  const int exponent = std::stoi(text.substr(e + 1));
  if (exponent < -4 || exponent >= 16) return text;
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  text.assign(buffer, fixed.ptr);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::string voxel_hash(const ScalarVolume& image) {
  switch (image.pixel_type) {
    case PixelType::int8: return hash_as<std::int8_t>(image.voxels);
    case PixelType::uint8: return hash_as<std::uint8_t>(image.voxels);
    case PixelType::int16: return hash_as<std::int16_t>(image.voxels);
    case PixelType::uint16: return hash_as<std::uint16_t>(image.voxels);
    case PixelType::int32: return hash_as<std::int32_t>(image.voxels);
    case PixelType::uint32: return hash_as<std::uint32_t>(image.voxels);
    case PixelType::float32: return hash_as<float>(image.voxels);
    case PixelType::float64: return hash_as<double>(image.voxels);
  }
  return {};
}

std::string voxel_hash(const MaskVolume& mask) {
  Sha1 sha1;
  sha1.update(mask.labels.data(), mask.labels.size() * sizeof(std::uint32_t));
  return sha1.hex();
}

void DiagnosticsRecorder::text(const std::string& name, const std::string& value) { sink_.push_back({"diagnostics_" + name, value, json_quoted(value)}); }
void DiagnosticsRecorder::number(const std::string& name, double value) {
  const std::string plain = python_text(value);
  sink_.push_back({"diagnostics_" + name, plain, std::isfinite(value) ? plain : "null"});
}
void DiagnosticsRecorder::count(const std::string& name, long value) { sink_.push_back({"diagnostics_" + name, std::to_string(value), std::to_string(value)}); }
void DiagnosticsRecorder::doubles(const std::string& name, const Vector3& values) {
  sink_.push_back({"diagnostics_" + name, joined(values, '(', ')', python_text), joined(values, '[', ']', python_text)});
}
void DiagnosticsRecorder::integers(const std::string& name, const std::vector<int>& values) {
  const auto plain = [](int value) { return std::to_string(value); };
  sink_.push_back({"diagnostics_" + name, joined(values, '(', ')', plain), joined(values, '[', ']', plain)});
}

void DiagnosticsRecorder::add_versions() {
  // The columns keep PyRadiomics' names so that tables line up; what computed the values is said in the first.
  text("Versions_PyRadiomics", "v3.0.1 (computed by Choana " + std::string(version) + ")");
  text("Versions_Numpy", "none");
  text("Versions_SimpleITK", "none");
  text("Versions_PyWavelet", "none");
  text("Versions_Python", "none");
}

void DiagnosticsRecorder::add_configuration(const ExtractionProfile& profile, int label) {
  for (const auto& [name, value] : {std::pair{"Configuration_Settings", settings_literal(profile, label)},
                                    std::pair{"Configuration_EnabledImageTypes", image_types_literal(profile)}})
    sink_.push_back({std::string("diagnostics_") + name, value, json_of_literal(value)});
}

void DiagnosticsRecorder::add_image(const ScalarVolume& image, const std::string& stage) {
  const std::string prefix = "Image-" + stage + "_";
  if (stage == "original") {
    text(prefix + "Hash", voxel_hash(image));
    text(prefix + "Dimensionality", "3D");
  }
  doubles(prefix + "Spacing", image.geometry.spacing_mm());
  const Index3& size = image.geometry.size();
  integers(prefix + "Size", {size[0], size[1], size[2]});
  const SampleRange range = range_and_sum(image.voxels);
  number(prefix + "Mean", range.sum / static_cast<double>(image.voxels.size()));
  number(prefix + "Minimum", range.low);
  number(prefix + "Maximum", range.high);
}

void DiagnosticsRecorder::add_mask(const ScalarVolume* image, const MaskVolume& mask, int label, const VoxelBox& box, const std::string& stage) {
  const std::string prefix = "Mask-" + stage + "_";
  if (stage == "original") text(prefix + "Hash", voxel_hash(mask));
  doubles(prefix + "Spacing", mask.geometry.spacing_mm());
  const Index3& size = mask.geometry.size();
  integers(prefix + "Size", {size[0], size[1], size[2]});
  integers(prefix + "BoundingBox", {box.lower[0], box.lower[1], box.lower[2], box.size[0], box.size[1], box.size[2]});
  const std::vector<std::uint8_t> region = cut_label(mask, static_cast<std::uint32_t>(label), box);
  Vector3 sums{0, 0, 0};
  long voxels = 0;
  double sum = 0;
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for_each_run(box.size, region, [&](int i, int j, int k, int length) {
    voxels += length;
    const Index3 at{i + box.lower[0], j + box.lower[1], k + box.lower[2]};
    // Whole numbers, exact: i + (i + 1) + ... over the run.
    sums = sums + Vector3{length * (at[0] + 0.5 * (length - 1)), static_cast<double>(length) * at[1], static_cast<double>(length) * at[2]};
    if (image == nullptr) return;
    const double* values = image->voxels.data() + mask.geometry.offset(at[0], at[1], at[2]);
    const SampleRange range = range_and_sum({values, static_cast<std::size_t>(length)});
    sum += range.sum;
    low = std::min(low, range.low);
    high = std::max(high, range.high);
  });
  count(prefix + "VoxelNum", voxels);
  count(prefix + "VolumeNum", static_cast<long>(count_parts(box.size, region)));
  const auto total = static_cast<double>(voxels);
  const Vector3 centre{sums[0] / total, sums[1] / total, sums[2] / total};
  doubles(prefix + "CenterOfMassIndex", centre);
  doubles(prefix + "CenterOfMass", mask.geometry.index_to_patient(centre));
  if (image == nullptr) return;
  number(prefix + "Mean", sum / total);
  number(prefix + "Minimum", low);
  number(prefix + "Maximum", high);
}

}  // namespace choana::processing
