#include "reporting/result_header_internal.h"

#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/ofstd/ofchrenc.h>

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <optional>

#include "core/version.h"
#include "dicom/preflight.h"
#include "reporting/dcmtk_error_internal.h"

namespace choana::reporting {
namespace {

constexpr const char* step = "write_report";

// Patient, General Study, Patient Study, Clinical Trial Subject and Clinical Trial Study modules (PS3.3 C.7.1.1,
// C.7.2.1, C.7.2.2, C.7.1.3, C.7.2.3). DCMTK's own list lacks the issuers, other IDs and the trial.
const DcmTagKey copied_tags[] = {
    DCM_PatientName, DCM_PatientID, DCM_IssuerOfPatientID, DCM_IssuerOfPatientIDQualifiersSequence, DCM_TypeOfPatientID, DCM_PatientBirthDate,
    DCM_PatientBirthTime, DCM_PatientSex, DCM_QualityControlSubject, DCM_ReferencedPatientSequence, DCM_RETIRED_OtherPatientIDs,
    DCM_OtherPatientIDsSequence, DCM_OtherPatientNames, DCM_EthnicGroup, DCM_PatientComments, DCM_PatientSpeciesDescription,
    DCM_PatientSpeciesCodeSequence, DCM_PatientBreedDescription, DCM_PatientBreedCodeSequence, DCM_BreedRegistrationSequence, DCM_ResponsiblePerson,
    DCM_ResponsiblePersonRole, DCM_ResponsibleOrganization, DCM_PatientIdentityRemoved, DCM_DeidentificationMethod,
    DCM_DeidentificationMethodCodeSequence,
    DCM_StudyDate, DCM_StudyTime, DCM_ReferringPhysicianName, DCM_ReferringPhysicianIdentificationSequence, DCM_StudyID, DCM_AccessionNumber,
    DCM_IssuerOfAccessionNumberSequence, DCM_StudyDescription, DCM_PhysiciansOfRecord, DCM_PhysiciansOfRecordIdentificationSequence,
    DCM_NameOfPhysiciansReadingStudy, DCM_PhysiciansReadingStudyIdentificationSequence, DCM_RequestingServiceCodeSequence, DCM_ReferencedStudySequence,
    DCM_ProcedureCodeSequence, DCM_ReasonForPerformedProcedureCodeSequence,
    DCM_AdmittingDiagnosesDescription, DCM_AdmittingDiagnosesCodeSequence, DCM_PatientAge, DCM_PatientSize, DCM_PatientWeight,
    DCM_PatientSizeCodeSequence, DCM_MedicalAlerts, DCM_Allergies, DCM_SmokingStatus, DCM_PregnancyStatus, DCM_LastMenstrualDate, DCM_PatientState,
    DCM_Occupation, DCM_AdditionalPatientHistory, DCM_AdmissionID, DCM_IssuerOfAdmissionIDSequence, DCM_ServiceEpisodeID,
    DCM_IssuerOfServiceEpisodeIDSequence, DCM_ServiceEpisodeDescription, DCM_PatientSexNeutered, DCM_ReasonForVisit, DCM_ReasonForVisitCodeSequence,
    DCM_ClinicalTrialSponsorName, DCM_ClinicalTrialProtocolID, DCM_ClinicalTrialProtocolName, DCM_ClinicalTrialSiteID, DCM_ClinicalTrialSiteName,
    DCM_ClinicalTrialSubjectID, DCM_ClinicalTrialSubjectReadingID, DCM_ClinicalTrialProtocolEthicsCommitteeName,
    DCM_ClinicalTrialProtocolEthicsCommitteeApprovalNumber, DCM_ClinicalTrialTimePointID, DCM_ClinicalTrialTimePointDescription,
    DCM_ConsentForClinicalTrialUseSequence};

// Type 2: present in every result, empty when the source lacks them.
const DcmTagKey always_present[] = {DCM_PatientName,  DCM_PatientID,           DCM_PatientBirthDate, DCM_PatientSex,    DCM_StudyDate,
                                    DCM_StudyTime,    DCM_ReferringPhysicianName, DCM_StudyID,       DCM_AccessionNumber};

// What patients and studies are found by: never altered, right or wrong.
const DcmTagKey identifying[] = {DCM_PatientName, DCM_PatientID,  DCM_IssuerOfPatientID, DCM_PatientBirthDate, DCM_PatientSex,
                                 DCM_StudyDate,   DCM_StudyTime, DCM_AccessionNumber};

bool is_utf8(std::string_view text) {
  std::size_t n = 0;
  while (n < text.size()) {
    const auto byte = static_cast<unsigned char>(text[n]);
    std::size_t more = 0;
    if (byte < 0x80) more = 0;
    else if (byte >= 0xC2 && byte < 0xE0) more = 1;
    else if (byte >= 0xE0 && byte < 0xF0) more = 2;
    else if (byte >= 0xF0 && byte < 0xF5) more = 3;
    else return false;
    if (n + more >= text.size() + (more == 0 ? 1 : 0)) return false;
    for (std::size_t k = 1; k <= more; ++k)
      if ((static_cast<unsigned char>(text[n + k]) & 0xC0) != 0x80) return false;
    if (byte == 0xE0 && static_cast<unsigned char>(text[n + 1]) < 0xA0) return false;
    if (byte == 0xED && static_cast<unsigned char>(text[n + 1]) > 0x9F) return false;
    if (byte == 0xF0 && static_cast<unsigned char>(text[n + 1]) < 0x90) return false;
    n += more + 1;
  }
  return true;
}

/// Call `visit` with every text element at any depth.
template <typename Visit>
void for_each_text(DcmItem& item, const Visit& visit) {
  DcmStack stack;
  while (item.nextObject(stack, OFTrue).good()) {
    auto* element = dynamic_cast<DcmByteString*>(stack.top());
    if (element == nullptr) continue;
    switch (element->ident()) {
      case EVR_LO: case EVR_LT: case EVR_PN: case EVR_SH: case EVR_ST: case EVR_UC: case EVR_UT: break;
      default: continue;
    }
    visit(*element);
  }
}

std::string raw_text(DcmByteString& element) {
  OFString text;
  if (element.getOFStringArray(text, OFFalse).bad()) return {};
  return {text.c_str(), text.size()};
}

/// All copied text as bytes: does any need more than ASCII, is it UTF-8 (without code extensions)?
struct TextBytes {
  bool ascii = true;
  bool utf8 = true;
};

/// Japanese in ISO 2022 (PS3.5 H.3), which DCMTK cannot convert where it is built with glibc's iconv: escape sequences
/// for JIS X 0208 and 0212, half-width katakana of JIS X 0201 as single bytes. Nothing if it is not that.
std::optional<std::string> japanese_to_utf8(const std::string& text) {
  const iconv_t converter = iconv_open("UTF-8", "ISO-2022-JP-2");
  if (converter == reinterpret_cast<iconv_t>(-1)) return std::nullopt;
  std::string result;
  bool good = true;
  for (std::size_t n = 0; n < text.size() && good;) {
    const auto byte = static_cast<unsigned char>(text[n]);
    if (byte >= 0xA1 && byte <= 0xDF) {
      // U+FF61 to U+FF9F in three bytes.
      const unsigned code = 0xFF61U + (byte - 0xA1U);
      for (const unsigned part : {0xE0U | (code >> 12), 0x80U | ((code >> 6) & 0x3FU), 0x80U | (code & 0x3FU)}) result += static_cast<char>(part);
      ++n;
      continue;
    }
    std::size_t end = n;
    while (end < text.size() && static_cast<unsigned char>(text[end]) < 0x80) ++end;
    if (end == n) {
      good = false;
      break;
    }
    // Each run begins and ends in ASCII, as the standard demands of values and name components.
    iconv(converter, nullptr, nullptr, nullptr, nullptr);
    std::string run = text.substr(n, end - n);
    char* input = run.data();
    std::size_t input_left = run.size();
    while (input_left > 0 && good) {
      std::array<char, 512> buffer{};
      char* output = buffer.data();
      std::size_t output_left = buffer.size();
      const bool stopped = iconv(converter, &input, &input_left, &output, &output_left) == static_cast<std::size_t>(-1);
      if (stopped && errno != E2BIG) good = false;
      result.append(buffer.data(), buffer.size() - output_left);
    }
    n = end;
  }
  iconv_close(converter);
  return good ? std::optional(result) : std::nullopt;
}
TextBytes look_at_text(DcmItem& item) {
  TextBytes result;
  for_each_text(item, [&](DcmByteString& element) {
    const std::string text = raw_text(element);
    for (const char c : text)
      if (static_cast<unsigned char>(c) >= 0x80 || c == '\x1B') result.ascii = false;
    if (!is_utf8(text) || text.find('\x1B') != std::string::npos) result.utf8 = false;
  });
  return result;
}

void replace_strange_bytes(DcmItem& item) {
  for_each_text(item, [](DcmByteString& element) {
    std::string text = raw_text(element);
    if (is_utf8(text) && text.find('\x1B') == std::string::npos) return;
    for (char& c : text)
      if (static_cast<unsigned char>(c) >= 0x80 || c == '\x1B') c = '?';
    element.putOFStringArray(OFString(text.c_str(), text.size()));
  });
}

/// Convert the text to UTF-8; returns false if bytes had to be given up.
bool convert_to_utf8(DcmDataset& attributes, const std::string& declared, const std::string& fallback) {
  const TextBytes before = look_at_text(attributes);
  bool good = true;
  if (!before.ascii) {
    const auto try_set = [&](const std::string& charset) {
      // A failed conversion leaves the elements done so far converted: work on a copy.
      DcmDataset copy(attributes);
      if (copy.convertCharacterSet(charset.c_str(), "ISO_IR 192").bad() || !look_at_text(copy).utf8) return false;
      attributes = copy;
      return true;
    };
    const auto is_japanese = [&] {
      const std::string terms = "\\" + declared + "\\";
      for (const char* term : {"\\ISO 2022 IR 87\\", "\\ISO 2022 IR 159\\", "\\ISO 2022 IR 13\\", "\\ISO_IR 13\\"})
        if (terms.find(term) != std::string::npos) return true;
      return false;
    };
    if (declared.empty() || declared == "ISO_IR 192") {
      good = before.utf8 || try_set(fallback);
    } else if (is_japanese()) {
      for_each_text(attributes, [&](DcmByteString& element) {
        const auto text = japanese_to_utf8(raw_text(element));
        if (text) element.putOFStringArray(OFString(text->c_str(), text->size()));
        good = good && text.has_value();
      });
    } else {
      good = try_set(declared) || before.utf8 || try_set(fallback);
    }
  }
  if (!good) replace_strange_bytes(attributes);
  return good;
}

/// Make what only describes legal, for results are valid objects whatever the source was: texts are cut to the length of
/// their VR, other values that break it are left out.
void repair_descriptions(DcmDataset& attributes) {
  for (const DcmTagKey& tag : copied_tags) {
    if (std::find(std::begin(identifying), std::end(identifying), tag) != std::end(identifying)) continue;
    DcmElement* element = nullptr;
    if (attributes.findAndGetElement(tag, element).bad() || element == nullptr) continue;
    auto* text = dynamic_cast<DcmByteString*>(element);
    if (text == nullptr) continue;
    switch (text->ident()) {
      case EVR_SH: case EVR_LO: {
        const std::size_t characters_max = text->ident() == EVR_SH ? 16 : 64;
        const std::string value = raw_text(*text);
        std::string repaired;
        for (std::size_t from = 0; from <= value.size();) {
          const std::size_t end = std::min(value.find('\\', from), value.size());
          repaired += (from == 0 ? "" : "\\") + cut_text(value.substr(from, end - from), characters_max);
          from = end + 1;
        }
        if (repaired != value) text->putOFStringArray(OFString(repaired.c_str(), repaired.size()));
        break;
      }
      case EVR_PN: case EVR_LT: case EVR_ST: case EVR_UT: case EVR_UC: break;
      default:
        if (text->checkValue("1-n").bad()) delete attributes.remove(tag);
    }
  }
}

Status put(DcmItem& dataset, const DcmTagKey& tag, const std::string& value) {
  return checked(dataset.putAndInsertOFStringArray(tag, OFString(value.c_str(), value.size())), step, DcmTag(tag).getTagName());
}

Status put_code(DcmItem& parent, const DcmTagKey& tag, const char* value, const char* scheme, const char* meaning) {
  DcmItem* item = nullptr;
  if (const auto made = checked(parent.findOrCreateSequenceItem(tag, item, 0), step, "code sequence"); !made) return made;
  for (const auto& [key, text] : {std::pair<DcmTagKey, const char*>{DCM_CodeValue, value}, {DCM_CodingSchemeDesignator, scheme}, {DCM_CodeMeaning, meaning}})
    if (const auto done = put(*item, key, text); !done) return done;
  return {};
}

}  // namespace

Result<ResultHeader> ResultHeader::read(const std::filesystem::path& source, const std::string& fallback_charset) {
  // The object may be one that nothing has looked at yet.
  if (const auto scanned = dicom::preflight(source); !scanned) return fail(scanned.error());
  DcmFileFormat file;
  // Longer elements, pixels above all, stay on disk.
  const OFCondition loaded = file.loadFile(source.c_str(), EXS_Unknown, EGL_noChange, 4096);
  if (loaded.bad())
    return fail(ErrorCode::not_dicom, step, std::string("The source object of the results cannot be read: ") + loaded.text() + ". Send the study again.");
  DcmDataset& dataset = *file.getDataset();

  ResultHeader header;
  header.attributes_ = std::make_shared<DcmDataset>();
  const auto copy = [&](const DcmTagKey& tag) {
    DcmElement* element = nullptr;
    if (dataset.findAndGetElement(tag, element, OFFalse, OFTrue).bad() || element == nullptr) return;
    // A sequence without items says nothing.
    auto* sequence = dynamic_cast<DcmSequenceOfItems*>(element);
    if ((sequence != nullptr && sequence->card() == 0) || header.attributes_->insert(element, OFTrue).bad()) delete element;
  };
  for (const DcmTagKey& tag : copied_tags) copy(tag);
  copy(DCM_RequestAttributesSequence);
  copy(DCM_PlacerOrderNumberImagingServiceRequest);
  copy(DCM_FillerOrderNumberImagingServiceRequest);

  OFString text;
  if (dataset.findAndGetOFString(DCM_BodyPartExamined, text).good()) header.body_part_ = text.c_str();
  std::string declared;
  if (dataset.findAndGetOFStringArray(DCM_SpecificCharacterSet, text).good()) declared = text.c_str();
  while (!declared.empty() && (declared.back() == ' ' || declared.back() == '\0')) declared.pop_back();
  header.charset_doubtful_ = !convert_to_utf8(*header.attributes_, declared, fallback_charset);
  repair_descriptions(*header.attributes_);
  return header;
}

Status ResultHeader::apply(DcmItem& dataset, const std::string& study_instance_uid) const {
  for (const DcmTagKey& tag : copied_tags) {
    DcmElement* element = nullptr;
    if (attributes_->findAndGetElement(tag, element, OFFalse, OFTrue).bad() || element == nullptr) {
      // What the toolkit wrote of its own accord is not the patient's.
      delete dataset.remove(tag);
      continue;
    }
    if (const auto done = checked(dataset.insert(element, OFTrue), step, "patient or study attribute"); !done) {
      delete element;
      return done;
    }
  }
  for (const DcmTagKey& tag : always_present)
    if (!dataset.tagExists(tag))
      if (const auto done = checked(dataset.insertEmptyElement(tag), step, "type 2 attribute"); !done) return done;
  return put(dataset, DCM_StudyInstanceUID, study_instance_uid);
}

Status ResultHeader::apply_requests(DcmItem& dataset, const std::string& study_instance_uid) const {
  DcmSequenceOfItems* requests = nullptr;
  if (attributes_->findAndGetSequence(DCM_RequestAttributesSequence, requests).bad() || requests == nullptr) return {};
  for (unsigned long n = 0; n < requests->card(); ++n) {
    DcmItem* request = requests->getItem(n);
    DcmItem* item = nullptr;
    if (const auto made = checked(dataset.findOrCreateSequenceItem(DCM_ReferencedRequestSequence, item, static_cast<signed long>(n)), step, "Referenced Request Sequence"); !made)
      return made;
    const auto copy_or_empty = [&](const DcmTagKey& tag, DcmItem* second_source) -> Status {
      DcmElement* element = nullptr;
      if (request->findAndGetElement(tag, element, OFFalse, OFTrue).bad() && second_source != nullptr)
        (void)second_source->findAndGetElement(tag, element, OFFalse, OFTrue);
      const OFCondition inserted = element != nullptr ? item->insert(element, OFTrue) : item->insertEmptyElement(tag);
      if (inserted.bad()) delete element;
      return checked(inserted, step, "Referenced Request Sequence");
    };
    if (const auto done = put(*item, DCM_StudyInstanceUID, study_instance_uid); !done) return done;
    for (const DcmTagKey& tag : {DCM_ReferencedStudySequence, DCM_AccessionNumber, DCM_RequestedProcedureID, DCM_PlacerOrderNumberImagingServiceRequest,
                                 DCM_FillerOrderNumberImagingServiceRequest, DCM_RequestedProcedureDescription, DCM_RequestedProcedureCodeSequence})
      if (const auto done = copy_or_empty(tag, tag == DCM_ReferencedStudySequence ? nullptr : attributes_.get()); !done) return done;
  }
  return {};
}

Status stamp(DcmItem& dataset, const ObjectIdentity& identity, const RunIdentity& run, const ReportSettings& settings,
             const std::vector<Algorithm>& algorithms) {
  const std::string software_version = settings.software_version.empty() ? version : settings.software_version;
  const std::pair<DcmTagKey, std::string> values[] = {
      {DCM_SpecificCharacterSet, "ISO_IR 192"},
      {DCM_SOPClassUID, identity.sop_class_uid},
      {DCM_SOPInstanceUID, identity.sop_instance_uid},
      {DCM_SeriesInstanceUID, identity.series_instance_uid},
      {DCM_Modality, identity.modality},
      {DCM_SeriesNumber, std::to_string(identity.series_number)},
      {DCM_InstanceNumber, std::to_string(identity.instance_number)},
      {DCM_SeriesDescription, cut_text(identity.series_description, 64)},
      {DCM_SeriesDate, run.run_date},
      {DCM_SeriesTime, run.run_time},
      {DCM_ContentDate, run.run_date},
      {DCM_ContentTime, run.run_time},
      {DCM_InstanceCreationDate, run.run_date},
      {DCM_InstanceCreationTime, run.run_time},
      {DCM_Manufacturer, manufacturer},
      {DCM_ManufacturerModelName, product_name},
      {DCM_DeviceSerialNumber, cut_text(settings.device_serial.empty() ? "1" : settings.device_serial, 64)},
      {DCM_SoftwareVersions, cut_text(software_version, 64)},
      {DCM_StationName, cut_text(settings.ae_title, 16)},
  };
  for (const auto& [tag, value] : values)
    if (const auto done = put(dataset, tag, value); !done) return done;
  delete dataset.remove(DCM_InstanceCreatorUID);
  delete dataset.remove(DCM_TimezoneOffsetFromUTC);
  if (!run.timezone_offset.empty())
    if (const auto done = put(dataset, DCM_TimezoneOffsetFromUTC, run.timezone_offset); !done) return done;

  delete dataset.remove(DCM_ContributingEquipmentSequence);
  for (std::size_t n = 0; n < algorithms.size(); ++n) {
    DcmItem* item = nullptr;
    if (const auto made = checked(dataset.findOrCreateSequenceItem(DCM_ContributingEquipmentSequence, item, static_cast<signed long>(n)), step, "contributing equipment"); !made)
      return made;
    if (const auto done = put_code(*item, DCM_PurposeOfReferenceCodeSequence, "109102", "DCM", "Processing Equipment"); !done) return done;
    const std::pair<DcmTagKey, std::string> parts[] = {{DCM_Manufacturer, manufacturer},
                                                       {DCM_ManufacturerModelName, cut_text(algorithms[n].name, 64)},
                                                       {DCM_SoftwareVersions, cut_text(algorithms[n].version, 64)},
                                                       {DCM_ContributionDateTime, run.run_date + run.run_time},
                                                       {DCM_ContributionDescription, cut_text(algorithms[n].description, 1024)}};
    for (const auto& [tag, value] : parts)
      if (const auto done = put(*item, tag, value); !done) return done;
  }
  return {};
}

Status save(DcmDataset& dataset, const std::filesystem::path& file) {
  // Sits beside its final name until it is whole.
  const std::filesystem::path unfinished = file.string() + ".part";
  DcmFileFormat format(&dataset);
  errno = 0;
  const OFCondition saved = format.saveFile(unfinished.c_str(), EXS_LittleEndianExplicit, EET_ExplicitLength, EGL_recalcGL);
  if (saved.bad()) {
    const int reason = errno;
    std::error_code ignored;
    std::filesystem::remove(unfinished, ignored);
    if (reason == ENOSPC) return fail(ErrorCode::disk_full, step, "The disk is full while a result object was written: free space and reprocess the study.");
    return fail(ErrorCode::io_error, step, std::string("A result object could not be written: ") + saved.text() + ". Check the permissions of the results folder.");
  }
  std::error_code error;
  std::filesystem::rename(unfinished, file, error);
  if (error) return fail(ErrorCode::io_error, step, "A result object could not be given its name: " + error.message() + ".");
  return {};
}

std::string cut_text(const std::string& text, std::size_t characters_max) {
  std::size_t characters = 0;
  for (std::size_t n = 0; n < text.size(); ++n) {
    if ((static_cast<unsigned char>(text[n]) & 0xC0) == 0x80) continue;
    if (characters == characters_max) return text.substr(0, n);
    ++characters;
  }
  return text;
}

}  // namespace choana::reporting
