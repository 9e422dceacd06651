#pragma once

#include <vector>

#include "core/study_findings.h"
#include "processing/pipeline/package_plan.h"
#include "processing/pipeline/study_images.h"
#include "processing/pipeline/study_log.h"
#include "processing/pipeline/study_measurements.h"
#include "processing/study_pipeline.h"

namespace choana::processing {

/// The deep features of a study: each network of a package on the prepared image and region that it asks for. Those that a model uses join the
/// measurement of the region, named by network and index: "network-resnet50-1a2b3c4d_deep_66".
class StudyNetworks {
 public:
  /// All outlive this.
  StudyNetworks(const StudyImages& images, StudyMeasurements& measurements, StudyFindings& findings, StudyLog& log)
      : images_(images), measurements_(measurements), findings_(findings), log_(log) {}

  /// Run every network once on every region it is asked for, after the measurements. A feature that cannot be had carries its reason.
  void run(const PipelineSettings& settings, const std::vector<PackagePlan>& plans);

 private:
  const StudyImages& images_;
  StudyMeasurements& measurements_;
  StudyFindings& findings_;
  StudyLog& log_;
};

}  // namespace choana::processing
