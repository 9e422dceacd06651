#pragma once

// Small DICOM objects made through DCMTK, for tests of the readers. Only tests include this header.
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace choana::test {

/// Ends the program when an object cannot be made: no test can say anything then. Free of GoogleTest, for fuzz targets.
inline void must(bool made) {
  if (!made) std::abort();
}

/// A folder that is removed again.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "choana-test-XXXXXX").string();
    const char* made = ::mkdtemp(pattern.data());
    must(made != nullptr);
    path_ = made;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string decimals(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) {
    std::array<char, 32> one{};
    std::snprintf(one.data(), one.size(), "%.10g", value);
    text += (text.empty() ? "" : "\\") + std::string(one.data());
  }
  return text;
}

/// A classic MR slice with every element that a reader needs; change `ds` before saving.
struct MrSlice {
  DcmFileFormat format;
  DcmDataset* ds = format.getDataset();

  explicit MrSlice(int columns = 4, int rows = 3, int instance = 1, double z_mm = 0) {
    put(DCM_SOPClassUID, UID_MRImageStorage);
    put(DCM_SOPInstanceUID, "1.2.3.4.1." + std::to_string(instance));
    put(DCM_StudyInstanceUID, "1.2.3.1");
    put(DCM_SeriesInstanceUID, "1.2.3.4");
    put(DCM_FrameOfReferenceUID, "1.2.3.9");
    put(DCM_Modality, "MR");
    put(DCM_SeriesNumber, "5");
    put(DCM_InstanceNumber, std::to_string(instance));
    put(DCM_ImagePositionPatient, decimals({-10, -20, z_mm}));
    put(DCM_ImageOrientationPatient, "1\\0\\0\\0\\1\\0");
    put(DCM_PixelSpacing, "2\\0.5");
    put(DCM_SliceThickness, "3");
    put(DCM_SamplesPerPixel, Uint16{1});
    put(DCM_PhotometricInterpretation, "MONOCHROME2");
    put(DCM_Rows, static_cast<Uint16>(rows));
    put(DCM_Columns, static_cast<Uint16>(columns));
    put(DCM_BitsAllocated, Uint16{16});
    put(DCM_BitsStored, Uint16{16});
    put(DCM_HighBit, Uint16{15});
    put(DCM_PixelRepresentation, Uint16{0});
    std::vector<Uint16> pixels(static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows));
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<Uint16>(i + static_cast<std::size_t>(instance) * 100);
    put_pixels(pixels);
  }
  void put(const DcmTagKey& tag, const std::string& value) { must(ds->putAndInsertString(tag, value.c_str()).good()); }
  void put(const DcmTagKey& tag, const char* value) { put(tag, std::string(value)); }
  void put(const DcmTagKey& tag, Uint16 value) { must(ds->putAndInsertUint16(tag, value).good()); }
  void put_private(Uint16 group, Uint16 element, DcmEVR vr, const std::string& creator, const std::string& value) {
    must(ds->putAndInsertString(DcmTag(group, static_cast<Uint16>(element >> 8), EVR_LO), creator.c_str()).good());
    must(ds->putAndInsertString(DcmTag(group, element, vr), value.c_str()).good());
  }
  void put_pixels(const std::vector<Uint16>& pixels) {
    must(ds->putAndInsertUint16Array(DCM_PixelData, pixels.data(), static_cast<unsigned long>(pixels.size())).good());
  }
  std::filesystem::path save(const std::filesystem::path& file, E_TransferSyntax syntax = EXS_LittleEndianExplicit) {
    must(format.saveFile(OFFilename(file.c_str()), syntax).good());
    return file;
  }
};

/// An RTSTRUCT with one region of the given contours (flat x, y, z lists).
struct StructureSetFile {
  DcmFileFormat format;
  DcmDataset* ds = format.getDataset();

  StructureSetFile() {
    ds->putAndInsertString(DCM_SOPClassUID, UID_RTStructureSetStorage);
    ds->putAndInsertString(DCM_SOPInstanceUID, "1.2.3.5.1");
    ds->putAndInsertString(DCM_StudyInstanceUID, "1.2.3.1");
    ds->putAndInsertString(DCM_SeriesInstanceUID, "1.2.3.5");
    ds->putAndInsertString(DCM_Modality, "RTSTRUCT");
    DcmItem* frame = nullptr;
    ds->findOrCreateSequenceItem(DCM_ReferencedFrameOfReferenceSequence, frame, -2);
    frame->putAndInsertString(DCM_FrameOfReferenceUID, "1.2.3.9");
    DcmItem* study = nullptr;
    frame->findOrCreateSequenceItem(DCM_RTReferencedStudySequence, study, -2);
    study->putAndInsertString(DCM_ReferencedSOPInstanceUID, "1.2.3.1");
    DcmItem* series = nullptr;
    study->findOrCreateSequenceItem(DCM_RTReferencedSeriesSequence, series, -2);
    series->putAndInsertString(DCM_SeriesInstanceUID, "1.2.3.4");
    DcmItem* image = nullptr;
    series->findOrCreateSequenceItem(DCM_ContourImageSequence, image, -2);
    image->putAndInsertString(DCM_ReferencedSOPInstanceUID, "1.2.3.4.1.1");
  }
  void add_roi(int number, const std::string& name) {
    DcmItem* roi = nullptr;
    ds->findOrCreateSequenceItem(DCM_StructureSetROISequence, roi, -2);
    roi->putAndInsertString(DCM_ROINumber, std::to_string(number).c_str());
    roi->putAndInsertString(DCM_ROIName, name.c_str());
    roi->putAndInsertString(DCM_ROIGenerationAlgorithm, "MANUAL");
    DcmItem* contours = nullptr;
    ds->findOrCreateSequenceItem(DCM_ROIContourSequence, contours, -2);
    contours->putAndInsertString(DCM_ReferencedROINumber, std::to_string(number).c_str());
    contours_ = contours;
  }
  void add_contour(const std::string& type, const std::string& data) {
    DcmItem* contour = nullptr;
    contours_->findOrCreateSequenceItem(DCM_ContourSequence, contour, -2);
    contour->putAndInsertString(DCM_ContourGeometricType, type.c_str());
    contour->putAndInsertString(DCM_ContourData, data.c_str());
  }
  std::filesystem::path save(const std::filesystem::path& file, E_TransferSyntax syntax = EXS_LittleEndianExplicit) {
    must(format.saveFile(OFFilename(file.c_str()), syntax).good());
    return file;
  }

