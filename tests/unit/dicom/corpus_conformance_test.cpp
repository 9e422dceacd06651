// Files of shared/data that others made: compressed, malformed, odd, in many character sets.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "core/sha256.h"
#include "dicom/dataset_internal.h"
#include "dicom/dicom_reader.h"
#include "processing/roi/roi_builder.h"
#include "processing/volume/volume_builder.h"
#include "tests/support/series_on_disk.h"
#include "tests/support/shared_data.h"

namespace choana {
namespace {

namespace fs = std::filesystem;

fs::path data(const std::string& relative) { return test::shared_dir() / "data" / relative; }

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().extension() != ".md" && entry.path().extension() != ".json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

// Source: shared/data/compressed-nema-wg04/README.md: which syntaxes are bit-identical, and the largest differences of
// the lossy ones (checked there with dcmdjpeg, dcmdjpls, dcmdrle and gdcmconv).
TEST(CompressedImages, LosslessSyntaxesAreBitIdenticalToTheUncompressedFile) {
  CHOANA_NEEDS_SHARED("data/compressed-nema-wg04");
  for (const std::string image : {"MR1", "MR3"}) {
    const auto plain = dicom::read_slices(data("compressed-nema-wg04/" + image + "_UNC"));
    ASSERT_TRUE(plain) << to_string(plain.error());
    EXPECT_FALSE(plain->front().acquisition.lossy_compressed);
    for (const std::string syntax : {"JPLL", "JLSL", "RLE"}) {
      const auto decoded = dicom::read_slices(data("compressed-nema-wg04/" + image + "_" + syntax));
      ASSERT_TRUE(decoded) << to_string(decoded.error());
      EXPECT_EQ(*decoded->front().pixels, *plain->front().pixels) << image << " " << syntax;
      EXPECT_EQ(decoded->front().pixel_type, plain->front().pixel_type);
      EXPECT_FALSE(decoded->front().acquisition.lossy_compressed) << image << " " << syntax;
    }
    for (const auto& [syntax, most] : {std::pair<std::string, float>{"JLSN", 4.0F}, {"JPLY", image == "MR1" ? 128.0F : 55.0F}}) {
      const auto decoded = dicom::read_slices(data("compressed-nema-wg04/" + image + "_" + syntax));
      ASSERT_TRUE(decoded) << to_string(decoded.error());
      EXPECT_TRUE(decoded->front().acquisition.lossy_compressed) << image << " " << syntax;
      float largest = 0;
      for (std::size_t n = 0; n < plain->front().pixels->size(); ++n) largest = std::max(largest, std::abs((*decoded->front().pixels)[n] - (*plain->front().pixels)[n]));
      EXPECT_LE(largest, most) << image << " " << syntax;
      EXPECT_GT(largest, 0) << image << " " << syntax;
    }
    for (const std::string syntax : {"J2KR", "J2KI"}) {
      const auto refused = dicom::read_slices(data("compressed-nema-wg04/" + image + "_" + syntax));
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, ErrorCode::unsupported_transfer_syntax);
      EXPECT_NE(refused.error().message.find("JPEG 2000"), std::string::npos) << refused.error().message;
      EXPECT_TRUE(dicom::read_instance_facts(data("compressed-nema-wg04/" + image + "_" + syntax))) << "the header is readable";
    }
  }
}

std::size_t pixels_set(const SegmentationObject& object) {
  std::size_t set = 0;
  for (const SegmentFrame& frame : object.frames) set += static_cast<std::size_t>(std::count_if(frame.values.begin(), frame.values.end(), [](float v) { return v > 0; }));
  return set;
}

// Source: shared/data/seg-pydicom/README.md (107098 pixels set in liver.dcm); GDCM 3.0.21 aborts on the RLE ones.
TEST(Segmentations, OfPydicomAreReadInEveryEncodingOrRefusedByName) {
  CHOANA_NEEDS_SHARED("data/seg-pydicom");
  for (const char* name : {"liver", "liver_expb", "liver_nonbyte_aligned", "liver_rle", "liver_nonbyte_aligned_rle"}) {
    const auto object = dicom::read_segmentation(data(std::string("seg-pydicom/") + name + ".dcm"));
    ASSERT_TRUE(object) << name << ": " << to_string(object.error());
    EXPECT_EQ(pixels_set(*object), 107098U) << name;
    EXPECT_EQ(object->frames.size(), 3U) << name;
  }
  for (const char* name : {"liver_1frame", "liver_expb_1frame"}) {
    const auto object = dicom::read_segmentation(data(std::string("seg-pydicom/") + name + ".dcm"));
    ASSERT_TRUE(object) << name;
    EXPECT_EQ(object->frames.size(), 1U) << "one frame in the object, three described";
    EXPECT_EQ(object->notes.size(), 1U);
  }
  for (const char* name : {"liver_j2k", "liver_nonbyte_aligned_j2k", "liver_deflate", "liver_nonbyte_aligned_deflate"}) {
    const auto object = dicom::read_segmentation(data(std::string("seg-pydicom/") + name + ".dcm"));
    ASSERT_FALSE(object) << name;
    EXPECT_EQ(object.error().code, ErrorCode::unsupported_transfer_syntax) << name;
  }
}

Result<processing::VolumeSet> volumes_below(const fs::path& folder) { return processing::build_volumes(test::read_series(folder)); }

// Source: shared/data/seg-dcmqi/README.md: positions match the CT slices; dcmqi's tests segment voxels of these values.
TEST(Segmentations, OfDcmqiMatchTheirImagesByGeometry) {
  CHOANA_NEEDS_SHARED("data/seg-dcmqi");
  const auto image = volumes_below(data("seg-dcmqi/ct-3slice"));
  ASSERT_TRUE(image);
  ASSERT_EQ(image->volumes.size(), 1U);
  const VolumeGeometry& geometry = image->volumes[0].volume.geometry();
  const auto liver = dicom::read_segmentation(data("seg-dcmqi/liver.dcm"));
  ASSERT_TRUE(liver);
  const auto roi = processing::roi_from_segment(*liver, 1, geometry);
  ASSERT_TRUE(roi) << to_string(roi.error());
  EXPECT_EQ(roi->voxels(), pixels_set(*liver));
  EXPECT_EQ(roi->origin().fraction_outside_image, 0);
  const auto overlaps = dicom::read_segmentation(data("seg-dcmqi/partial_overlaps.dcm"));
  ASSERT_TRUE(overlaps);
  EXPECT_EQ(overlaps->segments.size(), 5U);
  std::size_t voxels = 0;
  for (const SegmentDescription& segment : overlaps->segments) {
    const auto part = processing::roi_from_segment(*overlaps, segment.number, geometry);
    ASSERT_TRUE(part) << segment.number << ": " << to_string(part.error());
    voxels += part->voxels();
  }
  EXPECT_EQ(voxels, pixels_set(*overlaps)) << "overlapping segments keep all their voxels";
  for (const std::string name : {"23x38x3", "24x38x3"}) {
    const auto volumes = volumes_below(data("seg-dcmqi/" + name + "/image"));
    const auto object = dicom::read_segmentation(data("seg-dcmqi/" + name + "/seg/label.seg"));
    ASSERT_TRUE(volumes && object);
    const auto placed = processing::roi_from_segment(*object, object->segments.front().number, volumes->volumes.at(0).volume.geometry());
    ASSERT_TRUE(placed) << name << ": " << to_string(placed.error());
    EXPECT_EQ(placed->voxels(), pixels_set(*object)) << name;
  }
}

TEST(Segmentations, WithoutReferencesMatchByGeometry) {
  CHOANA_NEEDS_SHARED("data/mr-dce-ucsfbr06-ge-seg-fractional");
  const auto image = volumes_below(data("mr-dce-ucsfbr06-ge-seg-fractional/image-phase2"));
  ASSERT_TRUE(image);
  ASSERT_EQ(image->volumes.size(), 1U);
  const auto object = dicom::read_segmentation(data("mr-dce-ucsfbr06-ge-seg-fractional/seg/VOI-Breast-Tissue-Segmentation.dcm"));
  ASSERT_TRUE(object) << to_string(object.error());
  EXPECT_TRUE(object->referenced_series_uids.empty());
  EXPECT_EQ(object->referenced_sop_instance_uids.size(), 84U) << "only the Source Image Sequence of the object names images, of two phases";
  const auto roi = processing::roi_from_segment(*object, object->segments.front().number, image->volumes[0].volume.geometry());
  ASSERT_TRUE(roi) << to_string(roi.error());
  EXPECT_EQ(roi->voxels(), pixels_set(*object));
}

TEST(Segmentations, OfHighdicomAreReadOrRefusedForSlides) {
  CHOANA_NEEDS_SHARED("data/seg-sr-highdicom");
  for (const fs::path& file : files_below(data("seg-sr-highdicom"))) {
    const std::string name = file.filename().string();
    if (!name.starts_with("seg_image_")) continue;
    const auto object = dicom::read_segmentation(file);
    if (name.starts_with("seg_image_ct")) {
      EXPECT_TRUE(object) << name << ": " << (object ? "" : to_string(object.error()));
    } else {
      ASSERT_FALSE(object) << name << " has no place in a patient";
      EXPECT_EQ(object.error().code, ErrorCode::missing_attribute) << name;
    }
  }
}

// Nothing may crash, hang or run away; what is read must be whole.
TEST(MalformedFiles, AreReadOrRefusedWithAReason) {
  CHOANA_NEEDS_SHARED("data/corrupt-pydicom");
  std::size_t files = 0, slices_read = 0;
  for (const char* folder : {"corrupt-pydicom", "corrupt-fuzz-pwnlab-v2", "rtstruct-oddities", "seg-sr-highdicom", "charset-pydicom", "sr-tid1500-qin-headneck"}) {
    if (!fs::exists(data(folder))) continue;
    for (const fs::path& file : files_below(data(folder))) {
      ++files;
      const auto facts = dicom::read_instance_facts(file);
      EXPECT_TRUE(facts || !facts.error().message.empty()) << file;
      const auto slices = dicom::read_slices(file);
      if (slices) {
        ++slices_read;
        for (const AcquiredSlice& slice : *slices) ASSERT_EQ(slice.pixels->size(), static_cast<std::size_t>(slice.columns) * static_cast<std::size_t>(slice.rows)) << file;
      } else {
        EXPECT_FALSE(slices.error().message.empty()) << file;
        EXPECT_NE(slices.error().code, ErrorCode::internal) << file;
      }
      (void)dicom::read_structure_set(file);
      (void)dicom::read_segmentation(file);
    }
  }
  EXPECT_GT(files, 300U);
  EXPECT_GT(slices_read, 100U);
}

TEST(MalformedFiles, OfPydicomThatAreSoundAllTheSameAreRead) {
  CHOANA_NEEDS_SHARED("data/corrupt-pydicom");
  const auto whole = dicom::read_slices(data("corrupt-pydicom/MR_small.dcm"));
  ASSERT_TRUE(whole);
  for (const char* name : {"MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_padded.dcm"}) {
    const auto same = dicom::read_slices(data(std::string("corrupt-pydicom/") + name));
    ASSERT_TRUE(same) << name << ": " << to_string(same.error());
    EXPECT_EQ(*same->front().pixels, *whole->front().pixels) << name;
  }
  EXPECT_EQ(dicom::read_slices(data("corrupt-pydicom/MR_truncated.dcm")).error().code, ErrorCode::truncated);
  EXPECT_TRUE(dicom::read_instance_facts(data("corrupt-pydicom/MR_truncated.dcm"))) << "the header is sound";
  EXPECT_EQ(dicom::read_instance_facts(data("corrupt-pydicom/rtplan_truncated.dcm")).error().code, ErrorCode::truncated);
}

// Source: shared/data/rtstruct-oddities/README.md.
TEST(StructureSets, OddOnesAreReadAndLedgered) {
  CHOANA_NEEDS_SHARED("data/rtstruct-oddities");
  const auto points = dicom::read_structure_set(data("rtstruct-oddities/pydicom/rtstruct.dcm"));
  ASSERT_TRUE(points) << "no preamble, no file meta: " << to_string(points.error());
  EXPECT_EQ(points->rois.size(), 3U);
  const auto empty = dicom::read_structure_set(data("rtstruct-oddities/dicomrttool/template_RS.dcm"));
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->rois.at(0).contours.at(0).points_mm.empty());

