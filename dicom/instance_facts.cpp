#include <algorithm>
#include <set>

#include "dicom/dataset_internal.h"
#include "dicom/dicom_reader.h"

namespace choana::dicom {
namespace {

constexpr std::size_t references_max = 1'000'000;

class References {
 public:
  void add(const Item& item) {
    const std::string uid = item.uid(DCM_ReferencedSOPInstanceUID);
    if (!uid.empty() && list_.size() < references_max && seen_.insert(uid).second) list_.push_back(uid);
  }
  std::vector<std::string> take() { return std::move(list_); }

 private:
  std::set<std::string> seen_;
  std::vector<std::string> list_;
};

/// Images that a structure set or a segmentation was drawn on, wherever it names them.
std::vector<std::string> referenced_images(const Item& ds, const std::string& sop_class) {
  References references;
  if (sop_class == UID_RTStructureSetStorage) {
    for (const Item& frame : ds.items(DCM_ReferencedFrameOfReferenceSequence))
      for (const Item& study : frame.items(DCM_RTReferencedStudySequence))
        for (const Item& series : study.items(DCM_RTReferencedSeriesSequence))
          for (const Item& image : series.items(DCM_ContourImageSequence)) references.add(image);
    for (const Item& roi : ds.items(DCM_ROIContourSequence))
      for (const Item& contour : roi.items(DCM_ContourSequence))
        for (const Item& image : contour.items(DCM_ContourImageSequence)) references.add(image);
    return references.take();
  }
  for (const Item& series : ds.items(DCM_ReferencedSeriesSequence))
    for (const Item& image : series.items(DCM_ReferencedInstanceSequence)) references.add(image);
  for (const Item& image : ds.items(DCM_SourceImageSequence)) references.add(image);
  std::vector<Item> groups = ds.items(DCM_PerFrameFunctionalGroupsSequence);
  groups.push_back(ds.first(DCM_SharedFunctionalGroupsSequence));
  for (const Item& group : groups)
    for (const Item& derivation : group.items(DCM_DerivationImageSequence))
      for (const Item& image : derivation.items(DCM_SourceImageSequence)) references.add(image);
  return references.take();
}

std::string date_of(const Item& ds, const DcmTagKey& tag) {
  const std::string text = ds.raw(tag).substr(0, 8);
  return text.size() == 8 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }) ? text : std::string();
}

// AS is nnnD, nnnW, nnnM or nnnY (PS3.5 6.2); whole years as people count them, fractions below two years.
std::optional<double> age_years(const Item& ds, const std::string& study_date) {
  const std::string text = ds.text(DCM_PatientAge);
  if (text.size() == 4 && std::all_of(text.begin(), text.end() - 1, [](char c) { return c >= '0' && c <= '9'; })) {
    const double number = std::stoi(text.substr(0, 3));
    const double years = text[3] == 'Y' ? number : text[3] == 'M' ? number / 12 : text[3] == 'W' ? number * 7 / 365.25 : text[3] == 'D' ? number / 365.25 : -1;
    if (years >= 0 && years <= 130) return years;
  }
  const std::string born = date_of(ds, DCM_PatientBirthDate);
  if (born.empty() || study_date.empty()) return std::nullopt;
  int years = std::stoi(study_date.substr(0, 4)) - std::stoi(born.substr(0, 4));
  if (study_date.substr(4) < born.substr(4)) --years;
  if (years < 0 || years > 130) return std::nullopt;
  return years;
}

}  // namespace

Result<InstanceFacts> read_instance_facts(const std::filesystem::path& file) {
  constexpr const char* step = "read_facts";
  auto loaded = load_file(file, step, false);
  if (!loaded) return fail(loaded.error());
  const Item ds = loaded->item();
  InstanceFacts facts;
  facts.file = file.string();
  facts.sop_class_uid = ds.uid(DCM_SOPClassUID);
  facts.sop_instance_uid = ds.uid(DCM_SOPInstanceUID);
  if (facts.sop_class_uid.empty() || facts.sop_instance_uid.empty())
    return fail(ErrorCode::missing_attribute, step, "The object has no SOP class or instance UID.", name_of(file));
  facts.study_instance_uid = ds.uid(DCM_StudyInstanceUID);
  facts.series_instance_uid = ds.uid(DCM_SeriesInstanceUID);
  facts.transfer_syntax_uid = loaded->transfer_syntax_uid;
  facts.series_number = ds.integer(DCM_SeriesNumber).value_or(0);
  facts.instance_number = ds.integer(DCM_InstanceNumber).value_or(0);
  facts.study_date = date_of(ds, DCM_StudyDate);
  facts.patient_age_years = age_years(ds, facts.study_date);
  const std::string sex = ds.text(DCM_PatientSex);
  if (sex == "F" || sex == "M") facts.patient_sex = sex;
  const FrameGroups groups{ds.first(DCM_PerFrameFunctionalGroupsSequence), ds.first(DCM_SharedFunctionalGroupsSequence)};
  facts.acquisition = read_acquisition(ds, groups, facts.transfer_syntax_uid);
  if (facts.sop_class_uid == UID_RTStructureSetStorage || facts.sop_class_uid == UID_SegmentationStorage ||
      facts.sop_class_uid == "1.2.840.10008.5.1.4.1.1.66.7")
    facts.referenced_sop_instance_uids = referenced_images(ds, facts.sop_class_uid);
  return facts;
}

Result<std::string> read_patient_id(const std::filesystem::path& file) {
  constexpr const char* step = "read_patient_id";
  auto loaded = load_file(file, step, false);
  if (!loaded) return fail(loaded.error());
  std::string id = loaded->item().text(DCM_PatientID);
  if (id.empty()) return fail(ErrorCode::missing_attribute, step, "The object has no Patient ID.", name_of(file));
  return id;
}

}  // namespace choana::dicom
