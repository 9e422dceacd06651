#include "tests/unit/reporting/synthetic_study.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <unistd.h>

#include <atomic>
#include <cmath>
#include <stdexcept>

#include "reporting/feature_codes.h"

namespace choana::test {
namespace {

namespace fs = std::filesystem;

constexpr int columns = 24;
constexpr int rows = 20;
constexpr int slices = 6;
const std::string study_uid = "1.2.826.0.1.3680043.10.9999.1";

void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(what);
}

// "王^小明" in GB18030 (GB 2312 bytes) and UTF-8.
const std::string name_gb18030 = "Wang^XiaoMing=\xCD\xF5^\xD0\xA1\xC3\xF7";
const std::string name_utf8 = "Wang^XiaoMing=\xE7\x8E\x8B^\xE5\xB0\x8F\xE6\x98\x8E";

void put_patient(DcmDataset& dataset, NameBytes names) {
  std::string name = "Test^Patient";
  if (names == NameBytes::gb18030_declared || names == NameBytes::gb18030_undeclared) name = name_gb18030;
  if (names == NameBytes::utf8_undeclared) name = name_utf8;
  if (names == NameBytes::gb18030_declared) dataset.putAndInsertString(DCM_SpecificCharacterSet, "GB18030");
  const std::pair<DcmTagKey, std::string> values[] = {
      {DCM_PatientName, name},         {DCM_PatientID, "NPC-0001"},       {DCM_IssuerOfPatientID, "HOSP"}, {DCM_PatientBirthDate, "19700102"},
      {DCM_PatientSex, "M"},           {DCM_PatientAge, "055Y"},          {DCM_PatientWeight, "64"},       {DCM_StudyInstanceUID, study_uid},
      {DCM_StudyDate, "20250314"},     {DCM_StudyTime, "101500"},         {DCM_StudyID, "S77"},            {DCM_AccessionNumber, "A123"},
      {DCM_ReferringPhysicianName, "Doctor^A"}, {DCM_StudyDescription, "MR nasopharynx"}};
  for (const auto& [tag, value] : values) require(dataset.putAndInsertString(tag, value.c_str()).good(), "patient");
  DcmItem* request = nullptr;
  require(dataset.findOrCreateSequenceItem(DCM_RequestAttributesSequence, request, 0).good(), "request");
  request->putAndInsertString(DCM_RequestedProcedureID, "RP1");
  request->putAndInsertString(DCM_ScheduledProcedureStepID, "SPS1");
  request->putAndInsertString(DCM_RequestedProcedureDescription, "MR neck with contrast");
}

void put_image(DcmDataset& dataset, int value) {
  const std::pair<DcmTagKey, Uint16> numbers[] = {{DCM_SamplesPerPixel, 1}, {DCM_Rows, rows}, {DCM_Columns, columns}, {DCM_BitsAllocated, 16},
                                                  {DCM_BitsStored, 12},     {DCM_HighBit, 11}, {DCM_PixelRepresentation, 0}};
  for (const auto& [tag, number] : numbers) require(dataset.putAndInsertUint16(tag, number).good(), "image");
  dataset.putAndInsertString(DCM_PhotometricInterpretation, "MONOCHROME2");
  const std::vector<Uint16> pixels(static_cast<std::size_t>(columns * rows), static_cast<Uint16>(value));
  require(dataset.putAndInsertUint16Array(DCM_PixelData, pixels.data(), pixels.size()).good(), "pixels");
}

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

std::string vector_text(const Vector3& v) { return number_text(v[0]) + "\\" + number_text(v[1]) + "\\" + number_text(v[2]); }

SeriesVolume write_series(SyntheticStudy& study, const SyntheticOptions& options, const std::string& role, int number) {
  const double c = std::cos(0.3), s = std::sin(0.3);
  const Matrix3 direction = options.oblique ? Matrix3{1, 0, 0, 0, c, -s, 0, s, c} : Matrix3{1, 0, 0, 0, 1, 0, 0, 0, 1};
  auto geometry = VolumeGeometry::make({columns, rows, slices}, {0.9, 0.9, 5.5}, {-10.25, -20.5, 31.125}, direction, "1.2.826.0.1.3680043.10.9999.2");
  require(geometry.has_value(), "geometry");
  SeriesReference reference;
  reference.study_instance_uid = study_uid;
  reference.series_instance_uid = "1.2.826.0.1.3680043.10.9999.3." + std::to_string(number);
  reference.series_number = number;
  reference.description = role == "T2" ? "t2_tse_tra" : "t1_tse_tra_ce";
  AcquisitionFacts facts;
  facts.modality = "MR";
  facts.body_part = "NECK";
  facts.acquisition_date = "20250314";
  facts.acquisition_time = "101600";
  facts.slice_thickness_mm = 5.0;
  for (int k = 0; k < slices; ++k) {
    SliceReference slice;
    slice.sop_class_uid = options.enhanced ? UID_EnhancedMRImageStorage : UID_MRImageStorage;
    slice.sop_instance_uid = reference.series_instance_uid + (options.enhanced ? ".1" : "." + std::to_string(k + 1));
    slice.frame_number = options.enhanced ? k + 1 : 0;
    slice.file = (study.folder / (role + (options.enhanced ? "" : "-" + std::to_string(k)) + ".dcm")).string();
    reference.slices.push_back(slice);
    if (!options.enhanced || k == 0) {
      DcmFileFormat file;
      DcmDataset& dataset = *file.getDataset();
      put_patient(dataset, options.names);
      const std::pair<DcmTagKey, std::string> values[] = {{DCM_SOPClassUID, slice.sop_class_uid},
                                                          {DCM_SOPInstanceUID, slice.sop_instance_uid},
                                                          {DCM_SeriesInstanceUID, reference.series_instance_uid},
                                                          {DCM_SeriesNumber, std::to_string(number)},
                                                          {DCM_InstanceNumber, std::to_string(k + 1)},
                                                          {DCM_Modality, "MR"},
                                                          {DCM_BodyPartExamined, "NECK"},
                                                          {DCM_Manufacturer, "Synthetic"},
                                                          {DCM_ImageType, "ORIGINAL\\PRIMARY\\M"},
                                                          {DCM_ScanningSequence, "SE"},
                                                          {DCM_SequenceVariant, "SK"},
                                                          {DCM_ScanOptions, ""},
                                                          {DCM_MRAcquisitionType, "2D"},
                                                          {DCM_EchoTime, "10"},
                                                          {DCM_RepetitionTime, "600"},
                                                          {DCM_EchoTrainLength, "1"},
                                                          {DCM_SliceThickness, "5"},
                                                          {DCM_PositionReferenceIndicator, ""},
                                                          {DCM_FrameOfReferenceUID, geometry->frame_of_reference_uid()},
                                                          {DCM_ImagePositionPatient, vector_text(geometry->index_to_patient({0, 0, static_cast<double>(k)}))},
                                                          {DCM_ImageOrientationPatient, vector_text(geometry->axis(0)) + "\\" + vector_text(geometry->axis(1))},
                                                          {DCM_PixelSpacing, "0.9\\0.9"}};
      for (const auto& [tag, value] : values) require(dataset.putAndInsertString(tag, value.c_str()).good(), "slice");
      put_image(dataset, 100 + 10 * k);
      require(file.saveFile(slice.file.c_str(), EXS_LittleEndianExplicit).good(), "save");
    }
    study.findings.inputs.push_back({slice.file, slice.sop_class_uid, slice.sop_instance_uid, reference.series_instance_uid, "MR", ""});
  }
  std::vector<float> voxels(geometry->voxel_count(), 100.0F);
  return SeriesVolume::make(*geometry, std::move(voxels), PixelType::uint16, reference, facts).value();
}

RegionOfInterest region(const VolumeGeometry& grid, const std::string& name, int number, std::array<int, 6> box, bool hole) {
  std::vector<std::uint8_t> mask(grid.voxel_count(), 0);
  for (int k = box[4]; k < box[5]; ++k)
    for (int j = box[2]; j < box[3]; ++j)
      for (int i = box[0]; i < box[1]; ++i) mask[grid.offset(i, j, k)] = 1;
  // A middle slice with more voxels than its neighbours, and a hole in it.
  const int middle = (box[4] + box[5]) / 2;
  mask[grid.offset(box[0] - 1, box[2], middle)] = 1;
  mask[grid.offset(box[0] - 1, box[2] + 1, middle)] = 1;
  if (hole) mask[grid.offset(box[0] + 1, box[2] + 1, middle)] = 0;
  RoiOrigin origin;
  origin.kind = RoiOrigin::Kind::structure_set;
  origin.sop_class_uid = UID_RTStructureSetStorage;
  origin.sop_instance_uid = "1.2.826.0.1.3680043.10.9999.4.1";
  origin.series_instance_uid = "1.2.826.0.1.3680043.10.9999.4";
  origin.number = number;
  origin.algorithm_type = number == 1 ? "MANUAL" : "";
  origin.contours_used = box[5] - box[4];
  origin.contour_volume_ml = 0.4;
  return RegionOfInterest::make(name, grid, std::move(mask), origin).value();
}

void measure(SyntheticStudy& study, const MeasuredSeries& series, const RegionOfInterest& roi, int seed) {
  Measurement measurement;
  measurement.role = series.role;
  measurement.roi = roi.name();
  measurement.series_instance_uid = series.volume.reference().series_instance_uid;
  measurement.profile = "npc-default";
  measurement.parameters = R"({"imageType":{"Original":{},"LoG":{"sigma":[3.0]},"Wavelet":{}},"setting":{"binWidth":25.0,"normalize":false}})";
  measurement.notes = {"24 grey levels"};
  double value = 0.1 * seed;
  for (const auto& row : reporting::feature_codes()) {
    if (row.family == "shape2D" || row.name.starts_with("Compactness") || row.name == "SphericalDisproportion" || row.name == "StandardDeviation") continue;
    // Awkward numbers: negative, tiny, huge, more digits than a DS holds.
    value = -1.7320508075688772 * value + 0.3333333333333333 * seed;
    double written = value;
    if (row.name == "Skewness") written = -1.2345678901234567e-7;
    if (row.name == "Energy") written = 6.02214076123456789e+23;
    if (row.name == "Maximum3DDiameter") written = 23.456;
    if (row.name == "Uniformity") written = 0;
    if (std::abs(value) > 1e6) value = 0.7 * seed;
    require(measurement.features.add({"original", row.family, row.name}, written).has_value(), "feature");
  }
  for (const char* image : {"log-sigma-3-0-mm-3D", "wavelet-HHL"}) {
    require(measurement.features.add({image, "glcm", "JointEntropy"}, 4.123456789012345 * seed).has_value(), "feature");
    require(measurement.features.add({image, "firstorder", "Mean"}, -0.000123456789012345).has_value(), "feature");
    require(measurement.features.add({image, "glcm", "Correlation"}, NotComputed{"flat_region", "all voxels have one grey level"}).has_value(), "feature");
  }
  study.findings.measurements.push_back(std::move(measurement));
}

Prediction prediction() {
  Prediction p;
  p.package = "demo-npc-response";
  p.version = "1.0.0";
  p.status = "demonstration";
  p.title = "Demonstration: response";
  p.output = "Complete response";
  p.endpoint = "CR";
  p.value = 73.41234567890123;
  p.margin = 1.0155;
  p.interval_low = 61.0;
  p.interval_high = 82.5;
  p.threshold = 52.0;
  p.group = "likely responder";
  p.risk = "low";
  p.performance = "AUC 0.81 (95 % CI 0.74 to 0.88), internal test, n = 200, synthetic";
  p.intended_use = "To show that the chain works; not for patients.";
  p.explanation.method = "tree_path_dependent";
  p.explanation.space = "margin";
  p.explanation.base = 0.1;
  double sum = 0.1;
  for (int n = 0; n < 14; ++n) {
    Contribution c;
    const char* names[] = {"T1C.primary.original_glcm_JointEntropy", "T2.primary.wavelet-HHL_firstorder_Mean", "T1C.primary.log-sigma-3-0-mm-3D_glcm_Idm", "clinical.age"};
    c.feature = n < 4 ? names[n] : "T2.primary.original_glrlm_RunEntropy" + std::to_string(n);
    c.label = n == 3 ? "Age" : c.feature;
    c.value = n == 5 ? std::nan("") : 1.5 * n + 0.1;
    c.unit = n == 3 ? "a" : "1";
    c.contribution = (n % 2 == 0 ? 1 : -0.7) * 0.3 / (n + 1);
    sum += c.contribution;
    p.explanation.contributions.push_back(c);
  }
  p.explanation.output = sum;
  p.applicability.inside = true;
  return p;
}

}  // namespace

