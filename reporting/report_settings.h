#pragma once

#include <string>
#include <vector>

namespace choana::reporting {

/// SOP class of the structured reports. The same content tree is legal in all three (spec/sr.md D3).
enum class SrSopClass { enhanced, comprehensive, comprehensive3d };

/// How a node writes its results; the same for every study.
struct ReportSettings {
  SrSopClass sr_sop_class = SrSopClass::enhanced;
  std::string language = "en";                // en | zh: narrative and comments; codes stay English
  std::string ae_title = "CHOANA";            // Device Observer Name, Station Name
  std::string device_serial = "1";            // serial number of this node
  std::string software_version;               // empty: choana::version
  bool charts = true;                         // write SC pages
  bool key_slice = true;                      // write SR-K
  bool full_image_library = false;            // list every slice in the Image Library, not one a series
  std::string fallback_charset = "GB18030";   // of text that declares no character set and is not UTF-8
};

/// An object of an earlier result of the same study that this result replaces.
struct PredecessorObject {
  std::string kind;                           // SR-R, SR-X, SR-K, SEG-ROI, SEG-HAB, SC
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string series_instance_uid;
};

/// What makes one run of the pipeline on one study itself. Identical identity, findings and settings give identical
/// bytes: dates are those of the job, UIDs are derived.
struct RunIdentity {
  std::string run_key;                        // canonical key of inputs, settings, models and software version
  std::string run_date;                       // DA, of the job
  std::string run_time;                       // TM, of the job
  std::string timezone_offset;                // "+0800"; empty: not stated
  int revision = 1;                           // 1 for the first result of a study
  std::vector<PredecessorObject> predecessors;
};

}  // namespace choana::reporting