 private:
  DcmItem* contours_ = nullptr;
};

/// A SEG on a grid; frames as (segment number, position, pixels 0..255).
struct SegmentationFile {
  DcmFileFormat format;
  DcmDataset* ds = format.getDataset();
  struct Frame {
    int segment = 1;
    std::array<double, 3> position{};
    std::vector<Uint8> pixels;
  };

  SegmentationFile(const std::string& type, int columns, int rows, const std::vector<Frame>& frames, const std::string& orientation = "1\\0\\0\\0\\1\\0",
                   const std::string& spacing = "2\\0.5") {
    const bool label_map = type == "LABELMAP", binary = type == "BINARY";
    ds->putAndInsertString(DCM_SOPClassUID, label_map ? "1.2.840.10008.5.1.4.1.1.66.7" : UID_SegmentationStorage);
    ds->putAndInsertString(DCM_SOPInstanceUID, "1.2.3.6.1");
    ds->putAndInsertString(DCM_SeriesInstanceUID, "1.2.3.6");
    ds->putAndInsertString(DCM_StudyInstanceUID, "1.2.3.1");
    ds->putAndInsertString(DCM_FrameOfReferenceUID, "1.2.3.9");
    ds->putAndInsertString(DCM_Modality, "SEG");
    ds->putAndInsertString(DCM_SegmentationType, type.c_str());
    if (type == "FRACTIONAL") ds->putAndInsertUint16(DCM_MaximumFractionalValue, 200);
    ds->putAndInsertUint16(DCM_SamplesPerPixel, 1);
    ds->putAndInsertString(DCM_PhotometricInterpretation, "MONOCHROME2");
    ds->putAndInsertUint16(DCM_Rows, static_cast<Uint16>(rows));
    ds->putAndInsertUint16(DCM_Columns, static_cast<Uint16>(columns));
    ds->putAndInsertUint16(DCM_BitsAllocated, binary ? 1 : 8);
    ds->putAndInsertUint16(DCM_BitsStored, binary ? 1 : 8);
    ds->putAndInsertUint16(DCM_HighBit, binary ? 0 : 7);
    ds->putAndInsertUint16(DCM_PixelRepresentation, 0);
    ds->putAndInsertString(DCM_NumberOfFrames, std::to_string(frames.size()).c_str());
    for (int segment = 1; segment <= 2; ++segment) {
      DcmItem* item = nullptr;
      ds->findOrCreateSequenceItem(DCM_SegmentSequence, item, -2);
      item->putAndInsertUint16(DCM_SegmentNumber, static_cast<Uint16>(segment));
      item->putAndInsertString(DCM_SegmentLabel, segment == 1 ? "Tumour" : "Node");
      item->putAndInsertString(DCM_SegmentAlgorithmType, "MANUAL");
    }
    DcmItem* shared = nullptr;
    ds->findOrCreateSequenceItem(DCM_SharedFunctionalGroupsSequence, shared, -2);
    DcmItem* item = nullptr;
    shared->findOrCreateSequenceItem(DCM_PlaneOrientationSequence, item, -2);
    item->putAndInsertString(DCM_ImageOrientationPatient, orientation.c_str());
    shared->findOrCreateSequenceItem(DCM_PixelMeasuresSequence, item, -2);
    item->putAndInsertString(DCM_PixelSpacing, spacing.c_str());
    std::vector<Uint8> bytes;
    std::size_t bit = 0;
    for (const Frame& frame : frames) {
      DcmItem* group = nullptr;
      ds->findOrCreateSequenceItem(DCM_PerFrameFunctionalGroupsSequence, group, -2);
      group->findOrCreateSequenceItem(DCM_PlanePositionSequence, item, -2);
      item->putAndInsertString(DCM_ImagePositionPatient, decimals({frame.position[0], frame.position[1], frame.position[2]}).c_str());
      if (!label_map) {
        group->findOrCreateSequenceItem(DCM_SegmentIdentificationSequence, item, -2);
        item->putAndInsertUint16(DCM_ReferencedSegmentNumber, static_cast<Uint16>(frame.segment));
      }
      for (const Uint8 pixel : frame.pixels) {
        if (!binary) {
          bytes.push_back(pixel);
          continue;
        }
        if (bit / 8 >= bytes.size()) bytes.push_back(0);
        if (pixel != 0) bytes[bit / 8] = static_cast<Uint8>(bytes[bit / 8] | (1U << (bit % 8)));
        ++bit;
      }
    }
    if (bytes.size() % 2 == 1) bytes.push_back(0);
    ds->putAndInsertUint8Array(DCM_PixelData, bytes.data(), static_cast<unsigned long>(bytes.size()));
  }
  std::filesystem::path save(const std::filesystem::path& file, E_TransferSyntax syntax = EXS_LittleEndianExplicit) {
    must(format.saveFile(OFFilename(file.c_str()), syntax).good());
    return file;
  }
};

}  // namespace choana::test