SyntheticStudy::~SyntheticStudy() {
  if (folder.empty()) return;
  std::error_code ignored;
  fs::remove_all(folder, ignored);
}

std::string chinese_name_utf8() { return name_utf8; }

SyntheticStudy make_synthetic_study(const SyntheticOptions& options) {
  static std::atomic<int> count = 0;
  SyntheticStudy study;
  study.folder = fs::temp_directory_path() / ("choana-reporting-" + std::to_string(getpid()) + "-" + std::to_string(++count));
  fs::create_directories(study.folder);
  study.findings.study_instance_uid = study_uid;
  study.findings.outcome = Outcome::reported;
  int number = 4;
  for (const char* role : {"T1C", "T2"}) {
    MeasuredSeries series;
    series.role = role;
    series.volume = write_series(study, options, role, ++number);
    const VolumeGeometry& grid = series.volume.geometry();
    series.rois.push_back(region(grid, "GTVp", 1, {5, 12, 4, 11, 1, 5}, true));
    series.rois.push_back(region(grid, "GTVnd_L", 2, options.overlapping ? std::array{10, 16, 8, 14, 2, 4} : std::array{15, 19, 12, 16, 0, 3}, false));
    study.findings.measured.push_back(std::move(series));
  }
  int seed = 1;
  for (const MeasuredSeries& series : study.findings.measured)
    for (const RegionOfInterest& roi : series.rois) measure(study, series, roi, seed++);
  if (options.predictions) study.findings.predictions.push_back(prediction());
  study.findings.inputs.push_back({"", UID_RTStructureSetStorage, "1.2.826.0.1.3680043.10.9999.4.1", "1.2.826.0.1.3680043.10.9999.4", "RTSTRUCT", ""});
  study.findings.issues.push_back({ErrorCode::irregular_slices, "Slice distances differ by 2 %.", "T2", ""});
  study.run.run_key = "test-run";
  study.run.run_date = "20250315";
  study.run.run_time = "083000";
  study.run.timezone_offset = "+0800";
  study.settings.software_version = "0.0.1-test";
  study.settings.device_serial = "node-7";
  for (int n = 0; n < 2; ++n) {
    reporting::ChartPage page;
    page.name = n == 0 ? "prediction" : "regions";
    page.title = "Page " + std::to_string(n);
    page.description = "A synthetic page";
    page.width = 33;
    page.height = 21;
    page.rgb.assign(static_cast<std::size_t>(33 * 21 * 3), static_cast<std::uint8_t>(40 + n));
    page.slice = study.findings.measured[0].volume.reference().slices[2];
    page.source_series_uid = study.findings.measured[0].volume.reference().series_instance_uid;
    if (n == 0) page.explains = "CR";
    if (n == 1) page.roi = "GTVp";
    study.pages.push_back(std::move(page));
  }
  return study;
}

}  // namespace choana::test
