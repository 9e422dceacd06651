#pragma once

#include <memory>
#include <string>
#include <vector>

#include "processing/roles/series_roles.h"
#include "scp/study_assembler.h"

namespace choana::node {

/// What one enabled package needs before a study is worth analysing.
struct ReadinessNeed {
  std::string package;
  std::vector<std::vector<std::string>> roles;  // one list of accepted roles for each required sequence
};

/// The evidence of DESIGN 5: all required roles of some package are here, and the region, and every image the region
/// refers to (where its references are sane: at least one of them is here). Without packages a region and the images it
/// refers to suffice, after the quiet period. Judged from what the scanner saw, so no data set is parsed for it.
scp::Readiness judge_readiness(const scp::StudySnapshot& study, const std::vector<ReadinessNeed>& needs, const processing::SeriesRules& rules);

}  // namespace choana::node
