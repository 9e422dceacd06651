#include "dicom/dicom_reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>

#include "dicom/preflight.h"
#include "tests/support/dicom_maker.h"

namespace choana::dicom {
namespace {

namespace fs = std::filesystem;
using test::MrSlice;
using test::SegmentationFile;
using test::StructureSetFile;
using test::TemporaryFolder;

AcquiredSlice one_slice(MrSlice& object, E_TransferSyntax syntax = EXS_LittleEndianExplicit) {
  const TemporaryFolder folder;
  auto slices = read_slices(object.save(folder.path() / "slice", syntax));
  if (!slices || slices->size() != 1) {
    ADD_FAILURE() << (slices ? "not one slice" : to_string(slices.error()));
    return {};
  }
  return slices->front();
}

TEST(ImageReader, ReadsGeometryAsTheStandardMeansIt) {
  MrSlice object;
  object.put(DCM_ImageOrientationPatient, "0\\1\\0\\0\\0\\-1");
  const AcquiredSlice slice = one_slice(object);
  ASSERT_TRUE(slice.has_geometry);
  EXPECT_EQ(slice.columns, 4);
  EXPECT_EQ(slice.rows, 3);
  // PS3.3 10.7.1.3: the first value of Pixel Spacing is the distance between rows.
  EXPECT_EQ(slice.row_spacing_mm, 2);
  EXPECT_EQ(slice.column_spacing_mm, 0.5);
  EXPECT_EQ(slice.row_direction, (Vector3{0, 1, 0}));
  EXPECT_EQ(slice.column_direction, (Vector3{0, 0, -1}));
  EXPECT_EQ(slice.position_mm, (Vector3{-10, -20, 0}));
  EXPECT_EQ(slice.frame_number, 0);
  EXPECT_EQ(slice.series_number, 5);
}

TEST(ImageReader, NormalisesRoundedDirectionsAndRefusesImpossibleOnes) {
  MrSlice rounded;
  rounded.put(DCM_ImageOrientationPatient, "0.999\\0\\-0.036\\0.0013\\0.999\\0.036");
  const AcquiredSlice slice = one_slice(rounded);
  ASSERT_TRUE(slice.has_geometry);
  EXPECT_NEAR(norm(slice.row_direction), 1, 1e-12);
  EXPECT_NEAR(dot(slice.row_direction, slice.column_direction), 0, 1e-12);
  MrSlice impossible;
  impossible.put(DCM_ImageOrientationPatient, "1\\0\\0\\1\\0\\0");
  EXPECT_FALSE(one_slice(impossible).has_geometry);
  MrSlice beyond;
  beyond.put(DCM_ImagePositionPatient, "1e300\\0\\0");
  EXPECT_FALSE(one_slice(beyond).has_geometry);
  MrSlice flat;
  flat.put(DCM_PixelSpacing, "1e-200\\1");
  EXPECT_FALSE(one_slice(flat).has_geometry);
  MrSlice without;
  without.ds->findAndDeleteElement(DCM_ImagePositionPatient);
  EXPECT_FALSE(one_slice(without).has_geometry);
}

TEST(ImageReader, KeepsTheIntegerTypeThatSimpleItkWouldGive) {
  MrSlice plain;
  EXPECT_EQ(one_slice(plain).pixel_type, PixelType::uint16);
  MrSlice with_sign;
  with_sign.put(DCM_PixelRepresentation, Uint16{1});
  EXPECT_EQ(one_slice(with_sign).pixel_type, PixelType::int16);
  // Source: GDCM Rescaler::ComputeInterceptSlopePixelType, which SimpleITK 2 follows.
  MrSlice shifted;
  shifted.put(DCM_RescaleSlope, "1");
  shifted.put(DCM_RescaleIntercept, "-1024");
  EXPECT_EQ(one_slice(shifted).pixel_type, PixelType::int32);
  shifted.put(DCM_BitsStored, Uint16{12});
  shifted.put(DCM_HighBit, Uint16{11});
  const AcquiredSlice twelve = one_slice(shifted);
  EXPECT_EQ(twelve.pixel_type, PixelType::int16);
  EXPECT_EQ(twelve.pixels->front(), 100 - 1024);
  MrSlice scaled;
  scaled.put(DCM_RescaleSlope, "0.5");
  scaled.put(DCM_RescaleIntercept, "3");
  const AcquiredSlice half = one_slice(scaled);
  EXPECT_EQ(half.pixel_type, PixelType::float32);
  EXPECT_EQ((*half.pixels)[1], 101 * 0.5F + 3);
}

TEST(ImageReader, MasksForeignBitsAndExtendsTheSign) {
  MrSlice object(2, 1);
  object.put(DCM_BitsStored, Uint16{12});
  object.put(DCM_HighBit, Uint16{11});
  object.put_pixels({0x1005, 0x0FFF});
  const AcquiredSlice overlay = one_slice(object);
  EXPECT_EQ(*overlay.pixels, (std::vector<float>{5, 4095}));
  ASSERT_EQ(overlay.notes.size(), 1U);
  EXPECT_NE(overlay.notes.front().find("masked"), std::string::npos);
  object.put(DCM_PixelRepresentation, Uint16{1});
  object.put_pixels({0xFFFF, 0x0800});  // -1 with its sign carried up, and -2048 without
  const AcquiredSlice with_sign = one_slice(object);
  EXPECT_EQ(*with_sign.pixels, (std::vector<float>{-1, -2048}));
  EXPECT_TRUE(with_sign.notes.empty()) << "copies of the sign are no foreign bits";
}

TEST(ImageReader, AppliesAModalityLookUpTable) {
  MrSlice object(3, 1);
  object.put_pixels({9, 11, 40});
  DcmItem* lut = nullptr;
  ASSERT_TRUE(object.ds->findOrCreateSequenceItem(DCM_ModalityLUTSequence, lut, 0).good());
  const Uint16 descriptor[] = {4, 10, 16}, data[] = {100, 200, 300, 400};
  lut->putAndInsertUint16Array(DCM_LUTDescriptor, descriptor, 3);
  lut->putAndInsertUint16Array(DCM_LUTData, data, 4);
  // PS3.3 C.11.1.1.1: values below the first mapped one take the first entry, values above the last take the last.
  EXPECT_EQ(*one_slice(object).pixels, (std::vector<float>{100, 200, 400}));
}

TEST(ImageReader, ReportsPhilipsPrivateScalingWithoutApplyingIt) {
  MrSlice object;
  object.put(DCM_Manufacturer, "Philips Medical Systems");
  EXPECT_TRUE(object.ds->putAndInsertString(DcmTag(0x2005, 0x0010, EVR_LO), "Philips MR Imaging DD 001").good());
  EXPECT_TRUE(object.ds->putAndInsertFloat32(DcmTag(0x2005, 0x100E, EVR_FL), 0.25F).good());
  EXPECT_TRUE(object.ds->putAndInsertFloat32(DcmTag(0x2005, 0x100D, EVR_FL), 0).good());
  const AcquiredSlice slice = one_slice(object);
  EXPECT_EQ(slice.pixels->front(), 100);
  ASSERT_EQ(slice.notes.size(), 1U);
  EXPECT_NE(slice.notes.front().find("Philips private scale slope 0.25"), std::string::npos) << slice.notes.front();
}

TEST(ImageReader, FindsTheBValueWhereEachVendorPutsIt) {
  const auto b_of = [](const std::function<void(MrSlice&)>& change) {
    MrSlice object;
    change(object);
    return one_slice(object).acquisition.b_value_s_per_mm2;
  };
  EXPECT_EQ(b_of([](MrSlice&) {}), std::nullopt);
  EXPECT_EQ(b_of([](MrSlice& o) { o.ds->putAndInsertFloat64(DCM_DiffusionBValue, 750); }), 750);
  EXPECT_EQ(b_of([](MrSlice& o) {
              o.put(DCM_Manufacturer, "SIEMENS");
              o.put_private(0x0019, 0x100C, EVR_IS, "SIEMENS MR HEADER", "800");
            }),
            800);
  EXPECT_EQ(b_of([](MrSlice& o) {
              o.put(DCM_Manufacturer, "SIEMENS");
              o.put_private(0x0019, 0x110C, EVR_IS, "SIEMENS MR HEADER", "850");
            }),
            850)
      << "the private block may be any";
  EXPECT_EQ(b_of([](MrSlice& o) {
              o.put(DCM_Manufacturer, "GE MEDICAL SYSTEMS");
              o.put_private(0x0043, 0x1039, EVR_IS, "GEMS_PARM_01", "1000000600\\8\\0\\0");
            }),
            600)
      << "GE adds 1e9";
  EXPECT_EQ(b_of([](MrSlice& o) {
              o.put(DCM_Manufacturer, "Philips");
              o.ds->putAndInsertString(DcmTag(0x2001, 0x0010, EVR_LO), "Philips Imaging DD 001");
              o.ds->putAndInsertFloat32(DcmTag(0x2001, 0x1003, EVR_FL), 900);
            }),
            900);
  EXPECT_EQ(b_of([](MrSlice& o) {
              o.put(DCM_Manufacturer, "UIH");
              o.ds->putAndInsertString(DcmTag(0x0065, 0x0010, EVR_LO), "Image Private Header");
              o.ds->putAndInsertFloat64(DcmTag(0x0065, 0x1009, EVR_FD), 700);
            }),
            700);
  EXPECT_EQ(b_of([](MrSlice& o) {
              o.put(DCM_Manufacturer, "GE MEDICAL SYSTEMS");
              o.put_private(0x0043, 0x1039, EVR_IS, "SOMEBODY ELSE", "600");
            }),
            std::nullopt)
      << "another creator's element means something else";
}

TEST(ImageReader, ReadsTheBValueOfASiemensCsaHeader) {
  std::string header = "SV10";
  header += std::string("\4\3\2\1", 4);
  const auto number = [](std::uint32_t v) { return std::string{static_cast<char>(v & 0xFF), static_cast<char>(v >> 8), '\0', '\0'}; };
  header += number(1) + number(77);
  std::string name = "B_value";
  name.resize(64, '\0');
  header += name + number(1) + std::string("IS\0\0", 4) + number(0) + number(1) + number(77);
  header += number(4) + number(4) + number(77) + number(4) + std::string("950\0", 4);
  MrSlice object;
  object.put(DCM_Manufacturer, "SIEMENS");
  object.ds->putAndInsertString(DcmTag(0x0029, 0x0010, EVR_LO), "SIEMENS CSA HEADER");
  object.ds->putAndInsertUint8Array(DcmTag(0x0029, 0x1010, EVR_OB), reinterpret_cast<const Uint8*>(header.data()), static_cast<unsigned long>(header.size()));
  EXPECT_EQ(one_slice(object).acquisition.b_value_s_per_mm2, 950);
}

TEST(ImageReader, TurnsGaussIntoTesla) {
  MrSlice object;
  object.put(DCM_MagneticFieldStrength, "15000");
  EXPECT_DOUBLE_EQ(*one_slice(object).acquisition.field_strength_t, 1.5);
}

TEST(ImageReader, ReadsChineseTextDeclaredOrNot) {
  const auto description_of = [](const char* charset, const std::string& bytes) {
    MrSlice object;
    if (charset != nullptr) object.put(DCM_SpecificCharacterSet, charset);
    object.put(DCM_SeriesDescription, bytes);
    return one_slice(object).acquisition.series_description;
  };
  const std::string utf8 = "T1\xE5\xA2\x9E\xE5\xBC\xBA";    // T1 enhanced, in UTF-8
  const std::string gb18030 = "T1\xD4\xF6\xC7\xBF";         // the same in GB18030
  EXPECT_EQ(description_of("ISO_IR 192", utf8), utf8);
  EXPECT_EQ(description_of("GB18030", gb18030), utf8);
  EXPECT_EQ(description_of("GBK", gb18030), utf8);
  EXPECT_EQ(description_of(nullptr, utf8), utf8) << "undeclared but valid UTF-8";
  EXPECT_EQ(description_of(nullptr, gb18030), utf8) << "undeclared and no UTF-8: GB18030";
  EXPECT_EQ(description_of("NONSENSE", gb18030), utf8);
  EXPECT_EQ(description_of("ISO_IR 100", "mm\xB2/s"), "mm\xC2\xB2/s");
  EXPECT_EQ(description_of(nullptr, "mm\xB2/s"), "mm\xEF\xBF\xBD/s") << "neither: the byte is marked";
  EXPECT_EQ(description_of(nullptr, "a\tb\x01" "c"), "a b c");
}

TEST(ImageReader, ReadsEveryEncodingOfTheSameSlice) {
  for (const E_TransferSyntax syntax : {EXS_LittleEndianImplicit, EXS_LittleEndianExplicit, EXS_BigEndianExplicit, EXS_DeflatedLittleEndianExplicit}) {
    MrSlice object;
    const AcquiredSlice slice = one_slice(object, syntax);
    ASSERT_TRUE(slice.pixels);
    EXPECT_EQ(slice.pixels->at(11), 111) << DcmXfer(syntax).getXferName();
  }
}

TEST(ImageReader, ReadsFramesOfAnEnhancedObject) {
  MrSlice object(2, 2);
  object.put(DCM_SOPClassUID, UID_EnhancedMRImageStorage);
  for (const DcmTagKey& tag : {DCM_ImagePositionPatient, DCM_ImageOrientationPatient, DCM_PixelSpacing, DCM_SliceThickness}) object.ds->findAndDeleteElement(tag);
  object.put(DCM_NumberOfFrames, "2");
  object.put_pixels({1, 2, 3, 4, 5, 6, 7, 8});
  DcmItem* shared = nullptr;
  DcmItem* item = nullptr;
  object.ds->findOrCreateSequenceItem(DCM_SharedFunctionalGroupsSequence, shared, -2);
  shared->findOrCreateSequenceItem(DCM_PlaneOrientationSequence, item, -2);
  item->putAndInsertString(DCM_ImageOrientationPatient, "1\\0\\0\\0\\1\\0");
  shared->findOrCreateSequenceItem(DCM_PixelMeasuresSequence, item, -2);
  item->putAndInsertString(DCM_PixelSpacing, "1\\1");
  item->putAndInsertString(DCM_SliceThickness, "4");
  shared->findOrCreateSequenceItem(DCM_MREchoSequence, item, -2);
  item->putAndInsertFloat64(DCM_EffectiveEchoTime, 77);
  for (int frame = 0; frame < 2; ++frame) {
    DcmItem* group = nullptr;
    object.ds->findOrCreateSequenceItem(DCM_PerFrameFunctionalGroupsSequence, group, -2);
    group->findOrCreateSequenceItem(DCM_PlanePositionSequence, item, -2);
    item->putAndInsertString(DCM_ImagePositionPatient, frame == 0 ? "0\\0\\0" : "0\\0\\4");
    group->findOrCreateSequenceItem(DCM_MRDiffusionSequence, item, -2);
    item->putAndInsertFloat64(DCM_DiffusionBValue, frame == 0 ? 0 : 1000);
    group->findOrCreateSequenceItem(DCM_PixelValueTransformationSequence, item, -2);
    item->putAndInsertString(DCM_RescaleSlope, frame == 0 ? "1" : "10");
    item->putAndInsertString(DCM_RescaleIntercept, "0");
  }
  const TemporaryFolder folder;
  const auto slices = read_slices(object.save(folder.path() / "object"));
  ASSERT_TRUE(slices) << to_string(slices.error());
  ASSERT_EQ(slices->size(), 2U);
  EXPECT_EQ((*slices)[0].frame_number, 1);
  EXPECT_EQ((*slices)[1].position_mm, (Vector3{0, 0, 4}));
  EXPECT_EQ((*slices)[1].acquisition.b_value_s_per_mm2, 1000);
  EXPECT_EQ((*slices)[0].acquisition.echo_time_ms, 77);
  EXPECT_EQ(*(*slices)[0].pixels, (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(*(*slices)[1].pixels, (std::vector<float>{50, 60, 70, 80}));
}

TEST(ImageReader, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  const auto code_of = [&](const std::function<void(MrSlice&)>& change) {
    MrSlice object;
    change(object);
    auto slices = read_slices(object.save(folder.path() / "slice"));
    return slices ? std::string("read") : std::string(to_string(slices.error().code));
  };
  EXPECT_EQ(code_of([](MrSlice&) {}), "read");
  EXPECT_EQ(code_of([](MrSlice& o) { o.ds->findAndDeleteElement(DCM_PixelData); }), "missing_pixel_data");
  EXPECT_EQ(code_of([](MrSlice& o) { o.put_pixels({1, 2, 3}); }), "truncated");
  EXPECT_EQ(code_of([](MrSlice& o) { o.put(DCM_SOPClassUID, UID_SecondaryCaptureImageStorage); }), "unsupported_sop_class");
  EXPECT_EQ(code_of([](MrSlice& o) { o.put(DCM_SamplesPerPixel, Uint16{3}); }), "invalid_attribute");
  EXPECT_EQ(code_of([](MrSlice& o) { o.put(DCM_BitsStored, Uint16{17}); }), "invalid_attribute");
  EXPECT_EQ(code_of([](MrSlice& o) { o.put(DCM_Rows, Uint16{0}); }), "missing_attribute");
  EXPECT_EQ(code_of([](MrSlice& o) { o.put(DCM_Rows, Uint16{65535}); }), "limit_exceeded");
  EXPECT_EQ(code_of([](MrSlice& o) { o.put(DCM_RescaleSlope, "1e300"); }), "invalid_attribute");
  EXPECT_EQ(read_slices(folder.path() / "absent").error().code, ErrorCode::io_error);
  EXPECT_EQ(read_slices(folder.path()).error().code, ErrorCode::io_error);
  std::ofstream(folder.path() / "text") << "This is not DICOM, but it is long enough to look at its first bytes.";
  EXPECT_EQ(read_slices(folder.path() / "text").error().code, ErrorCode::not_dicom);
  std::ofstream(folder.path() / "empty");
  EXPECT_EQ(read_slices(folder.path() / "empty").error().code, ErrorCode::not_dicom);
}

TEST(ImageReader, RefusesAFileCutOffAnywhere) {
  const TemporaryFolder folder;
  MrSlice object;
  const fs::path whole = object.save(folder.path() / "whole");
  std::ifstream in(whole, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const fs::path cut = folder.path() / "cut";
    std::ofstream(cut, std::ios::binary | std::ios::trunc) << bytes.substr(0, length);
    const auto slices = read_slices(cut);
    ASSERT_FALSE(slices) << "cut to " << length << " of " << bytes.size() << " bytes";
  }
}

TEST(InstanceFacts, ComeFromTheHeaderEvenWhenThePixelsAreCutOff) {
  const TemporaryFolder folder;
  MrSlice object(64, 64);
  object.put(DCM_SeriesDescription, "T2");
  const fs::path file = object.save(folder.path() / "slice");
  fs::resize_file(file, fs::file_size(file) - 1000);
  const auto facts = read_instance_facts(file);
  ASSERT_TRUE(facts) << to_string(facts.error());
  EXPECT_EQ(facts->sop_class_uid, UID_MRImageStorage);
  EXPECT_EQ(facts->transfer_syntax_uid, UID_LittleEndianExplicitTransferSyntax);
  EXPECT_EQ(facts->acquisition.series_description, "T2");
  EXPECT_EQ(facts->instance_number, 1);
  EXPECT_EQ(read_slices(file).error().code, ErrorCode::truncated);
}

TEST(InstanceFacts, NameTheImagesAStructureSetWasDrawnOn) {
  const TemporaryFolder folder;
  StructureSetFile set;
  const auto facts = read_instance_facts(set.save(folder.path() / "set"));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->referenced_sop_instance_uids, (std::vector<std::string>{"1.2.3.4.1.1"})) << "and not the study's UID";
}

TEST(Preflight, EndsWhereSequencesNestTooDeep) {
  // spec/durability.md: 12,000 levels (240 kB) crash DCMTK 3.6.7. Implicit VR and explicit VR, defined and undefined length.
  const TemporaryFolder folder;
  for (const bool implicit : {false, true}) {
    for (const int levels : {63, 65, 200'000}) {
      std::string body;
      const std::string item("\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF", 8);
      const std::string sequence = implicit ? std::string("\x40\x00\x30\xA7\xFF\xFF\xFF\xFF", 8) : std::string("\x40\x00\x30\xA7SQ\0\0\xFF\xFF\xFF\xFF", 12);
      for (int n = 0; n < levels; ++n) body += sequence + item;
      for (int n = 0; n < levels; ++n) body += std::string("\xFE\xFF\x0D\xE0\0\0\0\0\xFE\xFF\xDD\xE0\0\0\0\0", 16);
      const std::string first = implicit ? std::string("\x08\x00\x05\x00\x0A\0\0\0ISO_IR 192", 18) : std::string("\x08\x00\x05\x00" "CS\x0A\0ISO_IR 192", 18);
      const fs::path file = folder.path() / "nested";
      std::ofstream(file, std::ios::binary | std::ios::trunc) << first << body;
      const auto seen = preflight(file);
      if (levels <= 64) {
        ASSERT_TRUE(seen) << to_string(seen.error());
        EXPECT_EQ(seen->depth, levels);
      } else {
        ASSERT_FALSE(seen);
        EXPECT_EQ(seen.error().code, ErrorCode::limit_exceeded);
        EXPECT_EQ(read_instance_facts(file).error().code, ErrorCode::limit_exceeded);
      }
    }
  }
}

TEST(Preflight, TakesPlainBytesThatLookLikeASequenceForBytes) {
  const TemporaryFolder folder;
  // Implicit VR: a private value that begins like an item and goes on as anything.
  const std::string value = std::string("\xFE\xFF\x00\xE0\x04\0\0\0", 8) + "abcdefghijkl";
  const std::string file_bytes = std::string("\x08\x00\x05\x00\x0A\0\0\0ISO_IR 192", 18) + std::string("\x09\x00\x01\x10\x14\0\0\0", 8) + value +
                                 std::string("\x10\x00\x20\x00\x02\0\0\0id", 10);
  const fs::path file = folder.path() / "bytes";
  std::ofstream(file, std::ios::binary) << file_bytes;
  const auto seen = preflight(file);
  ASSERT_TRUE(seen) << to_string(seen.error());
  EXPECT_EQ(seen->trailing_bytes, 0U);
  EXPECT_TRUE(seen->guessed_transfer_syntax);
}

TEST(StructureSetReader, ReadsRegionsAndToleratesOddities) {
  const TemporaryFolder folder;
  StructureSetFile file;
  file.ds->putAndInsertString(DCM_SpecificCharacterSet, "ISO_IR 192");
  file.add_roi(1, "GTV \xE9\xBC\xBB\xE5\x92\xBD");
  file.add_contour("CLOSED_PLANAR", "0\\0\\0\\1\\0\\0\\1\\1e0\\+0.0");
  file.add_contour("CLOSED_PLANAR", "");
  file.add_contour("CLOSED_PLANAR", "0\\0\\0\\1\\0");
  file.add_contour("POINT", "0\\0\\0");
  file.add_roi(2, "");
  const auto set = read_structure_set(file.save(folder.path() / "set"));
  ASSERT_TRUE(set) << to_string(set.error());
  ASSERT_EQ(set->rois.size(), 2U);
  EXPECT_EQ(set->rois[0].name, "GTV \xE9\xBC\xBB\xE5\x92\xBD");
  EXPECT_EQ(set->rois[0].generation_algorithm, "MANUAL");
  EXPECT_EQ(set->rois[0].frame_of_reference_uid, "1.2.3.9") << "the only frame of reference of the set stands in for the region's own";
  ASSERT_EQ(set->rois[0].contours.size(), 4U);
  EXPECT_EQ(set->rois[0].contours[0].points_mm, (std::vector<Vector3>{{0, 0, 0}, {1, 0, 0}, {1, 1, 0}}));
  EXPECT_TRUE(set->rois[0].contours[1].points_mm.empty());
  EXPECT_TRUE(set->rois[0].contours[2].points_mm.empty()) << "five numbers are no points";
  EXPECT_EQ(set->rois[1].name, "ROI 2");
  EXPECT_EQ(set->referenced_series_uids, (std::vector<std::string>{"1.2.3.4"}));
}

TEST(StructureSetReader, ReadsASetWithoutAnySequence) {
  const TemporaryFolder folder;
  StructureSetFile file;
  file.ds->findAndDeleteElement(DCM_ReferencedFrameOfReferenceSequence);
  const auto set = read_structure_set(file.save(folder.path() / "set"));
  ASSERT_TRUE(set);
  EXPECT_TRUE(set->rois.empty());
  EXPECT_EQ(set->notes.size(), 4U);
  MrSlice image;
  EXPECT_EQ(read_structure_set(image.save(folder.path() / "image")).error().code, ErrorCode::unsupported_sop_class);
}

TEST(SegmentationReader, UnpacksBitsAcrossFrames) {
  const TemporaryFolder folder;
  // 3 x 3 pixels: frames begin at bits 0, 9 and 18 (PS3.3 C.8.20.2: no padding between frames).
  const std::vector<Uint8> a{1, 0, 0, 0, 1, 0, 0, 0, 1}, none(9, 0), b{0, 0, 1, 0, 1, 0, 1, 0, 0};
  for (const E_TransferSyntax syntax : {EXS_LittleEndianExplicit, EXS_LittleEndianImplicit, EXS_BigEndianExplicit}) {
    SegmentationFile file("BINARY", 3, 3, {{1, {0, 0, 0}, a}, {1, {0, 0, 3}, none}, {2, {0, 0, 6}, b}});
    const auto object = read_segmentation(file.save(folder.path() / "seg", syntax));
    ASSERT_TRUE(object) << to_string(object.error());
    ASSERT_EQ(object->frames.size(), 2U);
    EXPECT_EQ(object->frames_empty, 1);
    EXPECT_EQ(object->frames[0].values, (std::vector<float>(a.begin(), a.end())));
    EXPECT_EQ(object->frames[1].values, (std::vector<float>(b.begin(), b.end())));
    EXPECT_EQ(object->frames[1].segment_number, 2);
    EXPECT_EQ(object->frames[1].position_mm, (Vector3{0, 0, 6}));
    EXPECT_EQ(object->segments.at(1).label, "Node");
  }
}

TEST(SegmentationReader, ReadsFractionsAndLabels) {
  const TemporaryFolder folder;
  SegmentationFile fractional("FRACTIONAL", 2, 1, {{1, {0, 0, 0}, {50, 200}}});
  const auto parts = read_segmentation(fractional.save(folder.path() / "fractional"));
  ASSERT_TRUE(parts) << to_string(parts.error());
  EXPECT_EQ(parts->frames.at(0).values, (std::vector<float>{0.25F, 1.0F}));
  SegmentationFile labels("LABELMAP", 2, 1, {{0, {0, 0, 0}, {2, 1}}});
  const auto map = read_segmentation(labels.save(folder.path() / "labels"));
  ASSERT_TRUE(map) << to_string(map.error());
  EXPECT_EQ(map->frames.at(0).values, (std::vector<float>{2, 1}));
  EXPECT_EQ(map->frames.at(0).segment_number, 0);
}

TEST(SegmentationReader, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  const auto code_of = [&](const std::function<void(SegmentationFile&)>& change) {
    SegmentationFile file("BINARY", 3, 3, {{1, {0, 0, 0}, std::vector<Uint8>(9, 1)}, {1, {0, 0, 3}, std::vector<Uint8>(9, 1)}});
    change(file);
    auto object = read_segmentation(file.save(folder.path() / "seg"));
    return object ? std::string("read") : std::string(to_string(object.error().code));
  };
  EXPECT_EQ(code_of([](SegmentationFile&) {}), "read");
  EXPECT_EQ(code_of([](SegmentationFile& f) { f.ds->findAndDeleteElement(DCM_PixelData); }), "missing_pixel_data");
  EXPECT_EQ(code_of([](SegmentationFile& f) { f.ds->putAndInsertUint16(DCM_Rows, 100); }), "truncated");
  EXPECT_EQ(code_of([](SegmentationFile& f) { f.ds->findAndDeleteElement(DCM_SharedFunctionalGroupsSequence); }), "missing_attribute");
  EXPECT_EQ(code_of([](SegmentationFile& f) { f.ds->findAndDeleteElement(DCM_PerFrameFunctionalGroupsSequence); }), "missing_attribute");
  EXPECT_EQ(code_of([](SegmentationFile& f) { f.ds->putAndInsertString(DCM_SegmentationType, "SOMETHING"); }), "invalid_attribute");
  EXPECT_EQ(code_of([](SegmentationFile& f) { f.ds->putAndInsertString(DCM_SegmentationType, "FRACTIONAL"); }), "invalid_attribute");
  EXPECT_EQ(code_of([](SegmentationFile& f) { f.ds->putAndInsertString(DCM_NumberOfFrames, "2000000000"); }), "limit_exceeded");
}

}  // namespace
}  // namespace choana::dicom
