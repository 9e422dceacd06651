#pragma once

#include <string>
#include <vector>

#include "core/study_findings.h"

namespace choana::node {

/// One result object as result.json lists it.
struct ResultFile {
  std::string file;   // relative to the folder of result.json
  std::string kind;   // SR-R | SR-X | SR-K | SEG-ROI | SEG-HAB | SC
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string series_instance_uid;
};

/// The document of spec/interface.md 2, format choana-result/1. Numbers are the doubles of the SR, shortest form that
/// restores them.
std::string write_result_json(const StudyFindings& findings, const std::vector<ResultFile>& objects,
                              const std::string& settings_sha256);

/// What the node itself needs of a result.json.
struct ResultSummary {
  std::string study_instance_uid;
  Outcome outcome = Outcome::failed;
  std::string reason_code;
  std::string reason_text;
  std::vector<ResultFile> objects;
};

/// Errors: invalid_attribute (not the format, or a file name that leaves the folder).
Result<ResultSummary> read_result_json(const std::string& text);

}  // namespace choana::node