  std::vector<AcquiredSlice> slices;
  for (const char* name : {"ct_1.dcm", "ct_2.dcm"}) {
    auto read = dicom::read_slices(data(std::string("rtstruct-oddities/rt-utils/") + name));
    ASSERT_TRUE(read);
    slices.push_back(read->front());
  }
  const auto volumes = processing::build_volumes(slices);
  ASSERT_TRUE(volumes);
  ASSERT_EQ(volumes->volumes.size(), 1U) << volumes->rejected.front();
  const VolumeGeometry& geometry = volumes->volumes[0].volume.geometry();
  const auto keyholes = dicom::read_structure_set(data("rtstruct-oddities/rt-utils/dummy_rt.dcm"));
  ASSERT_TRUE(keyholes);
  for (const StructureSetRoi& drawn : keyholes->rois) {
    const auto roi = processing::rasterise_roi(drawn, {}, geometry);
    ASSERT_TRUE(roi) << drawn.name << ": " << to_string(roi.error());
    EXPECT_EQ(roi->origin().contours_used, 2) << drawn.name;
    EXPECT_EQ(roi->origin().contours_dropped, 1) << "one contour lies on a missing slice, 5 mm off";
    EXPECT_NEAR(roi->volume_ml(), roi->origin().contour_volume_ml, 0.1 * roi->volume_ml()) << drawn.name;
  }
  const auto foreign = dicom::read_structure_set(data("rtstruct-oddities/rt-utils/rt.dcm"));
  ASSERT_TRUE(foreign);
  const auto refused = processing::rasterise_roi(foreign->rois.at(0), {}, geometry);
  ASSERT_FALSE(refused) << "its frame of reference is another";
  EXPECT_EQ(refused.error().code, ErrorCode::geometry_mismatch);
  processing::RoiSettings by_series;
  by_series.accept_other_frame_of_reference = true;
  const auto hole = processing::rasterise_roi(foreign->rois.at(0), {}, geometry, by_series);
  ASSERT_TRUE(hole) << to_string(hole.error());
  EXPECT_EQ(hole->origin().contours_used, 2);
}

