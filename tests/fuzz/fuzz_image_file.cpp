// NRRD, NIfTI and MetaImage files of strangers: hostile sizes, types, components and truncated gzip are refused; what is read is whole.
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "processing/itk/image_file.h"
#include "tests/fuzz/dicom_file.h"
#include "tests/fuzz/seeds.h"
#include "tests/support/volumes.h"

using namespace choana;

namespace {

constexpr std::array<const char*, 7> endings{".nrrd", ".nii", ".nii.gz", ".mha", ".nhdr", ".mhd", ".hdr"};

// One folder a process, in memory where there is such a place.
const std::filesystem::path& folder() {
  static const std::filesystem::path made = [] {
    std::string name = (std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path().string()) + std::string("/choana-fuzz-XXXXXX");
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    static const std::string kept = name;
    std::atexit([] {
      std::error_code ignored;
      std::filesystem::remove_all(kept, ignored);
    });
    return std::filesystem::path(name);
  }();
  return made;
}

}  // namespace

// First byte: the ending of the name. The rest is the file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::filesystem::path file = folder() / (std::string("image") + endings[data[0] % endings.size()]);
  {
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(data + 1), static_cast<std::streamsize>(size - 1));
  }
  if (const auto image = processing::read_image_file(file)) {
    if (image->voxels.size() != image->geometry.voxel_count() || image->voxels.empty()) std::abort();
    for (const double spacing : image->geometry.spacing_mm())
      if (!(spacing > 0) || !std::isfinite(spacing)) std::abort();
    for (const double origin : image->geometry.origin_mm())
      if (!std::isfinite(origin)) std::abort();
  } else if (image.error().message.empty()) {
    std::abort();
  }
  for (const int channel : {0, 2})
    if (const auto mask = processing::read_mask_file(file, channel); mask && mask->labels.size() != mask->geometry.voxel_count()) std::abort();
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  std::vector<std::vector<std::uint8_t>> seeds;
  const test::RandomCase one = test::random_case(3, {3, 2, 2});
  for (std::size_t kind = 0; kind < 4; ++kind) {
    const auto file = folder() / (std::string("seed") + endings[kind]);
    if (!processing::write_image_file(one.image, file)) std::abort();
    std::vector<std::uint8_t> bytes = test::bytes_of(file);
    bytes.insert(bytes.begin(), static_cast<std::uint8_t>(kind));
    seeds.push_back(std::move(bytes));
    std::filesystem::remove(file);
  }
  const auto text = [&](std::uint8_t kind, const std::string& header) {
    seeds.emplace_back(1, kind);
    seeds.back().insert(seeds.back().end(), header.begin(), header.end());
  };
  text(0, "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 1\nspace directions: (1,0,0) (0,1,0) (0,0,2)\nkinds: domain domain domain\n"
          "endian: little\nencoding: raw\nspace origin: (0,0,0)\n\n12345678");
  text(0, "NRRD0004\ntype: unsigned char\ndimension: 4\nsizes: 3 2 2 1\nencoding: ascii\n\n1 2 3 4 5 6 7 8 9 10 11 12\n");
  text(0, "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 4294967296 4294967296 4294967296\nencoding: gzip\n\nx");
  text(4, "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: raw\ndata file: image.raw\n");
  text(3, "ObjectType = Image\nNDims = 3\nDimSize = 2 2 1\nElementSpacing = 1 1 1\nElementType = MET_SHORT\nElementDataFile = LOCAL\n12345678");
  text(3, "ObjectType = Image\nNDims = 3\nBinaryData = True\nNDims = 1000000000002 2.5\nDimSize = 3 2 2\nElementType = MET_SHORT\nElementDataFile = LOCAL\n1234");  // hung
  text(5, "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = image.raw\n");
  return seeds;
}
