#pragma once

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <memory>

#include "core/result.h"
#include "reporting/report_writer.h"

namespace choana::reporting {

/// Build the data set of one chart page as a Secondary Capture: RGB, no geometry, nothing that names the patient.
/// stamp() and the patient's attributes follow.
/// Errors: invalid_argument when the pixels do not fill the page.  Source: PS3.3 A.8.1; spec/sr.md 7.3.
[[nodiscard]] Result<std::unique_ptr<DcmDataset>> build_secondary_capture(const ChartPage& page, const RunIdentity& run, bool research,
                                                                          const std::string& body_part_term);

}  // namespace choana::reporting
