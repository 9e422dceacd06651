#include "reporting/report_checker.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>

#include "reporting/feature_codes.h"

namespace choana::reporting {
namespace {

std::string text_of(DcmItem& item, const DcmTagKey& tag) {
  OFString value;
  if (item.findAndGetOFStringArray(tag, value).bad()) return {};
  std::string text(value.c_str(), value.size());
  while (!text.empty() && (text.back() == ' ' || text.back() == '\0')) text.pop_back();
  return text;
}

void for_each_item(DcmItem& parent, const DcmTagKey& tag, const std::function<void(DcmItem&)>& visit) {
  DcmSequenceOfItems* sequence = nullptr;
  if (parent.findAndGetSequence(tag, sequence).bad() || sequence == nullptr) return;
  for (unsigned long n = 0; n < sequence->card(); ++n) visit(*sequence->getItem(n));
}

DcmItem* first_item(DcmItem& parent, const DcmTagKey& tag) {
  DcmItem* item = nullptr;
  return parent.findAndGetSequenceItem(tag, item, 0).good() ? item : nullptr;
}

struct Code {
  std::string value, scheme, meaning;
};
Code code_of(DcmItem& parent, const DcmTagKey& tag) {
  DcmItem* item = first_item(parent, tag);
  if (item == nullptr) return {};
  std::string value = text_of(*item, DCM_CodeValue);
  if (value.empty()) value = text_of(*item, DCM_LongCodeValue);
  return {value, text_of(*item, DCM_CodingSchemeDesignator), text_of(*item, DCM_CodeMeaning)};
}

struct Segmentation {
  std::map<int, std::string> tracking_uids;  // by segment number
  std::set<std::string> series;
};

class Checker {
 public:
  void learn(DcmDataset& dataset) {
    const std::string uid = text_of(dataset, DCM_SOPInstanceUID);
    if (!instances_.insert(uid).second) complain("two objects carry the same SOP Instance UID");
    for (const DcmTagKey& tag : {DCM_StudyInstanceUID, DCM_PatientID, DCM_PatientName, DCM_PatientBirthDate, DCM_StudyDate, DCM_SpecificCharacterSet}) {
      const auto [known, added] = common_.emplace(std::make_pair(tag.getGroup(), tag.getElement()), text_of(dataset, tag));
      if (!added && known->second != text_of(dataset, tag)) complain(std::string("objects disagree in ") + DcmTag(tag).getTagName());
    }
    if (text_of(dataset, DCM_Modality) == "SEG") {
      Segmentation& segmentation = segmentations_[uid];
      int expected = 0;
      for_each_item(dataset, DCM_SegmentSequence, [&](DcmItem& segment) {
        const int number = std::atoi(text_of(segment, DCM_SegmentNumber).c_str());
        if (number != ++expected) complain("segment numbers of a SEG have gaps");
        segmentation.tracking_uids[number] = text_of(segment, DCM_TrackingUID);
      });
      for_each_item(dataset, DCM_ReferencedSeriesSequence, [&](DcmItem& series) { segmentation.series.insert(text_of(series, DCM_SeriesInstanceUID)); });
      if (segmentation.series.size() != 1) complain("a SEG references " + std::to_string(segmentation.series.size()) + " series, not one");
    }
  }

  void check(DcmDataset& dataset) {
    const std::string modality = text_of(dataset, DCM_Modality);
    if (modality == "OT") check_page(dataset);
    if (modality == "SR") check_report(dataset);
  }

  std::vector<std::string> take() { return std::move(violations_); }

 private:
  void complain(const std::string& sentence) { violations_.push_back(sentence); }

  void check_page(DcmDataset& dataset) {
    if (text_of(dataset, DCM_BurnedInAnnotation) != "NO") complain("a page does not say that nothing about the patient is burned in");
    for (const DcmTagKey& tag : {DCM_FrameOfReferenceUID, DCM_ImagePositionPatient, DCM_PixelSpacing})
      if (dataset.tagExists(tag)) complain(std::string("a page carries ") + DcmTag(tag).getTagName() + ", so viewers would measure on it");
  }

  void check_report(DcmDataset& dataset) {
    evidence_.clear();
    for (const DcmTagKey& tag : {DCM_CurrentRequestedProcedureEvidenceSequence, DCM_PertinentOtherEvidenceSequence})
      for_each_item(dataset, tag, [&](DcmItem& study) {
        for_each_item(study, DCM_ReferencedSeriesSequence, [&](DcmItem& series) {
          for_each_item(series, DCM_ReferencedSOPSequence, [&](DcmItem& instance) { evidence_.insert(text_of(instance, DCM_ReferencedSOPInstanceUID)); });
        });
      });
    if (text_of(dataset, DCM_CompletionFlag) != "COMPLETE") complain("a report is not complete");
    if (text_of(dataset, DCM_VerificationFlag) != "UNVERIFIED") complain("a report claims to be verified");
    check_item(dataset, {});
  }

  void check_item(DcmItem& item, const std::string& template_id) {
    const std::string type = text_of(item, DCM_ValueType);
    const Code name = code_of(item, DCM_ConceptNameCodeSequence);
    if (name.value.empty() && text_of(item, DCM_RelationshipType) != "SELECTED FROM") complain("a " + type + " item has no concept name");
    if (type == "NUM") check_number(item, name);
    if (type == "IMAGE")
      for_each_item(item, DCM_ReferencedSOPSequence, [&](DcmItem& reference) {
        if (!evidence_.contains(text_of(reference, DCM_ReferencedSOPInstanceUID))) complain("an object referenced as " + name.meaning + " is not in the evidence");
      });
    std::string own_template;
    if (DcmItem* content = first_item(item, DCM_ContentTemplateSequence); content != nullptr) own_template = text_of(*content, DCM_TemplateIdentifier);
    if (own_template == "1411") check_region_group(item);
    if (own_template == "1501") check_additivity(item);
    for_each_item(item, DCM_ContentSequence, [&](DcmItem& child) { check_item(child, own_template.empty() ? template_id : own_template); });
  }

