#include "reporting/report_writer.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmsr/dsrdoc.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>

#include "dicom/dicom_reader.h"
#include "reporting/feature_codes.h"
#include "reporting/report_checker.h"
#include "reporting/seg/segmentation_writer_internal.h"
#include "tests/support/dicom_checks.h"
#include "tests/support/shared_data.h"
#include "tests/unit/reporting/synthetic_study.h"

namespace choana::reporting {
namespace {

namespace fs = std::filesystem;
using test::make_synthetic_study;
using test::NameBytes;
using test::SyntheticOptions;
using test::SyntheticStudy;

std::vector<WrittenObject> write(const SyntheticStudy& study, const fs::path& folder) {
  auto written = write_report(study.findings, study.run, study.settings, study.pages, folder);
  EXPECT_TRUE(written.has_value()) << (written ? "" : to_string(written.error()));
  return written.value_or(std::vector<WrittenObject>{});
}

std::vector<fs::path> paths(const std::vector<WrittenObject>& objects, const fs::path& folder) {
  std::vector<fs::path> files;
  for (const WrittenObject& object : objects) files.push_back(folder / object.file);
  return files;
}

std::map<std::string, int> count_kinds(const std::vector<WrittenObject>& objects) {
  std::map<std::string, int> kinds;
  for (const WrittenObject& object : objects) ++kinds[object.kind];
  return kinds;
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string text_of(DcmItem& item, const DcmTagKey& tag) {
  OFString value;
  return item.findAndGetOFStringArray(tag, value).good() ? std::string(value.c_str(), value.size()) : std::string();
}

struct LoadedReport {
  DcmFileFormat format;
  DSRDocument document;
};

std::unique_ptr<LoadedReport> load_report(const fs::path& file) {
  auto report = std::make_unique<LoadedReport>();
  EXPECT_TRUE(report->format.loadFile(file.c_str()).good());
  EXPECT_TRUE(report->document.read(*report->format.getDataset()).good()) << file;
  return report;
}

void for_each_child(DcmItem& item, const std::function<void(DcmItem&, const std::string& code)>& visit) {
  DcmSequenceOfItems* content = nullptr;
  if (item.findAndGetSequence(DCM_ContentSequence, content).bad()) return;
  for (unsigned long n = 0; n < content->card(); ++n) {
    DcmItem* name = nullptr;
    std::string code;
    if (content->getItem(n)->findAndGetSequenceItem(DCM_ConceptNameCodeSequence, name).good()) code = text_of(*name, DCM_CodeValue);
    visit(*content->getItem(n), code);
  }
}

TEST(ReportWriter, WritesEveryKindOfObjectInSendingOrder) {
  const auto study = make_synthetic_study();
  const auto objects = write(study, study.out());
  EXPECT_EQ(count_kinds(objects), (std::map<std::string, int>{{"SC", 2}, {"SEG-ROI", 2}, {"SR-K", 1}, {"SR-R", 2}, {"SR-X", 1}}));
  ASSERT_FALSE(objects.empty());
  EXPECT_EQ(objects.front().kind, "SEG-ROI");
  std::set<std::string> series;
  for (const WrittenObject& object : objects) {
    EXPECT_TRUE(fs::exists(study.out() / object.file));
    if (object.kind == "SC") continue;
    EXPECT_TRUE(series.insert(object.series_instance_uid).second) << "one instance a series";
  }
}

// For tests/interop and for looking at: CHOANA_RESULTS_OUT=folder writes one example there.
TEST(ReportWriter, LeavesAnExampleWhereAsked) {
  const char* folder = std::getenv("CHOANA_RESULTS_OUT");
  if (folder == nullptr) GTEST_SKIP() << "set CHOANA_RESULTS_OUT to a folder";
  auto study = make_synthetic_study({.names = NameBytes::gb18030_declared});
  if (const char* language = std::getenv("CHOANA_RESULTS_LANGUAGE")) study.settings.language = language;
  write(study, folder);
  fs::copy_file(study.findings.measured[0].volume.reference().slices[0].file, fs::path(folder) / "source.mr", fs::copy_options::overwrite_existing);
}

TEST(ReportWriter, DciodvfyFindsNoErrors) {
  CHOANA_NEEDS_PROGRAM("dciodvfy");
  for (const SyntheticOptions& options : {SyntheticOptions{}, SyntheticOptions{.names = NameBytes::gb18030_declared}, SyntheticOptions{.enhanced = true},
                                          SyntheticOptions{.overlapping = true}, SyntheticOptions{.oblique = true}}) {
    const auto study = make_synthetic_study(options);
    for (const fs::path& file : paths(write(study, study.out()), study.out())) {
      for (const std::string& line : test::dciodvfy_errors(file)) ADD_FAILURE() << file.filename() << ": " << line;
      for (const std::string& line : test::dciodvfy_warnings(file)) ADD_FAILURE() << file.filename() << ": " << line;
    }
  }
}

TEST(ReportWriter, DcentvfyFindsOneStudy) {
  CHOANA_NEEDS_PROGRAM("dcentvfy");
  const auto study = make_synthetic_study();
  auto files = paths(write(study, study.out()), study.out());
  files.insert(files.begin(), study.findings.measured[0].volume.reference().slices[0].file);
  for (const std::string& line : test::dcentvfy_complaints(files)) ADD_FAILURE() << line;
}

TEST(ReportWriter, DsrdumpReadsEveryReport) {
  CHOANA_NEEDS_PROGRAM("dsrdump");
  const auto study = make_synthetic_study();
  for (const WrittenObject& object : write(study, study.out())) {
    if (!object.kind.starts_with("SR")) continue;
    const auto dump = test::run_program("dsrdump", {study.out() / object.file});
    EXPECT_EQ(dump.exit_status, 0) << dump.text;
    EXPECT_TRUE(test::lines_with(dump.text, "E: ").empty()) << dump.text;
  }
}

TEST(ReportWriter, EveryNumberIsTheOneThatWasMeasured) {
  const auto study = make_synthetic_study();
  std::size_t numbers = 0;
  std::size_t r = 0;
  for (const WrittenObject& object : write(study, study.out())) {
    if (object.kind != "SR-R") continue;
    const MeasuredSeries& series = study.findings.measured[r++];
    const auto report = load_report(study.out() / object.file);
    // Group by group in the order of regions and image types; NUM by NUM in the order of the features.
    std::vector<const FeatureValue*> expected;
    for (const Measurement& measurement : study.findings.measurements) {
      if (measurement.role != series.role) continue;
      for (const char* image : {"original", "log-sigma-3-0-mm-3D", "wavelet-HHL"})
        for (const FeatureValue& value : measurement.features.values())
          if (value.id.image == image && value.computed()) expected.push_back(&value);
    }
    std::size_t next = 0;
    for_each_child(*report->format.getDataset(), [&](DcmItem& container, const std::string& container_code) {
      if (container_code != "126010") return;
      for_each_child(container, [&](DcmItem& group, const std::string& group_code) {
        if (group_code != "125007") return;
        for_each_child(group, [&](DcmItem& item, const std::string& code) {
          if (text_of(item, DCM_ValueType) != "NUM" || code == "LOG_SIGMA") return;
          ASSERT_LT(next, expected.size());
          const FeatureValue& feature = *expected[next++];
          EXPECT_EQ(code, feature_code(feature.id).concept_name.value);
          DcmItem* measured = nullptr;
          DcmItem* unit = nullptr;
          ASSERT_TRUE(item.findAndGetSequenceItem(DCM_MeasuredValueSequence, measured).good());
          ASSERT_TRUE(measured->findAndGetSequenceItem(DCM_MeasurementUnitsCodeSequence, unit).good());
          Float64 exact = 0;
          ASSERT_TRUE(measured->findAndGetFloat64(DCM_FloatingPointValue, exact).good());
          EXPECT_EQ(exact, feature.number()) << feature.id.str();
          const std::string decimal = text_of(*measured, DCM_NumericValue);
          EXPECT_LE(decimal.size(), 16U);
          EXPECT_NEAR(std::stod(decimal), feature.number(), 1e-9 * std::abs(feature.number())) << decimal;
          EXPECT_EQ(text_of(*unit, DCM_CodeValue), feature_unit(feature.id, true).code) << feature.id.str();
          ++numbers;
        });
      });
    });
    EXPECT_EQ(next, expected.size());
  }
  EXPECT_EQ(numbers, 4U * (107 + 4));
}

TEST(ReportWriter, SegmentationsHoldExactlyTheMasks) {
  for (const SyntheticOptions& options : {SyntheticOptions{}, SyntheticOptions{.overlapping = true}, SyntheticOptions{.enhanced = true}, SyntheticOptions{.oblique = true}}) {
    const auto study = make_synthetic_study(options);
    const auto objects = write(study, study.out());
    // Overlapping regions go into a second object: viewers show one label a voxel.
    EXPECT_EQ(count_kinds(objects)["SEG-ROI"], options.overlapping ? 4 : 2);
    EXPECT_EQ(count_kinds(objects)["SR-R"], options.overlapping ? 4 : 2);
    std::set<std::string> found;
    for (const WrittenObject& object : objects) {
      if (object.kind != "SEG-ROI") continue;
      const auto segmentation = dicom::read_segmentation(study.out() / object.file);
      ASSERT_TRUE(segmentation.has_value()) << to_string(segmentation.error());
      EXPECT_EQ(segmentation->sop_instance_uid, object.sop_instance_uid);
      ASSERT_EQ(segmentation->referenced_series_uids.size(), 1U);
      for (const SegmentDescription& segment : segmentation->segments) {
        for (const MeasuredSeries& series : study.findings.measured) {
          if (series.volume.reference().series_instance_uid != segmentation->referenced_series_uids[0]) continue;
          for (const RegionOfInterest& roi : series.rois) {
            if (roi.name() != segment.label) continue;
            EXPECT_TRUE(holds_same_mask(*segmentation, segment.number, series, roi)) << series.role << " " << roi.name();
            found.insert(series.role + roi.name());
          }
        }
      }
      for (const SegmentFrame& frame : segmentation->frames)
        EXPECT_TRUE(std::any_of(frame.values.begin(), frame.values.end(), [](float value) { return value != 0; })) << "an empty frame";
    }
    EXPECT_EQ(found.size(), 4U);
  }
}

TEST(ReportWriter, ARegionKeepsItsTrackingUidOnEverySeries) {
  const auto study = make_synthetic_study();
  std::map<std::string, std::set<std::string>> uids;
  for (const WrittenObject& object : write(study, study.out())) {
    if (object.kind != "SEG-ROI") continue;
    const auto segmentation = dicom::read_segmentation(study.out() / object.file);
    ASSERT_TRUE(segmentation.has_value());
    for (const SegmentDescription& segment : segmentation->segments) uids[segment.tracking_id].insert(segment.tracking_uid);
  }
  EXPECT_EQ(uids.size(), 2U);
  for (const auto& [name, each] : uids) EXPECT_EQ(each.size(), 1U) << name;
}

TEST(ReportWriter, WritesTheSameBytesForTheSameInput) {
  for (const bool enhanced : {false, true}) {
    const auto study = make_synthetic_study({.enhanced = enhanced});
    const auto first = write(study, study.folder / "first");
    const auto second = write(study, study.folder / "second");
    ASSERT_EQ(first, second);
    for (const WrittenObject& object : first) EXPECT_EQ(bytes_of(study.folder / "first" / object.file), bytes_of(study.folder / "second" / object.file)) << object.file;
  }
}

TEST(ReportWriter, OtherContentGetsOtherUids) {
  auto study = make_synthetic_study();
  const auto first = write(study, study.folder / "first");
  study.settings.language = "zh";
  const auto translated = write(study, study.folder / "second");
  study.settings.language = "en";
  study.run.revision = 2;
  const auto revised = write(study, study.folder / "third");
  std::set<std::string> uids;
  for (const auto* objects : {&first, &translated, &revised})
    for (const WrittenObject& object : *objects) uids.insert(object.sop_instance_uid);
  EXPECT_EQ(uids.size(), first.size() + translated.size() + revised.size());
}

TEST(ReportWriter, NamesLeaveAsUtf8WhateverCameIn) {
  for (const NameBytes names : {NameBytes::gb18030_declared, NameBytes::gb18030_undeclared, NameBytes::utf8_undeclared}) {
    const auto study = make_synthetic_study({.names = names});
    for (const WrittenObject& object : write(study, study.out())) {
      DcmFileFormat file;
      ASSERT_TRUE(file.loadFile((study.out() / object.file).c_str()).good());
      EXPECT_EQ(text_of(*file.getDataset(), DCM_PatientName), test::chinese_name_utf8()) << object.file;
      EXPECT_EQ(text_of(*file.getDataset(), DCM_SpecificCharacterSet), "ISO_IR 192");
    }
  }
}

TEST(ReportWriter, ReadsNamesOfManyCharacterSets) {
  CHOANA_NEEDS_SHARED("data/charset-pydicom/chrH31.dcm");
  // Names as pydicom 3.0 decodes these files; a component group left empty at the end is kept as it came.
  const std::pair<const char*, const char*> names[] = {{"chrArab", "قباني^لنزار"},
                                                       {"chrFren", "Buc^Jérôme"},
                                                       {"chrGreek", "Διονυσιος"},
                                                       {"chrRuss", "Люкceмбypг"},
                                                       {"chrHbrw", "שרון^דבורה"},
                                                       {"chrH31", "Yamada^Tarou=山田^太郎=やまだ^たろう"},
                                                       {"chrH32", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"},
                                                       {"chrI2", "Hong^Gildong=洪^吉洞=홍^길동"},
                                                       {"chrJapMulti", "やまだ^たろう"},
                                                       {"chrX1", "Wang^XiaoDong=王^小東="},
                                                       {"chrX2", "Wang^XiaoDong=王^小东="}};
  auto study = make_synthetic_study();
  study.findings.reason = {ErrorCode::roi_missing, "bind", "No region was sent.", ""};
  for (const auto& [file, name] : names) {
    study.findings.inputs = {{(test::shared_dir() / "data/charset-pydicom" / (std::string(file) + ".dcm")).string(), "", "", "", "MR", ""}};
    const auto written = write_not_analysed(study.findings, study.run, study.settings, study.out());
    ASSERT_TRUE(written.has_value()) << to_string(written.error());
    DcmFileFormat result;
    ASSERT_TRUE(result.loadFile((study.out() / written->front().file).c_str()).good());
    EXPECT_EQ(text_of(*result.getDataset(), DCM_PatientName), name) << file;
  }
}

TEST(ReportWriter, CopiesPatientStudyAndRequest) {
  const auto study = make_synthetic_study();
  for (const WrittenObject& object : write(study, study.out())) {
    DcmFileFormat file;
    ASSERT_TRUE(file.loadFile((study.out() / object.file).c_str()).good());
    DcmDataset& dataset = *file.getDataset();
    const std::pair<DcmTagKey, const char*> expected[] = {{DCM_PatientID, "NPC-0001"}, {DCM_IssuerOfPatientID, "HOSP"}, {DCM_PatientBirthDate, "19700102"},
                                                          {DCM_StudyID, "S77"},        {DCM_AccessionNumber, "A123"},   {DCM_PatientAge, "055Y"},
                                                          {DCM_StudyDate, "20250314"}, {DCM_ContentDate, "20250315"},   {DCM_ContentTime, "083000"},
                                                          {DCM_TimezoneOffsetFromUTC, "+0800"}, {DCM_DeviceSerialNumber, "node-7"}};
    for (const auto& [tag, value] : expected) EXPECT_EQ(text_of(dataset, tag), value) << object.file << " " << DcmTag(tag).getTagName();
    EXPECT_TRUE(text_of(dataset, DCM_SeriesDescription).starts_with("RESEARCH "));
    if (!object.kind.starts_with("SR")) continue;
    DcmItem* request = nullptr;
    ASSERT_TRUE(dataset.findAndGetSequenceItem(DCM_ReferencedRequestSequence, request).good());
    EXPECT_EQ(text_of(*request, DCM_RequestedProcedureID), "RP1");
    EXPECT_EQ(text_of(*request, DCM_AccessionNumber), "A123");
    EXPECT_EQ(text_of(dataset, DCM_VerificationFlag), "UNVERIFIED");
    EXPECT_EQ(text_of(dataset, DCM_PreliminaryFlag), "PRELIMINARY");
    EXPECT_EQ(text_of(dataset, DCM_CompletionFlag), "COMPLETE");
  }
}

TEST(ReportWriter, AFaultySourceDoesNotMakeFaultyResults) {
  const auto study = make_synthetic_study();
  const std::string source = study.findings.measured[0].volume.reference().slices[0].file;
  DcmFileFormat file;
  ASSERT_TRUE(file.loadFile(source.c_str()).good());
  file.loadAllDataIntoMemory();
  const std::pair<DcmTagKey, const char*> faults[] = {{DCM_StudyID, "IBSI_1_STS_003_MR_T1"}, {DCM_PatientAge, "55"}, {DCM_PatientWeight, "heavy"}, {DCM_AccessionNumber, "A1234567890123456"}};
  for (const auto& [tag, value] : faults) ASSERT_TRUE(file.getDataset()->putAndInsertString(tag, value).good());
  ASSERT_TRUE(file.saveFile(source.c_str()).good());
  for (const WrittenObject& object : write(study, study.out())) {
    DcmFileFormat result;
    ASSERT_TRUE(result.loadFile((study.out() / object.file).c_str()).good());
    EXPECT_EQ(text_of(*result.getDataset(), DCM_StudyID), "IBSI_1_STS_003_M");
    EXPECT_FALSE(result.getDataset()->tagExists(DCM_PatientAge));
    EXPECT_FALSE(result.getDataset()->tagExists(DCM_PatientWeight));
    // A PACS files results by this; it stays as it came.
    EXPECT_EQ(text_of(*result.getDataset(), DCM_AccessionNumber), "A1234567890123456");
  }
}

TEST(ReportWriter, OurCheckerIsContentAndSeesFaults) {
  const auto study = make_synthetic_study();
  const auto objects = write(study, study.out());
  const auto files = paths(objects, study.out());
  const auto clean = check_results(files);
  ASSERT_TRUE(clean.has_value());
  EXPECT_TRUE(clean->empty()) << clean->front();

  const auto spoil = [&](const std::string& kind, const std::function<void(DcmDataset&)>& change) {
    const auto object = std::find_if(objects.begin(), objects.end(), [&](const WrittenObject& each) { return each.kind == kind; });
    const fs::path file = study.out() / object->file;
    const std::string before = bytes_of(file);
    DcmFileFormat format;
    EXPECT_TRUE(format.loadFile(file.c_str()).good());
    format.loadAllDataIntoMemory();
    change(*format.getDataset());
    EXPECT_TRUE(format.saveFile(file.c_str()).good());
    const auto violations = check_results(files);
    EXPECT_TRUE(violations.has_value() && !violations->empty()) << kind;
    std::ofstream(file, std::ios::binary | std::ios::trunc) << before;
  };
  spoil("SR-R", [](DcmDataset& dataset) { delete dataset.remove(DCM_CurrentRequestedProcedureEvidenceSequence); });
  spoil("SR-R", [](DcmDataset& dataset) { dataset.putAndInsertString(DCM_PatientID, "SOMEBODY"); });
  spoil("SR-X", [](DcmDataset& dataset) { dataset.putAndInsertString(DCM_VerificationFlag, "VERIFIED"); });
  spoil("SC", [](DcmDataset& dataset) { dataset.putAndInsertString(DCM_BurnedInAnnotation, "YES"); });
  spoil("SEG-ROI", [](DcmDataset& dataset) {
    DcmItem* segment = nullptr;
    ASSERT_TRUE(dataset.findAndGetSequenceItem(DCM_SegmentSequence, segment, 0).good());
    segment->putAndInsertString(DCM_TrackingUID, "1.2.3");
  });
}

TEST(ReportWriter, PredictionCarriesValueLimitsAndExplanation) {
  const auto study = make_synthetic_study();
  for (const WrittenObject& object : write(study, study.out())) {
    if (object.kind != "SR-X") continue;
    const auto report = load_report(study.out() / object.file);
    std::map<std::string, int> codes;
    double sum = 0, output = 0, probability = 0;
    for_each_child(*report->format.getDataset(), [&](DcmItem& container, const std::string& container_code) {
      if (container_code == "C0034375")
        for_each_child(container, [&](DcmItem& item, const std::string& code) {
          const std::string text = text_of(item, DCM_TextValue);
          EXPECT_TRUE(code != "111412" || text.find("73.4 %") != std::string::npos) << text;
          EXPECT_TRUE(code != "121106" || text.starts_with("RESEARCH USE ONLY")) << text;
        });
      for_each_child(container, [&](DcmItem& group, const std::string&) {
        for_each_child(group, [&](DcmItem& item, const std::string& code) {
          ++codes[code];
          DcmItem* measured = nullptr;
          Float64 value = 0;
          if (item.findAndGetSequenceItem(DCM_MeasuredValueSequence, measured).good()) measured->findAndGetFloat64(DCM_FloatingPointValue, value);
          if (code == "PROB_CR") probability = value;
          if (code == "SHAP" || code == "SHAP_BASE" || code == "SHAP_REST") sum += value;
          if (code == "SHAP_SUM") output = value;
        });
      });
    });
    EXPECT_EQ(probability, study.findings.predictions[0].value);
    EXPECT_NEAR(sum, output, 1e-12);
    EXPECT_EQ(codes["SHAP"], 10);
    for (const char* once : {"CI95_LO", "CI95_HI", "122411", "RISK_GROUP", "MODEL_PERF", "OOD_NOTE", "SHAP_TABLE", "130401"}) EXPECT_EQ(codes[once], 1) << once;
  }
}

TEST(ReportWriter, ARobustnessIntervalIsNoConfidenceInterval) {
  for (const char* language : {"en", "zh"}) {
    SCOPED_TRACE(language);
    auto study = make_synthetic_study();
    study.settings.language = language;
    Prediction& prediction = study.findings.predictions.front();
    prediction.robustness = Robustness{20, 19, 0.95, 0.5, 2, 0.5, {"T2 wavelet-HHL glcm Imc2"}, {"T2 deep 66"}};
    prediction.survival_curve = SurvivalCurve{"month", {6, 12.5, 30}, {0.97, 0.9, 0.612}, {12, 36}};
    prediction.applicability = {false, {"T2 repetition time 9,800 ms lies outside 2,000 to 8,000 ms of the training data."}};
    for (const WrittenObject& object : write(study, study.out())) {
      if (object.kind != "SR-X") continue;
      const auto report = load_report(study.out() / object.file);
      std::map<std::string, int> codes;
      std::map<std::string, std::string> texts;
      for_each_child(*report->format.getDataset(), [&](DcmItem& container, const std::string&) {
        for_each_child(container, [&](DcmItem& group, const std::string&) {
          for_each_child(group, [&](DcmItem& item, const std::string& code) {
            ++codes[code];
            texts[code] = text_of(item, DCM_TextValue);
          });
        });
      });
      for (const char* once : {"ROBUST_LO", "ROBUST_HI", "ROBUST_NOTE", "SURV_CURVE", "OOD_NOTE"}) EXPECT_EQ(codes[once], 1) << once;
      EXPECT_EQ(codes["CI95_LO"] + codes["CI95_HI"], 0);
      for (const char* part : {"61.0 %", "82.5 %", "T2 wavelet-HHL glcm Imc2", "T2 deep 66"}) EXPECT_NE(texts["ROBUST_NOTE"].find(part), std::string::npos) << texts["ROBUST_NOTE"];
      // By the definition of a step function: at 12 the step of 6 holds, at 36 that of 30.
      for (const char* part : {"97.0 %", "61.2 %", "12.5: 90.0 %"}) EXPECT_NE(texts["SURV_CURVE"].find(part), std::string::npos) << texts["SURV_CURVE"];
      EXPECT_NE(texts["OOD_NOTE"].find("9,800 ms"), std::string::npos);
      const std::string bytes = bytes_of(study.out() / object.file);
      EXPECT_EQ(bytes.find("95% confidence interval"), std::string::npos);
      if (test::has_program("dciodvfy")) {
        for (const std::string& line : test::dciodvfy_errors(study.out() / object.file)) ADD_FAILURE() << line;
        for (const std::string& line : test::dciodvfy_warnings(study.out() / object.file)) ADD_FAILURE() << line;
      }
      if (test::has_program("dsrdump")) {
        const auto dump = test::run_program("dsrdump", {study.out() / object.file});
        EXPECT_EQ(dump.exit_status, 0) << dump.text;
        EXPECT_TRUE(test::lines_with(dump.text, "E: ").empty()) << dump.text;
      }
    }
  }
}

TEST(ReportWriter, KeySliceShowsTheLargestOutline) {
  const auto study = make_synthetic_study();
  int outlines = 0;
  for (const WrittenObject& object : write(study, study.out())) {
    if (object.kind != "SR-K") continue;
    auto report = load_report(study.out() / object.file);
    DSRDocumentTree& tree = report->document.getTree();
    ASSERT_NE(tree.gotoRoot(), 0U);
    do {
      if (tree.getCurrentContentItem().getValueType() != DSRTypes::VT_SCoord) continue;
      ++outlines;
      DSRSpatialCoordinatesValue value;
      ASSERT_TRUE(tree.getCurrentContentItem().getSpatialCoordinates(value).good());
      auto& points = value.getGraphicDataList();
      double twice = 0;
      for (size_t n = 2; n <= points.getNumberOfItems(); ++n) {
        const auto& a = points.getItem(n - 1);
        const auto& b = points.getItem(n);
        twice += static_cast<double>(a.Column) * static_cast<double>(b.Row) - static_cast<double>(b.Column) * static_cast<double>(a.Row);
      }
      // The slice with two voxels more (and, for GTVp, a hole that an outer boundary does not see).
      EXPECT_EQ(twice / 2, outlines == 1 ? 7 * 7 + 2 : 4 * 4 + 2);
      EXPECT_TRUE(points.getItem(1) == points.getItem(points.getNumberOfItems()));
    } while (tree.iterate() != 0);
  }
  EXPECT_EQ(outlines, 2);
}

TEST(ReportWriter, NamesThePredecessors) {
  auto study = make_synthetic_study();
  const auto first = write(study, study.folder / "first");
  study.run.revision = 2;
  study.run.run_key = "test-run-2";
  for (const WrittenObject& object : first) study.run.predecessors.push_back({object.kind, object.sop_class_uid, object.sop_instance_uid, object.series_instance_uid});
  for (const WrittenObject& object : write(study, study.out())) {
    DcmFileFormat file;
    ASSERT_TRUE(file.loadFile((study.out() / object.file).c_str()).good());
    EXPECT_TRUE(text_of(*file.getDataset(), DCM_SeriesDescription).ends_with(" r2"));
    EXPECT_EQ(file.getDataset()->tagExists(DCM_PredecessorDocumentsSequence) == OFTrue, object.kind.starts_with("SR"));
  }
  if (test::has_program("dciodvfy"))
    for (const auto& entry : fs::directory_iterator(study.out()))
      for (const std::string& line : test::dciodvfy_errors(entry.path())) ADD_FAILURE() << entry.path().filename() << ": " << line;
}

TEST(ReportWriter, ReferencesASegmentationThatIsAlreadyOnTheGrid) {
  auto study = make_synthetic_study();
  const auto first = write(study, study.folder / "first");
  // The SEG of the first run comes back as the input of another.
  for (MeasuredSeries& series : study.findings.measured) {
    const WrittenObject* home = nullptr;
    for (const WrittenObject& object : first) {
      if (object.kind != "SEG-ROI") continue;
      const auto segmentation = dicom::read_segmentation(study.folder / "first" / object.file);
      ASSERT_TRUE(segmentation.has_value());
      if (segmentation->referenced_series_uids[0] == series.volume.reference().series_instance_uid) home = &object;
    }
    ASSERT_NE(home, nullptr);
    study.findings.inputs.push_back({(study.folder / "first" / home->file).string(), home->sop_class_uid, home->sop_instance_uid, home->series_instance_uid, "SEG", ""});
    for (std::size_t n = 0; n < series.rois.size(); ++n) {
      RoiOrigin origin;
      origin.kind = RoiOrigin::Kind::segmentation;
      origin.sop_class_uid = home->sop_class_uid;
      origin.sop_instance_uid = home->sop_instance_uid;
      origin.series_instance_uid = home->series_instance_uid;
      origin.number = static_cast<int>(n) + 1;
      series.rois[n] = RegionOfInterest::make(series.rois[n].name(), series.rois[n].geometry(), series.rois[n].mask(), origin).value();
    }
  }
  // One region differs by a voxel: that one is written again.
  auto mask = study.findings.measured[1].rois[1].mask();
  mask[study.findings.measured[1].volume.geometry().offset(20, 18, 5)] = 1;
  study.findings.measured[1].rois[1] =
      RegionOfInterest::make("GTVnd_L", study.findings.measured[1].volume.geometry(), mask, study.findings.measured[1].rois[1].origin()).value();
  study.run.run_key = "test-run-2";
  const auto second = write(study, study.out());
  EXPECT_EQ(count_kinds(second)["SEG-ROI"], 1);
  EXPECT_EQ(count_kinds(second)["SR-R"], 3);
  if (test::has_program("dciodvfy"))
    for (const fs::path& file : paths(second, study.out()))
      for (const std::string& line : test::dciodvfy_errors(file)) ADD_FAILURE() << file.filename() << ": " << line;
}

TEST(ReportWriter, WritesAllThreeSrClasses) {
  auto study = make_synthetic_study();
  const std::pair<SrSopClass, const char*> classes[] = {
      {SrSopClass::enhanced, UID_EnhancedSRStorage}, {SrSopClass::comprehensive, UID_ComprehensiveSRStorage}, {SrSopClass::comprehensive3d, UID_Comprehensive3DSRStorage}};
  for (const auto& [sop_class, uid] : classes) {
    study.settings.sr_sop_class = sop_class;
    const fs::path folder = study.folder / uid;
    for (const WrittenObject& object : write(study, folder)) {
      if (!object.kind.starts_with("SR")) continue;
      EXPECT_EQ(object.sop_class_uid, object.kind == "SR-K" && sop_class == SrSopClass::comprehensive3d ? UID_EnhancedSRStorage : uid);
      if (!test::has_program("dciodvfy")) continue;
      for (const std::string& line : test::dciodvfy_errors(folder / object.file)) ADD_FAILURE() << object.file << ": " << line;
    }
  }
}

TEST(ReportWriter, SpeaksChineseWhenAsked) {
  auto study = make_synthetic_study({.names = NameBytes::gb18030_declared});
  study.settings.language = "zh";
  for (const WrittenObject& object : write(study, study.out())) {
    const std::string bytes = bytes_of(study.out() / object.file);
    if (object.kind.starts_with("SR")) {
      EXPECT_NE(bytes.find("zh-CN"), std::string::npos);
      EXPECT_NE(bytes.find("仅供研究使用"), std::string::npos) << object.file;
      EXPECT_NE(bytes.find("RESEARCH USE ONLY"), std::string::npos) << object.file;
    }
    if (!test::has_program("dciodvfy")) continue;
    for (const std::string& line : test::dciodvfy_errors(study.out() / object.file)) ADD_FAILURE() << object.file << ": " << line;
  }
}

TEST(ReportWriter, KeepsRegionsOfOneNameApart) {
  auto study = make_synthetic_study();
  MeasuredSeries& series = study.findings.measured[0];
  series.rois[1] = RegionOfInterest::make("GTVp", series.rois[1].geometry(), series.rois[1].mask(), series.rois[1].origin()).value();
  for (Measurement& measurement : study.findings.measurements)
    if (measurement.role == series.role) measurement.roi = "GTVp";
  for (const WrittenObject& object : write(study, study.out())) {
    if (object.kind != "SR-R") continue;
    std::size_t groups = 0;
    std::set<std::string> identifiers;
    for_each_child(*load_report(study.out() / object.file)->format.getDataset(), [&](DcmItem& container, const std::string& container_code) {
      if (container_code != "126010") return;
      for_each_child(container, [&](DcmItem& group, const std::string&) {
        for_each_child(group, [&](DcmItem& item, const std::string& code) {
          if (code != "112039") return;
          ++groups;
          identifiers.insert(text_of(item, DCM_TextValue));
        });
      });
    });
    EXPECT_EQ(groups, 6U);
    EXPECT_EQ(identifiers.size(), 6U);
  }
}

TEST(ReportWriter, AClinicalPackageLeavesTheWordResearchOut) {
  auto study = make_synthetic_study();
  study.findings.predictions[0].status = "clinical";
  for (const WrittenObject& object : write(study, study.out())) {
    EXPECT_EQ(bytes_of(study.out() / object.file).find("RESEARCH"), std::string::npos) << object.file;
    DcmFileFormat file;
    ASSERT_TRUE(file.loadFile((study.out() / object.file).c_str()).good());
    EXPECT_NE(text_of(*file.getDataset(), DCM_PreliminaryFlag), "PRELIMINARY");
    EXPECT_EQ(text_of(*file.getDataset(), DCM_VerificationFlag), object.kind.starts_with("SR") ? "UNVERIFIED" : "");
  }
}

TEST(ReportWriter, RadiomicsAloneNeedsNoPrediction) {
  auto study = make_synthetic_study({.predictions = false});
  study.pages.clear();
  EXPECT_EQ(count_kinds(write(study, study.out())), (std::map<std::string, int>{{"SEG-ROI", 2}, {"SR-K", 1}, {"SR-R", 2}}));
}

TEST(ReportWriter, SaysWhyAStudyWasNotAnalysed) {
  auto study = make_synthetic_study();
  study.findings.outcome = Outcome::not_analysed;
  study.findings.reason = {ErrorCode::missing_role, "assign_roles", "No contrast-enhanced T1 series was found; send it and the study is analysed again.", ""};
  study.findings.measured.clear();
  study.findings.measurements.clear();
  study.findings.predictions.clear();
  study.findings.series.push_back({"1.2.3", 5, "localizer", "", {}, {"three planes"}});
  const auto written = write_not_analysed(study.findings, study.run, study.settings, study.out());
  ASSERT_TRUE(written.has_value()) << to_string(written.error());
  ASSERT_EQ(written->size(), 1U);
  const fs::path file = study.out() / written->front().file;
  const auto report = load_report(file);
  const std::string bytes = bytes_of(file);
  EXPECT_NE(bytes.find("MISSING_ROLE"), std::string::npos);
  EXPECT_NE(bytes.find("No contrast-enhanced T1 series was found"), std::string::npos);
  EXPECT_EQ(bytes.find("1411"), std::string::npos);
  EXPECT_EQ(text_of(*report->format.getDataset(), DCM_PatientID), "NPC-0001");
  if (!test::has_program("dciodvfy")) return;
  for (const std::string& line : test::dciodvfy_errors(file)) ADD_FAILURE() << line;
}

TEST(ReportWriter, NothingReadableIsAnErrorWithASentence) {
  auto study = make_synthetic_study();
  study.findings.inputs.clear();
  const auto written = write_not_analysed(study.findings, study.run, study.settings, study.out());
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().code, ErrorCode::missing_attribute);
  study.findings.measured.clear();
  EXPECT_EQ(write_report(study.findings, study.run, study.settings, {}, study.out()).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace choana::reporting
