#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmsr/dsrdoc.h>

#include <cmath>
#include <set>

#include "core/unique_identifier.h"
#include "reporting/dcmtk_error_internal.h"
#include "reporting/sr/codes.h"
#include "reporting/sr/sr_document_internal.h"

namespace choana::reporting {
namespace {

constexpr const char* step = "write_report";

OFString of(const std::string& text) { return {text.c_str(), text.size()}; }

DSRCodedEntryValue entry(const CodedConcept& code) { return {of(code.value), of(code.scheme), of(code.meaning)}; }

DSRTypes::E_RelationshipType relationship(Relation relation) {
  switch (relation) {
    case Relation::contains: return DSRTypes::RT_contains;
    case Relation::has_observation_context: return DSRTypes::RT_hasObsContext;
    case Relation::has_acquisition_context: return DSRTypes::RT_hasAcqContext;
    case Relation::has_concept_modifier: return DSRTypes::RT_hasConceptMod;
    case Relation::inferred_from: return DSRTypes::RT_inferredFrom;
    case Relation::selected_from: return DSRTypes::RT_selectedFrom;
  }
  return DSRTypes::RT_invalid;
}

DSRTypes::E_ValueType value_type(const ContentItem::Value& value) {
  // In the order of ContentItem::Value.
  constexpr std::array types{DSRTypes::VT_Container, DSRTypes::VT_Text, DSRTypes::VT_Code,  DSRTypes::VT_UIDRef, DSRTypes::VT_Date,
                             DSRTypes::VT_Time,      DSRTypes::VT_Num,  DSRTypes::VT_Image, DSRTypes::VT_SCoord};
  static_assert(types.size() == std::variant_size_v<ContentItem::Value>);
  return types[value.index()];
}

OFCondition set_value(DSRDocumentTree& tree, const ContentItem::Value& value) {
  DSRContentItem& item = tree.getCurrentContentItem();
  if (const auto* container = std::get_if<ContainerValue>(&value)) {
    if (container->template_id.empty()) return EC_Normal;
    return item.setTemplateIdentification(of(container->template_id), "DCMR", "1.2.840.10008.8.1.1");
  }
  // The checker knows no UTF-8 and would refuse Chinese text; the repertoire is ours.
  if (const auto* text = std::get_if<TextValue>(&value)) return item.setStringValue(of(text->text), OFFalse);
  if (const auto* code = std::get_if<CodedConcept>(&value)) return item.setCodeValue(entry(*code));
  if (const auto* uid = std::get_if<UidValue>(&value)) return item.setStringValue(of(uid->uid));
  if (const auto* date = std::get_if<DateValue>(&value)) return item.setStringValue(of(date->date));
  if (const auto* time = std::get_if<TimeValue>(&value)) return item.setStringValue(of(time->time));
  if (const auto* number = std::get_if<NumberValue>(&value)) {
    if (!std::isfinite(number->number)) return EC_IllegalParameter;
    DSRNumericMeasurementValue measured;
    OFCondition done = measured.setValue(of(decimal_string(number->number)), DSRCodedEntryValue(of(number->unit.code), "UCUM", of(number->unit.meaning)));
    if (done.good()) done = measured.setFloatingPointRepresentation(number->number);
    return done.good() ? item.setNumericValue(measured) : done;
  }
  if (const auto* image = std::get_if<ImageValue>(&value)) {
    DSRImageReferenceValue reference(of(image->sop_class_uid), of(image->sop_instance_uid));
    if (image->frame_number > 0) reference.getFrameList().addItem(image->frame_number);
    if (image->segment_number > 0) reference.getSegmentList().addItem(static_cast<Uint16>(image->segment_number));
    return item.setImageReference(reference);
  }
  if (const auto* line = std::get_if<PolylineValue>(&value)) {
    DSRSpatialCoordinatesValue coordinates(DSRTypes::GT_Polyline);
    for (const auto& point : line->points) coordinates.getGraphicDataList().addItem(static_cast<Float32>(point[0]), static_cast<Float32>(point[1]));
    return item.setSpatialCoordinates(coordinates);
  }
  return EC_IllegalParameter;
}

Status add_item(DSRDocumentTree& tree, const ContentItem& item, DSRTypes::E_RelationshipType relation, DSRTypes::E_AddMode mode) {
  // Named in errors by its concept, never by its value.
  const auto refused = [&](const OFCondition& why) { return checked(why, step, "content item " + item.name.value + " (" + item.name.meaning + ")"); };
  if (tree.addContentItem(relation, value_type(item.value), mode) == 0) return refused(SR_EC_CannotAddContentItem);
  // An item below SCOORD may go without a name; every other has one (viewers fail on items without).
  if (!item.name.empty())
    if (const OFCondition named = tree.getCurrentContentItem().setConceptName(entry(item.name)); named.bad()) return refused(named);
  if (const OFCondition set = set_value(tree, item.value); set.bad()) return refused(set);
  if (item.children.empty()) return {};
  DSRTypes::E_AddMode child_mode = DSRTypes::AM_belowCurrent;
  for (const ContentItem& child : item.children) {
    if (const auto done = add_item(tree, child, relationship(child.relation), child_mode); !done) return done;
    child_mode = DSRTypes::AM_afterCurrent;
  }
  tree.goUp();
  return {};
}

Status add_coding_schemes(DSRDocument& document) {
  struct Scheme {
    const char* designator;
    std::string uid;
    const char* name;
    const char* organization;
  };
  // PS3.16 Table 8-1 for IBSI; our own UID is a function of the designator.
  const Scheme schemes[] = {
      {"99CHOANA", derive_uid("coding-scheme", codes::private_scheme), "Choana codes for radiomics, predictions and explanations", "Choana"},
      {"IBSI", "1.2.840.10008.2.16.13", "Image Biomarker Standardisation Initiative", "IBSI"},
  };
  DSRCodingSchemeIdentificationList& list = document.getCodingSchemeIdentification();
  for (const Scheme& scheme : schemes) {
    if (const auto done = checked(list.addItem(scheme.designator), step, "coding scheme"); !done) return done;
    if (const auto done = checked(list.setCodingSchemeUID(of(scheme.uid)), step, "coding scheme UID"); !done) return done;
    if (const auto done = checked(list.setCodingSchemeName(scheme.name), step, "coding scheme name"); !done) return done;
    if (const auto done = checked(list.setCodingSchemeResponsibleOrganization(scheme.organization), step, "coding scheme organization"); !done) return done;
  }
  return {};
}

DSRTypes::E_DocumentType document_type(SrSopClass sop_class) {
  switch (sop_class) {
    case SrSopClass::enhanced: return DSRTypes::DT_EnhancedSR;
    case SrSopClass::comprehensive: return DSRTypes::DT_ComprehensiveSR;
    case SrSopClass::comprehensive3d: return DSRTypes::DT_Comprehensive3DSR;
  }
  return DSRTypes::DT_EnhancedSR;
}

}  // namespace

std::string sop_class_uid(SrSopClass sop_class) {
  switch (sop_class) {
    case SrSopClass::enhanced: return UID_EnhancedSRStorage;
    case SrSopClass::comprehensive: return UID_ComprehensiveSRStorage;
    case SrSopClass::comprehensive3d: return UID_Comprehensive3DSRStorage;
  }
  return UID_EnhancedSRStorage;
}

Result<std::unique_ptr<DcmDataset>> build_sr_dataset(const ContentItem& root, const SrDocumentHeader& header) {
  DSRDocument document;
  // An unsupported type would silently leave a Basic Text SR.
  if (const auto done = checked(document.createNewDocument(document_type(header.sop_class)), step, "new document"); !done) return fail(done.error());
  if (const auto done = checked(document.createNewSeriesInStudy(of(header.study_instance_uid)), step, "Study Instance UID"); !done) return fail(done.error());
  if (const auto done = checked(document.setSpecificCharacterSetType(DSRTypes::CS_UTF8), step, "character set"); !done) return fail(done.error());
  if (const auto done = add_coding_schemes(document); !done) return fail(done.error());
  if (const auto done = add_item(document.getTree(), root, DSRTypes::RT_isRoot, DSRTypes::AM_afterCurrent); !done) return fail(done.error());

  std::set<std::string> listed;
  for (const InstanceReference& each : header.evidence) {
    if (!listed.insert(each.sop_instance_uid).second) continue;
    if (const auto done = checked(document.getCurrentRequestedProcedureEvidence().addItem(of(each.study_instance_uid), of(each.series_instance_uid),
                                                                                         of(each.sop_class_uid), of(each.sop_instance_uid)),
                                  step, "evidence");
        !done)
      return fail(done.error());
  }
  for (const InstanceReference& each : header.predecessors)
    if (const auto done = checked(document.getPredecessorDocuments().addItem(of(each.study_instance_uid), of(each.series_instance_uid),
                                                                             of(each.sop_class_uid), of(each.sop_instance_uid)),
                                  step, "predecessor");
        !done)
      return fail(done.error());

  if (header.preliminary)
    if (const auto done = checked(document.setPreliminaryFlag(DSRTypes::PF_Preliminary), step, "preliminary flag"); !done) return fail(done.error());
  if (const auto done = checked(document.completeDocument("Automatically generated, not verified"), step, "completion flag"); !done) return fail(done.error());

  auto dataset = std::make_unique<DcmDataset>();
  if (const auto done = checked(document.write(*dataset), step, "writing the document"); !done) return fail(done.error());
  return dataset;
}

}  // namespace choana::reporting
