#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/coded_concept.h"
#include "core/geometry.h"

namespace choana {

/// One item of the Segment Sequence.
struct SegmentDescription {
  int number = 0;
  std::string label;
  std::string description;
  std::string algorithm_type;  // MANUAL, SEMIAUTOMATIC, AUTOMATIC
  std::string tracking_id;
  std::string tracking_uid;
  CodedConcept category;
  CodedConcept type;
};

/// One frame of a SEG; frames without any value above 0 are left out by the reader. Values 0..1 (binary: 0 or 1; fractional: value / Maximum Fractional Value), column fastest.
struct SegmentFrame {
  int segment_number = 0;  // 0 in a label map: values are then segment numbers
  Vector3 position_mm{};
  std::string source_sop_instance_uid;
  std::vector<float> values;
};

/// A Segmentation object as facts.
struct SegmentationObject {
  std::string file;
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string frame_of_reference_uid;
  std::string content_label;
  std::string segmentation_type;  // BINARY, FRACTIONAL, LABELMAP
  std::string manufacturer;
  int columns = 0;
  int rows = 0;
  Vector3 row_direction{1, 0, 0};
  Vector3 column_direction{0, 1, 0};
  double column_spacing_mm = 0;
  double row_spacing_mm = 0;
  double slice_spacing_mm = 0;  // 0 when not stated
  std::vector<std::string> referenced_series_uids;
  std::vector<std::string> referenced_sop_instance_uids;
  std::vector<SegmentDescription> segments;
  std::vector<SegmentFrame> frames;
  int frames_empty = 0;         // frames of the object in which nothing is set
  std::vector<std::string> notes;
};

}  // namespace choana