  void check_number(DcmItem& item, const Code& name) {
    DcmItem* measured = first_item(item, DCM_MeasuredValueSequence);
    if (measured == nullptr) return complain(name.meaning + " has no value");
    Float64 exact = 0;
    const std::string decimal = text_of(*measured, DCM_NumericValue);
    if (measured->findAndGetFloat64(DCM_FloatingPointValue, exact).bad()) return complain(name.meaning + " has no floating point value");
    const double rounded = std::strtod(decimal.c_str(), nullptr);
    if (decimal.empty() || decimal.size() > 16 || std::abs(rounded - exact) > 1e-8 * std::abs(exact)) complain(name.meaning + ": decimal string and floating point value differ");
    const Code unit = code_of(*measured, DCM_MeasurementUnitsCodeSequence);
    static const std::set<std::string> known{"1", "%", "mm", "mm2", "mm3", "/mm", "cm3", "cm", "ml", "a", "mo", "d", "kg", "s/mm2", "{pixels}", "[arb'U]", "[arb'U]2", "[arb'U]2.mm3"};
    const bool model_input = text_of(item, DCM_RelationshipType) == "INFERRED FROM" || name.value.starts_with("VAL_");
    if (unit.scheme != "UCUM" || unit.value.empty() || unit.value.find(' ') != std::string::npos || (!model_input && !known.contains(unit.value)))
      complain(name.meaning + ": unit is not one of ours");
    if (name.value.starts_with("PROB_") && (exact < 0 || exact > 100 || unit.value != "%")) complain(name.meaning + " is not a percentage");
    if (name.scheme == "IBSI" || name.value.starts_with("FO_") || name.value.starts_with("SH_")) {
      const auto& table = feature_codes();
      const auto row = std::find_if(table.begin(), table.end(), [&](const FeatureCode& each) { return each.concept_name.value == name.value && each.concept_name.scheme == name.scheme; });
      if (row == table.end() || row->concept_name.meaning != name.meaning) complain(name.scheme + " " + name.value + " is not in our table, or has another meaning");
    }
  }

  void check_region_group(DcmItem& group) {
    std::string tracking, source_series, segmentation;
    int segment = 0;
    std::size_t segments = 0;
    for_each_item(group, DCM_ContentSequence, [&](DcmItem& item) {
      const Code name = code_of(item, DCM_ConceptNameCodeSequence);
      if (name.value == "112040") tracking = text_of(item, DCM_UID);
      if (name.value == "121232") source_series = text_of(item, DCM_UID);
      if (name.value == "121191")
        if (DcmItem* reference = first_item(item, DCM_ReferencedSOPSequence); reference != nullptr) {
          segmentation = text_of(*reference, DCM_ReferencedSOPInstanceUID);
          DcmElement* numbers = nullptr;
          if (reference->findAndGetElement(DCM_ReferencedSegmentNumber, numbers).good()) segments = numbers->getVM();
          segment = std::atoi(text_of(*reference, DCM_ReferencedSegmentNumber).c_str());
        }
    });
    if (segments != 1) complain("a region group names " + std::to_string(segments) + " segments, not one");
    const auto known = segmentations_.find(segmentation);
    if (known == segmentations_.end()) return;
    const auto uid = known->second.tracking_uids.find(segment);
    if (uid == known->second.tracking_uids.end()) return complain("a region group names a segment that its SEG has not");
    if (uid->second != tracking) complain("a region group and its segment have different tracking UIDs");
    if (!known->second.series.contains(source_series)) complain("a region group and its SEG name different source series");
  }

  void check_additivity(DcmItem& group) {
    double sum = 0, output = 0;
    bool explained = false;
    for_each_item(group, DCM_ContentSequence, [&](DcmItem& item) {
      const Code name = code_of(item, DCM_ConceptNameCodeSequence);
      DcmItem* measured = first_item(item, DCM_MeasuredValueSequence);
      Float64 value = 0;
      if (name.scheme != "99CHOANA" || measured == nullptr || measured->findAndGetFloat64(DCM_FloatingPointValue, value).bad()) return;
      if (name.value == "SHAP" || name.value == "SHAP_BASE" || name.value == "SHAP_REST") sum += value;
      if (name.value == "SHAP_SUM") {
        output = value;
        explained = true;
      }
    });
    if (explained && std::abs(sum - output) > 1e-6 * std::max(1.0, std::abs(output))) complain("contributions do not add up to the model's output");
  }

  std::map<std::string, Segmentation> segmentations_;
  std::set<std::string> instances_;
  std::map<std::pair<Uint16, Uint16>, std::string> common_;
  std::set<std::string> evidence_;
  std::vector<std::string> violations_;
};

}  // namespace

Result<std::vector<std::string>> check_results(const std::vector<std::filesystem::path>& files) {
  std::vector<DcmFileFormat> formats(files.size());
  Checker checker;
  for (std::size_t n = 0; n < files.size(); ++n) {
    // Pixels stay on disk.
    if (formats[n].loadFile(files[n].c_str(), EXS_Unknown, EGL_noChange, 4096).bad())
      return fail(ErrorCode::not_dicom, "check_results", "A result object cannot be read back.");
    checker.learn(*formats[n].getDataset());
  }
  for (DcmFileFormat& format : formats) checker.check(*format.getDataset());
  return checker.take();
}

}  // namespace choana::reporting
