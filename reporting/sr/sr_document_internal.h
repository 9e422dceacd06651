#pragma once

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "reporting/report_settings.h"
#include "reporting/sr/content_item.h"

namespace choana::reporting {

/// A SOP instance as evidence lists name it.
struct InstanceReference {
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string sop_class_uid;
  std::string sop_instance_uid;
};

/// What the header of a structured report says besides what all results share.
struct SrDocumentHeader {
  SrSopClass sop_class = SrSopClass::enhanced;
  std::string study_instance_uid;
  std::vector<InstanceReference> evidence;        // same request: (0040,A375)
  std::vector<InstanceReference> predecessors;
  bool preliminary = true;
};

[[nodiscard]] std::string sop_class_uid(SrSopClass sop_class);

/// Build the data set of a structured report from its content tree through DCMTK's DSRDocumentTree, which checks every
/// relationship against the SOP class; any refusal ends the object. UIDs and dates are DCMTK's own: stamp() follows.
/// Errors: internal.
[[nodiscard]] Result<std::unique_ptr<DcmDataset>> build_sr_dataset(const ContentItem& root, const SrDocumentHeader& header);

}  // namespace choana::reporting
