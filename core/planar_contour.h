#pragma once

#include <string>
#include <vector>

#include "core/geometry.h"

namespace choana {

/// One RTSTRUCT contour, points in patient coordinates (LPS, mm).
struct PlanarContour {
  std::string geometric_type;  // CLOSED_PLANAR, CLOSEDPLANAR_XOR, OPEN_PLANAR, POINT, ...
  std::vector<Vector3> points_mm;
  std::vector<std::string> referenced_sop_instance_uids;
};

/// One ROI of a structure set.
struct StructureSetRoi {
  int number = 0;
  std::string name;
  std::string description;
  std::string generation_algorithm;    // MANUAL, SEMIAUTOMATIC, AUTOMATIC or empty
  std::string interpreted_type;        // RT ROI Interpreted Type: GTV, CTV, ORGAN, ...
  std::string frame_of_reference_uid;
  std::vector<PlanarContour> contours;
};

/// An RT Structure Set as facts.
struct StructureSet {
  std::string file;
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string label;
  std::vector<std::string> referenced_series_uids;
  std::vector<std::string> referenced_sop_instance_uids;  // of the frame-of-reference tree, without repeats
  std::vector<StructureSetRoi> rois;
  std::vector<std::string> notes;                         // what was missing or odd and tolerated
};

}  // namespace choana
