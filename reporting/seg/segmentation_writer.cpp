#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmfg/fgderimg.h>
#include <dcmtk/dcmfg/fgfracon.h>
#include <dcmtk/dcmfg/fgpixmsr.h>
#include <dcmtk/dcmfg/fgplanor.h>
#include <dcmtk/dcmfg/fgplanpo.h>
#include <dcmtk/dcmseg/segdoc.h>
#include <dcmtk/dcmseg/segment.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/unique_identifier.h"
#include "core/version.h"
#include "reporting/dcmtk_error_internal.h"
#include "reporting/result_header_internal.h"
#include "reporting/seg/segmentation_writer_internal.h"
#include "reporting/sr/codes.h"
#include "reporting/sr/content_item.h"
#include "reporting/sr/report_texts.h"

namespace choana::reporting {
namespace {

constexpr const char* step = "write_report";

OFString of(const std::string& text) { return {text.c_str(), text.size()}; }
OFString ds(double number) { return of(decimal_string(number)); }
CodeSequenceMacro macro(const CodedConcept& code) { return {of(code.value), of(code.scheme), of(code.meaning)}; }

struct LabColour {
  double l, a, b;
};

// Told apart on grey displays too: lightness differs from one to the next.
LabColour colour_of(const RegionCodes& codes, std::size_t position) {
  if (codes.finding == codes::gtv_primary) return {53.2, 80.1, 67.2};    // red
  if (codes.finding == codes::gtv_nodal) return {89.0, -2.0, 83.0};      // yellow
  constexpr std::array<LabColour, 5> others{{{62.0, 30.0, 68.0}, {88.0, -79.0, 81.0}, {45.0, 25.0, -65.0}, {76.0, -27.0, -22.0}, {60.0, 70.0, -40.0}}};
  return others[position % others.size()];
}

/// From dark to light, so that habitats ordered by brightness look it, with hues that tell neighbours apart.
LabColour habitat_colour(int number) {
  constexpr std::array<LabColour, 9> all{{{32.0, 50.0, -80.0}, {55.0, -20.0, -40.0}, {62.0, -50.0, 40.0}, {78.0, 10.0, 78.0}, {60.0, 65.0, 50.0}, {72.0, 40.0, -30.0}, {45.0, 60.0, 10.0}, {88.0, -40.0, -5.0}, {95.0, -10.0, 40.0}}};
  return all[static_cast<std::size_t>(std::max(1, number) - 1) % all.size()];
}

Uint16 scaled(double value, double factor, double offset) { return static_cast<Uint16>(std::lround(std::clamp((value + offset) * factor, 0.0, 65535.0))); }

DcmSegTypes::E_SegmentAlgoType algorithm_type(const RoiOrigin& origin) {
  if (origin.algorithm_type == "MANUAL") return DcmSegTypes::SAT_MANUAL;
  if (origin.algorithm_type == "AUTOMATIC") return DcmSegTypes::SAT_AUTOMATIC;
  return DcmSegTypes::SAT_SEMIAUTOMATIC;
}

Status add_segment(DcmSegmentation& object, const ReportedRegion& region, std::size_t position) {
  const RoiOrigin& origin = region.roi->origin();
  const auto type = region.habitat != nullptr ? DcmSegTypes::SAT_AUTOMATIC : algorithm_type(origin);
  DcmSegment* segment = nullptr;
  // Texts follow in add_segment_texts: the toolkit refuses any that is not ASCII here.
  if (const auto done = checked(DcmSegment::create(segment, "region", macro(region.codes.category), macro(region.codes.type), type,
                                                   region.habitat != nullptr ? "Choana habitats" : type == DcmSegTypes::SAT_MANUAL ? "" : "as stated by the sender"),
                                step, "segment");
      !done)
    return done;
  std::unique_ptr<DcmSegment> owner(segment);
  const LabColour colour = region.habitat != nullptr ? habitat_colour(region.habitat->number) : colour_of(region.codes, position);
  for (const OFCondition& done :
       {segment->setTrackingID("region"), segment->setTrackingUID(of(region.tracking_uid)),
        // PS3.3 C.10.7.1.1: L* 0..100 and a*, b* -128..127 over 16 bits.
        segment->setRecommendedDisplayCIELabValue(scaled(colour.l, 655.35, 0), scaled(colour.a, 257, 128), scaled(colour.b, 257, 128))})
    if (const auto good = checked(done, step, "segment attribute"); !good) return good;
  if (!region.codes.site.empty()) {
    GeneralAnatomyMacro& anatomy = segment->getGeneralAnatomyCode();
    if (const auto good = checked(anatomy.getAnatomicRegion().set(of(region.codes.site.value), of(region.codes.site.scheme), of(region.codes.site.meaning)), step, "anatomic region"); !good)
      return good;
    if (!region.codes.laterality.empty()) anatomy.getAnatomicRegionModifier().push_back(new CodeSequenceMacro(macro(region.codes.laterality)));
  }
  Uint16 number = 0;
  if (const auto good = checked(object.addSegment(segment, number), step, "segment"); !good) return good;
  (void)owner.release();
  if (number != region.segment.segment_number) return fail(ErrorCode::internal, step, "A segment did not get its planned number. Please report this as a defect.");
  return {};
}

Status add_shared_groups(DcmSegmentation& object, const SeriesVolume& volume) {
  const VolumeGeometry& grid = volume.geometry();
  const Vector3 spacing = grid.spacing_mm();
  FGPixelMeasures measures;
  const Vector3 row = grid.axis(0);
  const Vector3 column = grid.axis(1);
  FGPlaneOrientationPatient orientation;
  const double thickness = volume.acquisition().slice_thickness_mm.value_or(spacing[2]);
  for (const OFCondition& done :
       {measures.setPixelSpacing(ds(spacing[1]) + "\\" + ds(spacing[0])), measures.setSliceThickness(ds(thickness > 0 ? thickness : spacing[2])),
        measures.setSpacingBetweenSlices(ds(spacing[2])),
        orientation.setImageOrientationPatient(ds(row[0]), ds(row[1]), ds(row[2]), ds(column[0]), ds(column[1]), ds(column[2])), object.addForAllFrames(measures),
        object.addForAllFrames(orientation)})
    if (const auto good = checked(done, step, "shared functional groups"); !good) return good;
  return {};
}

Status add_frame(DcmSegmentation& object, const ReportedRegion& region, const SeriesVolume& volume, int k, int plane_rank) {
  const VolumeGeometry& grid = volume.geometry();
  const auto pixels = static_cast<std::size_t>(grid.size()[0]) * static_cast<std::size_t>(grid.size()[1]);
  std::vector<Uint8> frame(pixels);
  const std::uint8_t* mask = region.roi->mask().data() + static_cast<std::size_t>(k) * pixels;
  for (std::size_t n = 0; n < pixels; ++n) frame[n] = mask[n] != 0 ? 1 : 0;

  FGFrameContent content;
  const Vector3 position = grid.index_to_patient({0, 0, static_cast<double>(k)});
  FGPlanePosPatient plane;
  FGDerivationImage derivation;
  for (const OFCondition& done :
       {content.setDimensionIndexValues(static_cast<Uint32>(region.segment.segment_number), 0), content.setDimensionIndexValues(static_cast<Uint32>(plane_rank), 1),
        plane.setImagePositionPatient(ds(position[0]), ds(position[1]), ds(position[2]))})
    if (const auto good = checked(done, step, "frame"); !good) return good;

  OFVector<FGBase*> groups;
  groups.push_back(&content);
  groups.push_back(&plane);
  const auto& slices = volume.reference().slices;
  if (static_cast<std::size_t>(k) < slices.size()) {
    const SliceReference& slice = slices[static_cast<std::size_t>(k)];
    DerivationImageItem* item = nullptr;
    const CodeSequenceMacro segmentation_code("113076", "DCM", "Segmentation");
    if (const auto good = checked(derivation.addDerivationImageItem(segmentation_code, "", item), step, "derivation image"); !good) return good;
    if (region.roi->origin().kind == RoiOrigin::Kind::segmentation) item->getDerivationCodeItems().push_back(new CodeSequenceMacro("113085", "DCM", "Spatial resampling"));
    auto source = std::make_unique<SourceImageItem>();
    ImageSOPInstanceReferenceMacro& image = source->getImageSOPInstanceReference();
    for (const OFCondition& done : {image.setReferencedSOPClassUID(of(slice.sop_class_uid)), image.setReferencedSOPInstanceUID(of(slice.sop_instance_uid)),
                                    slice.frame_number > 0 ? image.addReferencedFrameNumber(static_cast<Uint16>(slice.frame_number)) : EC_Normal,
                                    source->getPurposeOfReferenceCode().set("121322", "DCM", "Source image for image processing operation")})
      if (const auto good = checked(done, step, "source image"); !good) return good;
    item->getSourceImageItems().push_back(source.release());
    groups.push_back(&derivation);
  }
  return checked(object.addFrame(frame.data(), static_cast<Uint16>(region.segment.segment_number), groups), step, "frame");
}

Status put(DcmItem& item, const DcmTagKey& tag, const std::string& value) { return checked(item.putAndInsertOFStringArray(tag, of(value)), step, DcmTag(tag).getTagName()); }

Status put_code(DcmItem& item, const DcmTagKey& sequence, const CodedConcept& code) {
  DcmItem* entry = nullptr;
  if (const auto good = checked(item.findOrCreateSequenceItem(sequence, entry, 0), step, "code"); !good) return good;
  for (const auto& [tag, text] : {std::pair<DcmTagKey, std::string>{DCM_CodeValue, code.value}, {DCM_CodingSchemeDesignator, code.scheme}, {DCM_CodeMeaning, code.meaning}})
    if (const auto good = put(*entry, tag, text); !good) return good;
  return {};
}

/// Which habitat a segment is, and what found it. Property Type Modifier, Segmentation Algorithm Identification.
Status add_habitat_codes(DcmItem& segment, const Habitat& habitat, const HabitatMap& map) {
  DcmItem* type = nullptr;
  if (const auto good = checked(segment.findAndGetSequenceItem(DCM_SegmentedPropertyTypeCodeSequence, type), step, "property type"); !good) return good;
  const std::string number = std::to_string(habitat.number);
  if (const auto good = put_code(*type, DCM_SegmentedPropertyTypeModifierCodeSequence, codes::ours(("HAB_" + number).c_str(), ("Habitat " + number).c_str())); !good) return good;
  DcmItem* algorithm = nullptr;
  if (const auto good = checked(segment.findOrCreateSequenceItem(DCM_SegmentationAlgorithmIdentificationSequence, algorithm, 0), step, "algorithm"); !good) return good;
  if (const auto good = put_code(*algorithm, DCM_AlgorithmFamilyCodeSequence, {"123107", "DCM", "Cluster Analysis"}); !good) return good;
  for (const auto& [tag, text] : {std::pair<DcmTagKey, std::string>{DCM_AlgorithmName, "Choana habitats"}, {DCM_AlgorithmVersion, version}, {DCM_AlgorithmParameters, cut_text(map.scheme, 4096)}})
    if (const auto good = put(*algorithm, tag, text); !good) return good;
  return {};
}

/// Names and sentences, which may be Chinese.
Status add_segment_texts(DcmDataset& dataset, const ReportedSeries& series, const PlannedSegmentation& segmentation, const ReportTexts& texts) {
  for (std::size_t position = 0; position < segmentation.regions.size(); ++position) {
    const ReportedRegion& region = series.regions[segmentation.regions[position]];
    DcmItem* segment = nullptr;
    if (const auto good = checked(dataset.findAndGetSequenceItem(DCM_SegmentSequence, segment, static_cast<signed long>(position)), step, "Segment Sequence"); !good) return good;
    // A backslash would make two values of one.
    std::string label = cut_text(region.tracking_id, 64);
    std::replace(label.begin(), label.end(), '\\', '/');
    for (const auto& [tag, text] : {std::pair<DcmTagKey, std::string>{DCM_SegmentLabel, label},
                                    {DCM_SegmentDescription, cut_text(region.habitat != nullptr ? segmentation.habitats->method : texts.region_origin(*region.roi), 1024)},
                                    {DCM_TrackingID, region.tracking_id}})
      if (const auto good = put(*segment, tag, text); !good) return good;
    if (region.habitat != nullptr)
      if (const auto good = add_habitat_codes(*segment, *region.habitat, *segmentation.habitats); !good) return good;
  }
  return {};
}

/// Each frame lies on its source slice pixel by pixel; readers index by source only if that is said. dcmfg cannot.
Status add_spatial_locations(DcmDataset& dataset) {
  DcmSequenceOfItems* frames = nullptr;
  if (const auto good = checked(dataset.findAndGetSequence(DCM_PerFrameFunctionalGroupsSequence, frames), step, "per-frame groups"); !good) return good;
  for (unsigned long n = 0; n < frames->card(); ++n) {
    DcmItem* derivation = nullptr;
    DcmItem* source = nullptr;
    if (frames->getItem(n)->findAndGetSequenceItem(DCM_DerivationImageSequence, derivation).bad() || derivation->findAndGetSequenceItem(DCM_SourceImageSequence, source).bad()) continue;
    if (const auto good = put(*source, DCM_SpatialLocationsPreserved, "YES"); !good) return good;
  }
  return {};
}

Status add_instance_references(DcmDataset& dataset, const ReportedSeries& series, const PlannedSegmentation& segmentation, const std::set<int>& planes) {
  // Common Instance Reference: exactly one series, or viewers show the segments on the wrong one. dcmseg has no setter.
  delete dataset.remove(DCM_ReferencedSeriesSequence);
  const SeriesReference& reference = series.measured->volume.reference();
  DcmItem* item = nullptr;
  if (const auto good = checked(dataset.findOrCreateSequenceItem(DCM_ReferencedSeriesSequence, item, 0), step, "Referenced Series Sequence"); !good) return good;
  if (const auto good = put(*item, DCM_SeriesInstanceUID, reference.series_instance_uid); !good) return good;
  std::set<std::string> listed;
  for (const int k : planes) {
    if (static_cast<std::size_t>(k) >= reference.slices.size()) continue;
    const SliceReference& slice = reference.slices[static_cast<std::size_t>(k)];
    if (!listed.insert(slice.sop_instance_uid).second) continue;
    DcmItem* instance = nullptr;
    if (const auto good = checked(item->findOrCreateSequenceItem(DCM_ReferencedInstanceSequence, instance, static_cast<signed long>(listed.size()) - 1), step, "referenced instance"); !good)
      return good;
    if (const auto good = put(*instance, DCM_ReferencedSOPClassUID, slice.sop_class_uid); !good) return good;
    if (const auto good = put(*instance, DCM_ReferencedSOPInstanceUID, slice.sop_instance_uid); !good) return good;
  }

  // General Reference: what the regions were drawn as.
  std::set<std::string> origins;
  for (const std::size_t n : segmentation.regions) {
    const RoiOrigin& origin = series.regions[n].roi->origin();
    if (origin.sop_instance_uid.empty() || origin.sop_class_uid.empty() || !origins.insert(origin.sop_instance_uid).second) continue;
    DcmItem* source = nullptr;
    if (const auto good = checked(dataset.findOrCreateSequenceItem(DCM_SourceInstanceSequence, source, static_cast<signed long>(origins.size()) - 1), step, "Source Instance Sequence"); !good)
      return good;
    if (const auto good = put(*source, DCM_ReferencedSOPClassUID, origin.sop_class_uid); !good) return good;
    if (const auto good = put(*source, DCM_ReferencedSOPInstanceUID, origin.sop_instance_uid); !good) return good;
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<DcmDataset>> build_segmentation_dataset(const ReportPlan& plan, const ReportedSeries& series, const PlannedSegmentation& segmentation) {
  const SeriesVolume& volume = series.measured->volume;
  const VolumeGeometry& grid = volume.geometry();
  const ReportTexts texts(plan.settings->language);
  if (grid.size()[0] > 65535 || grid.size()[1] > 65535)
    return fail(ErrorCode::limit_exceeded, step, "Images of more than 65535 columns or rows cannot be segmented in DICOM.");

  const std::string serial = plan.settings->device_serial.empty() ? "1" : plan.settings->device_serial;
  const IODGeneralEquipmentModule::EquipmentInfo equipment(manufacturer, product_name, of(serial), version);
  const std::string description = std::string(plan.research ? "RESEARCH " : "") + (segmentation.habitats != nullptr ? "habitats found on " : "regions measured on ") + series.label;
  ContentIdentificationMacro content("1", segmentation.habitats != nullptr ? "HABITATS" : "ROI", of(cut_text(description, 64)), "Choana^Node");
  DcmSegmentation* created = nullptr;
  if (const auto good = checked(DcmSegmentation::createBinarySegmentation(created, static_cast<Uint16>(grid.size()[1]), static_cast<Uint16>(grid.size()[0]), equipment, content), step, "segmentation"); !good)
    return fail(good.error());
  const std::unique_ptr<DcmSegmentation> object(created);

  std::string frame_of_reference = grid.frame_of_reference_uid();
  if (frame_of_reference.empty()) frame_of_reference = derive_uid("frame-of-reference", volume.reference().series_instance_uid);
  const OFString dimension_uid = of(derive_uid("dimension-organization", segmentation.series_instance_uid));
  IODMultiframeDimensionModule& dimensions = object->getDimensions();
  for (const OFCondition& done :
       {object->getStudy().setStudyInstanceUID(of(plan.findings->study_instance_uid)), object->getFrameOfReference().setFrameOfReferenceUID(of(frame_of_reference)),
        // The toolkit refuses to write without a number; stamp() sets ours.
        object->getSeries().setSeriesNumber("9100"), series.body_part.empty() ? EC_Normal : object->getSeries().setBodyPartExamined(of(series.body_part)),
        dimensions.addDimensionIndex(DCM_ReferencedSegmentNumber, dimension_uid, DCM_SegmentIdentificationSequence, "Segment"),
        dimensions.addDimensionIndex(DCM_ImagePositionPatient, dimension_uid, DCM_PlanePositionSequence, "Plane")})
    if (const auto good = checked(done, step, "segmentation header"); !good) return fail(good.error());

  const auto pixels = static_cast<std::size_t>(grid.size()[0]) * static_cast<std::size_t>(grid.size()[1]);
  std::vector<std::vector<int>> planes_of_region;
  std::set<int> planes;
  for (const std::size_t n : segmentation.regions) {
    const auto& mask = series.regions[n].roi->mask();
    std::vector<int> own;
    for (int k = 0; k < grid.size()[2]; ++k) {
      const auto begin = mask.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(k) * pixels);
      if (std::any_of(begin, begin + static_cast<std::ptrdiff_t>(pixels), [](std::uint8_t value) { return value != 0; })) own.push_back(k);
    }
    planes.insert(own.begin(), own.end());
    planes_of_region.push_back(std::move(own));
  }
  std::map<int, int> rank;
  for (const int k : planes) rank.emplace(k, static_cast<int>(rank.size()) + 1);

  for (std::size_t position = 0; position < segmentation.regions.size(); ++position)
    if (const auto good = add_segment(*object, series.regions[segmentation.regions[position]], position); !good) return fail(good.error());
  if (const auto good = add_shared_groups(*object, volume); !good) return fail(good.error());
  for (std::size_t position = 0; position < segmentation.regions.size(); ++position)
    for (const int k : planes_of_region[position])
      if (const auto good = add_frame(*object, series.regions[segmentation.regions[position]], volume, k, rank.at(k)); !good) return fail(good.error());

  auto dataset = std::make_unique<DcmDataset>();
  if (const auto good = checked(object->writeDataset(*dataset), step, "writing the segmentation"); !good) return fail(good.error());
  if (const auto good = add_segment_texts(*dataset, series, segmentation, texts); !good) return fail(good.error());
  if (const auto good = add_spatial_locations(*dataset); !good) return fail(good.error());
  if (const auto good = add_instance_references(*dataset, series, segmentation, planes); !good) return fail(good.error());
  return dataset;
}

int slice_of_plane(const VolumeGeometry& geometry, const Vector3& position_mm) {
  const Vector3 index = geometry.patient_to_index(position_mm);
  const long k = std::lround(index[2]);
  if (std::abs(index[0]) > 1e-2 || std::abs(index[1]) > 1e-2 || std::abs(index[2] - static_cast<double>(k)) > 1e-2) return -1;
  return k >= 0 && k < geometry.size()[2] ? static_cast<int>(k) : -1;
}

bool holds_same_mask(const SegmentationObject& object, int number, const MeasuredSeries& measured, const RegionOfInterest& roi) {
  const VolumeGeometry& grid = roi.geometry();
  const auto& series = object.referenced_series_uids;
  if (object.segmentation_type != "BINARY" || object.sop_class_uid != "1.2.840.10008.5.1.4.1.1.66.4" || object.columns != grid.size()[0] || object.rows != grid.size()[1] ||
      std::find(series.begin(), series.end(), measured.volume.reference().series_instance_uid) == series.end())
    return false;
  const auto same_direction = [](const Vector3& a, const Vector3& b) { return norm(a - b) < 1e-3; };
  if (!same_direction(object.row_direction, grid.axis(0)) || !same_direction(object.column_direction, grid.axis(1)) ||
      std::abs(object.column_spacing_mm - grid.spacing_mm()[0]) > 1e-3 || std::abs(object.row_spacing_mm - grid.spacing_mm()[1]) > 1e-3)
    return false;
  const auto pixels = static_cast<std::size_t>(grid.size()[0]) * static_cast<std::size_t>(grid.size()[1]);
  std::size_t voxels = 0;
  for (const SegmentFrame& frame : object.frames) {
    if (frame.segment_number != number) continue;
    const int k = slice_of_plane(grid, frame.position_mm);
    if (k < 0 || frame.values.size() != pixels) return false;
    const std::uint8_t* mask = roi.mask().data() + static_cast<std::size_t>(k) * pixels;
    for (std::size_t n = 0; n < pixels; ++n) {
      if ((frame.values[n] > 0.5F) != (mask[n] != 0)) return false;
      voxels += mask[n] != 0 ? 1 : 0;
    }
  }
  return voxels == roi.voxels();
}

}  // namespace choana::reporting
