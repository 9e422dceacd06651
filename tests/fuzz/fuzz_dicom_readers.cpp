// RTSTRUCT, SEG and image files from bytes to regions and volumes: no crash, no hang, and whatever is read is whole.
#include <cmath>
#include <cstdlib>

#include "dicom/dicom_reader.h"
#include "processing/roi/roi_builder.h"
#include "processing/volume/volume_builder.h"
#include "tests/fuzz/dicom_file.h"
#include "tests/fuzz/seeds.h"
#include "tests/support/dicom_maker.h"

using namespace choana;

namespace {

constexpr std::uint64_t voxels_max = 1U << 22;  // a fuzzer's time is short; larger grids add nothing

void check(const Result<RegionOfInterest>& roi) {
  if (!roi) {
    if (roi.error().message.empty()) std::abort();
    return;
  }
  if (roi->voxels() == 0 || roi->mask().size() != roi->geometry().voxel_count()) std::abort();
  if (!(roi->origin().fraction_outside_image >= 0 && roi->origin().fraction_outside_image <= 1)) std::abort();
  if (!std::isfinite(roi->origin().contour_volume_ml)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const VolumeGeometry geometry = *VolumeGeometry::make({16, 16, 4}, {1, 1, 2}, {0, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0, 1}, "1.2.3.9");
  const test::MemoryFile file(data, size);
  (void)dicom::read_instance_facts(file.path());
  if (auto slices = dicom::read_slices(file.path())) {
    for (const AcquiredSlice& slice : *slices)
      if (slice.pixels == nullptr || slice.pixels->size() != static_cast<std::size_t>(slice.columns) * static_cast<std::size_t>(slice.rows)) std::abort();
    if (auto set = processing::build_volumes(std::move(*slices)))
      for (const auto& built : set->volumes)
        if (built.volume.voxels().size() != built.volume.geometry().voxel_count()) std::abort();
  }
  processing::RoiSettings any_frame;
  any_frame.accept_other_frame_of_reference = true;
  if (const auto set = dicom::read_structure_set(file.path()))
    for (const StructureSetRoi& roi : set->rois) check(processing::rasterise_roi(roi, {}, geometry, any_frame));
  if (const auto object = dicom::read_segmentation(file.path())) {
    if (static_cast<std::uint64_t>(object->columns) * static_cast<std::uint64_t>(object->rows) > voxels_max) return 0;
    for (const SegmentDescription& segment : object->segments) check(processing::roi_from_segment(*object, segment.number, geometry, any_frame));
  }
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  const test::TemporaryFolder folder;
  std::vector<std::vector<std::uint8_t>> seeds;
  const auto file = folder.path() / "seed";
  test::StructureSetFile set;
  set.add_roi(1, "GTVp");
  set.add_contour("CLOSED_PLANAR", "2\\2\\0\\9\\2\\0\\9\\9\\0\\2\\9\\0");
  set.add_contour("CLOSEDPLANAR_XOR", "4\\4\\0\\6\\4\\0\\6\\6\\0");
  set.add_contour("POINT", "1\\1\\1");
  seeds.push_back(test::bytes_of(set.save(file)));
  seeds.push_back(test::bytes_of(set.save(file, EXS_LittleEndianImplicit)));
  const std::vector<Uint8> pixels{1, 0, 0, 1, 1, 1, 0, 0, 1};
  for (const char* type : {"BINARY", "FRACTIONAL", "LABELMAP"}) {
    test::SegmentationFile segmentation(type, 3, 3, {{1, {0, 0, 0}, pixels}, {2, {0, 0, 2}, pixels}}, "1\\0\\0\\0\\1\\0", "1\\1");
    seeds.push_back(test::bytes_of(segmentation.save(file)));
  }
  test::MrSlice slice(3, 3);
  seeds.push_back(test::bytes_of(slice.save(file)));
  return seeds;
}
