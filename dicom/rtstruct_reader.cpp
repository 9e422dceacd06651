#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "dicom/dataset_internal.h"
#include "dicom/dicom_reader.h"

namespace choana::dicom {
namespace {

constexpr const char* step = "read_structure_set";
constexpr std::size_t contours_max = 500'000;
constexpr std::size_t points_max = 50'000'000;
constexpr std::size_t references_max = 1'000'000;

/// Contour Data as points; empty when a number is unreadable or the count is not a multiple of three.
std::vector<Vector3> parse_points(const std::string& text) {
  std::vector<Vector3> points;
  Vector3 point{};
  std::size_t coordinate = 0;
  std::string_view rest(text);
  while (!rest.empty() && (rest.back() == ' ' || rest.back() == '\0')) rest.remove_suffix(1);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\\'), rest.size());
    const auto value = parse_decimal(rest.substr(0, end));
    if (!value) return {};
    point[coordinate] = *value;
    coordinate = (coordinate + 1) % 3;
    if (coordinate == 0) points.push_back(point);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return coordinate == 0 ? points : std::vector<Vector3>{};
}

}  // namespace

Result<StructureSet> read_structure_set(const std::filesystem::path& file) {
  const std::string context = name_of(file);
  auto loaded = load_file(file, step, true);
  if (!loaded) return fail(loaded.error());
  const Item ds = loaded->item();

  StructureSet set;
  set.file = file.string();
  set.sop_class_uid = ds.uid(DCM_SOPClassUID);
  set.sop_instance_uid = ds.uid(DCM_SOPInstanceUID);
  if (set.sop_class_uid != UID_RTStructureSetStorage)
    return fail(set.sop_class_uid.empty() ? ErrorCode::missing_attribute : ErrorCode::unsupported_sop_class, step,
                "The object is not an RT Structure Set.", context);
  set.study_instance_uid = ds.uid(DCM_StudyInstanceUID);
  set.series_instance_uid = ds.uid(DCM_SeriesInstanceUID);
  set.label = ds.text(DCM_StructureSetLabel);

  std::set<std::string> seen_images;
  std::string only_frame_of_reference;
  const std::vector<Item> frames = ds.items(DCM_ReferencedFrameOfReferenceSequence);
  if (frames.empty()) set.notes.emplace_back("The structure set names no frame of reference.");
  for (const Item& frame : frames) {
    if (frames.size() == 1) only_frame_of_reference = frame.uid(DCM_FrameOfReferenceUID);
    for (const Item& study : frame.items(DCM_RTReferencedStudySequence))
      for (const Item& series : study.items(DCM_RTReferencedSeriesSequence)) {
        const std::string uid = series.uid(DCM_SeriesInstanceUID);
        if (!uid.empty() && std::find(set.referenced_series_uids.begin(), set.referenced_series_uids.end(), uid) == set.referenced_series_uids.end())
          set.referenced_series_uids.push_back(uid);
        for (const Item& image : series.items(DCM_ContourImageSequence)) {
          const std::string sop = image.uid(DCM_ReferencedSOPInstanceUID);
          if (!sop.empty() && set.referenced_sop_instance_uids.size() < references_max && seen_images.insert(sop).second)
            set.referenced_sop_instance_uids.push_back(sop);
        }
      }
  }
  if (set.referenced_series_uids.empty()) set.notes.emplace_back("The structure set names no image series.");

  std::map<int, std::size_t> position_of_number;
  const std::vector<Item> described = ds.items(DCM_StructureSetROISequence);
  if (described.empty()) set.notes.emplace_back("The structure set describes no regions.");
  for (const Item& item : described) {
    StructureSetRoi roi;
    roi.number = item.integer(DCM_ROINumber).value_or(0);
    roi.name = item.text(DCM_ROIName);
    if (roi.name.empty()) roi.name = "ROI " + std::to_string(roi.number);
    roi.description = item.text(DCM_ROIDescription);
    roi.generation_algorithm = item.text(DCM_ROIGenerationAlgorithm);
    roi.frame_of_reference_uid = item.uid(DCM_ReferencedFrameOfReferenceUID);
    if (roi.frame_of_reference_uid.empty()) roi.frame_of_reference_uid = only_frame_of_reference;
    if (!position_of_number.emplace(roi.number, set.rois.size()).second) {
      set.notes.push_back("The region number " + std::to_string(roi.number) + " is used twice; contours go to the first region of that number.");
    }
    set.rois.push_back(std::move(roi));
  }

  std::size_t contours = 0, points = 0;
  const std::vector<Item> outlines = ds.items(DCM_ROIContourSequence);
  if (outlines.empty()) set.notes.emplace_back("The structure set holds no contours.");
  for (const Item& item : outlines) {
    const int number = item.integer(DCM_ReferencedROINumber).value_or(0);
    auto found = position_of_number.find(number);
    if (found == position_of_number.end()) {
      StructureSetRoi roi;
      roi.number = number;
      roi.name = "ROI " + std::to_string(number);
      roi.frame_of_reference_uid = only_frame_of_reference;
      set.notes.push_back("Contours of region number " + std::to_string(number) + " stand without a description of the region.");
      found = position_of_number.emplace(number, set.rois.size()).first;
      set.rois.push_back(std::move(roi));
    }
    StructureSetRoi& roi = set.rois[found->second];
    for (const Item& drawn : item.items(DCM_ContourSequence)) {
      PlanarContour contour;
      contour.geometric_type = drawn.text(DCM_ContourGeometricType);
      contour.points_mm = parse_points(drawn.raw(DCM_ContourData));
      points += contour.points_mm.size();
      if (++contours > contours_max || points > points_max)
        return fail(ErrorCode::limit_exceeded, step, "The structure set has more contours than can be processed.", context);
      for (const Item& image : drawn.items(DCM_ContourImageSequence)) {
        const std::string sop = image.uid(DCM_ReferencedSOPInstanceUID);
        if (!sop.empty() && contour.referenced_sop_instance_uids.size() < 1000) contour.referenced_sop_instance_uids.push_back(sop);
      }
      roi.contours.push_back(std::move(contour));
    }
  }

  for (const Item& observation : ds.items(DCM_RTROIObservationsSequence)) {
    const auto found = position_of_number.find(observation.integer(DCM_ReferencedROINumber).value_or(0));
    if (found != position_of_number.end()) set.rois[found->second].interpreted_type = observation.text(DCM_RTROIInterpretedType);
  }
  return set;
}

}  // namespace choana::dicom