// Source: shared/data/charset-pydicom/README.md and pydicom's own tests.
TEST(CharacterSets, NamesComeOutAsUtf8) {
  CHOANA_NEEDS_SHARED("data/charset-pydicom");
  const std::vector<std::pair<const char*, const char*>> names{
      {"chrX1.dcm", "Wang^XiaoDong=王^小東="},
      {"chrX2.dcm", "Wang^XiaoDong=王^小东="},
      {"chrFren.dcm", "Buc^Jérôme"},
      {"chrGerm.dcm", "Äneas^Rüdiger"},
      {"chrGreek.dcm", "Διονυσιος"},
      {"chrRuss.dcm", "Люкceмбypг"},
      {"chrArab.dcm", "قباني^لنزار"},
      {"chrHbrw.dcm", "שרון^דבורה"},
      {"chrKoreanMulti.dcm", "김희중"},
      {"chrI2.dcm", "Hong^Gildong=洪^吉洞=홍^길동"},
      {"chrH31.dcm", "Yamada^Tarou=山田^太郎=やまだ^たろう"},
      {"chrJapMulti.dcm", "やまだ^たろう"},
  };
  for (const auto& [file, name] : names) {
    auto loaded = dicom::load_file(data(std::string("charset-pydicom/") + file), "test", true);
    ASSERT_TRUE(loaded) << file;
    EXPECT_EQ(loaded->item().text(DCM_PatientName), name) << file;
  }
}

}  // namespace
}  // namespace choana
