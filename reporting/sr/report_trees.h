#pragma once

#include <functional>
#include <string>
#include <vector>

#include "reporting/report_plan.h"
#include "reporting/sr/content_item.h"

namespace choana::reporting {

/// A Secondary Capture page that reports point at.
struct PageReference {
  std::string sop_instance_uid;
  std::string series_instance_uid;
  std::string source_series_uid;
  std::string roi;
  std::string explains;             // endpoint

  /// Does the page show this region on this series? A page without a region shows all of its series.
  [[nodiscard]] bool illustrates(const std::string& series_uid, const std::string& region) const {
    return !series_uid.empty() && source_series_uid == series_uid && explains.empty() && (roi.empty() || roi == region);
  }
};

/// How many contributions are written as numbers; the rest is one sum.
inline constexpr std::size_t contributions_max = 10;

/// SR-R, all features of the regions of one segmentation on one series: one TID 1411 group per region and image type
/// (spec/sr.md 4.2, 6.3). replaced: objects of an earlier result to name, if this is the leading document.
[[nodiscard]] ContentItem radiomics_report(const ReportPlan& plan, const ReportedSeries& series, const PlannedSegmentation& segmentation,
                                           const std::vector<PageReference>& pages, const std::vector<PredecessorObject>& replaced);

/// SR-X, predictions and their explanations: two TID 1501 groups a prediction (spec/sr.md 4.3).
[[nodiscard]] ContentItem prediction_report(const ReportPlan& plan, const std::vector<PageReference>& pages, const std::vector<PredecessorObject>& replaced);

/// SR-K, the slice on which each region is largest, with its outline: TID 1410 groups (spec/sr.md 4.4). A tree without
/// measurement groups is not worth writing: see has_measurement_groups. instance_number: of a single-frame slice, as
/// viewers show it.
[[nodiscard]] ContentItem key_slice_report(const ReportPlan& plan, const std::function<int(const SliceReference&)>& instance_number);

/// The short report of a study that was not analysed: reason as a code and a sentence, one TID 1501 group.
[[nodiscard]] ContentItem not_analysed_report(const ReportPlan& plan, const std::vector<PredecessorObject>& replaced);

[[nodiscard]] bool has_measurement_groups(const ContentItem& root);

/// (PROB_<EP>, 99CHOANA, "Predicted probability of ...") of a prediction in percent, else (VAL_<EP>, ..., "Predicted ...").
[[nodiscard]] CodedConcept prediction_code(const Prediction& prediction);

}  // namespace choana::reporting
