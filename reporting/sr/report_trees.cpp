#include "reporting/sr/report_trees.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <span>
#include <set>

#include "core/unique_identifier.h"
#include "core/version.h"
#include "reporting/feature_codes.h"
#include "reporting/image_transform.h"
#include "reporting/sr/codes.h"
#include "reporting/sr/report_texts.h"

namespace choana::reporting {
namespace {

constexpr const char* segmentation_storage = "1.2.840.10008.5.1.4.1.1.66.4";
constexpr const char* secondary_capture_storage = "1.2.840.10008.5.1.4.1.1.7";
/// Graphic Data is FL in explicit VR: at most 65534 bytes.
constexpr std::size_t polyline_points_max = 8000;

std::string software_version(const ReportPlan& plan) { return plan.settings->software_version.empty() ? version : plan.settings->software_version; }

Unit millimetres() { return {"mm", "millimeter"}; }

/// Root and its context. TID 1500 rows 1 to 4, TID 1204, TID 1001/1002/1004.
ContentItem report_root(const ReportPlan& plan, const CodedConcept& title, const CodedConcept& procedure) {
  ContentItem root{Relation::contains, title, ContainerValue{"1500"}, {}};
  const CodedConcept language = plan.settings->language == "zh" ? CodedConcept{"zh-CN", "RFC5646", "Chinese (China)"}
                                                                 : CodedConcept{"en-US", "RFC5646", "English (United States)"};
  const std::string& serial = plan.settings->device_serial;
  root.add(Relation::has_concept_modifier, codes::language, language);
  root.add(Relation::has_observation_context, codes::observer_type, codes::device);
  root.add(Relation::has_observation_context, codes::device_observer_uid, UidValue{derive_uid("device-observer", serial)});
  root.add(Relation::has_observation_context, codes::device_observer_name, TextValue{plan.settings->ae_title.empty() ? "CHOANA" : plan.settings->ae_title});
  root.add(Relation::has_observation_context, codes::device_observer_manufacturer, TextValue{manufacturer});
  root.add(Relation::has_observation_context, codes::device_observer_model_name, TextValue{product_name});
  root.add(Relation::has_observation_context, codes::device_observer_serial_number, TextValue{serial.empty() ? "1" : serial});
  root.add(Relation::has_concept_modifier, codes::procedure_reported, procedure);
  return root;
}

/// TID 1500 rows 12 to 14: what is complete without the rest.
ContentItem& add_summary(ContentItem& root, const ReportPlan& plan, const std::string& narrative, const std::string& comment,
                         const std::vector<PredecessorObject>& replaced) {
  ContentItem& container = root.contains(codes::qualitative_evaluations, ContainerValue{});
  container.contains(codes::narrative_summary, TextValue{narrative});
  container.contains(codes::comment, TextValue{comment});
  if (!replaced.empty()) {
    std::string text = ReportTexts(plan.settings->language).replaces(replaced.size(), plan.run->revision);
    for (const PredecessorObject& each : replaced) text += "\n" + each.kind + " " + each.sop_instance_uid;
    container.contains(codes::replaced_result, TextValue{text});
  }
  return container;
}

/// What degraded the result, for the role and region concerned ("" concerns all).
void add_limitations(ContentItem& container, const ReportPlan& plan, const std::string& role) {
  for (const StudyIssue& issue : plan.findings->issues) {
    if (issue.text.empty() || (!role.empty() && !issue.role.empty() && issue.role != role)) continue;
    // The narrative says it already.
    if (!plan.findings->reason.message.empty() && issue.text.find(plan.findings->reason.message) != std::string::npos) continue;
    std::string text = issue.text;
    if (!issue.roi.empty()) text = issue.roi + ": " + text;
    if (!issue.role.empty()) text = issue.role + ", " + text;
    container.contains(codes::limitation, TextValue{text});
  }
}

ImageValue image_value(const SliceReference& slice) { return {slice.sop_class_uid, slice.sop_instance_uid, slice.frame_number, 0}; }

/// Slice that shows the largest region best.
int representative_slice(const ReportedSeries& series) {
  const auto largest = std::max_element(series.regions.begin(), series.regions.end(),
                                        [](const ReportedRegion& a, const ReportedRegion& b) { return a.roi->voxels() < b.roi->voxels(); });
  return largest == series.regions.end() ? 0 : largest->roi->largest_slice();
}

/// TID 1600 row 2 with TID 1602 and 1604. Every IMAGE has a concept name: OHIF's text view fails on one without.
/// shown: slices to list; empty: the one that shows the largest region best, or all if the settings say so.
void add_image_library_group(ContentItem& library, const ReportPlan& plan, const ReportedSeries& series, const std::set<int>& shown = {}) {
  const SeriesVolume& volume = series.measured->volume;
  const VolumeGeometry& grid = volume.geometry();
  const AcquisitionFacts& facts = volume.acquisition();
  ContentItem& group = library.contains(codes::image_library_group, ContainerValue{});
  const Relation context = Relation::has_acquisition_context;
  group.add(context, codes::modality, codes::magnetic_resonance);
  // An extension of TID 1602; the key slice does without, so that nothing there is outside the templates.
  if (shown.empty()) group.add(context, codes::series_instance_uid, UidValue{volume.reference().series_instance_uid});
  if (!grid.frame_of_reference_uid().empty()) group.add(context, codes::frame_of_reference_uid, UidValue{grid.frame_of_reference_uid()});
  if (facts.acquisition_date.size() == 8) group.add(context, codes::acquisition_date, DateValue{facts.acquisition_date});
  if (facts.acquisition_date.size() == 8 && facts.acquisition_time.size() >= 6) group.add(context, codes::acquisition_time, TimeValue{facts.acquisition_time});
  group.add(context, codes::pixel_data_rows, NumberValue{static_cast<double>(grid.size()[1]), {"{pixels}", "pixels"}});
  group.add(context, codes::pixel_data_columns, NumberValue{static_cast<double>(grid.size()[0]), {"{pixels}", "pixels"}});
  group.add(context, codes::horizontal_pixel_spacing, NumberValue{grid.spacing_mm()[0], millimetres()});
  group.add(context, codes::vertical_pixel_spacing, NumberValue{grid.spacing_mm()[1], millimetres()});
  group.add(context, codes::spacing_between_slices, NumberValue{grid.spacing_mm()[2], millimetres()});
  if (facts.slice_thickness_mm) group.add(context, codes::slice_thickness, NumberValue{*facts.slice_thickness_mm, millimetres()});
  const auto& slices = volume.reference().slices;
  std::set<int> listed = shown.empty() ? std::set<int>{representative_slice(series)} : shown;
  if (plan.settings->full_image_library)
    for (std::size_t k = 0; k < slices.size(); ++k) listed.insert(static_cast<int>(k));
  for (const int k : listed)
    if (static_cast<std::size_t>(k) < slices.size()) group.contains(codes::source_of_measurement, image_value(slices[static_cast<std::size_t>(k)]));
}

/// TID 4019.
void add_algorithm(ContentItem& parent, const std::string& name, const std::string& algorithm_version, const std::vector<std::string>& parameters,
                   const std::string& made_by = {}) {
  const Relation modifier = Relation::has_concept_modifier;
  parent.add(modifier, codes::algorithm_name, TextValue{name});
  parent.add(modifier, codes::algorithm_version, TextValue{algorithm_version.empty() ? "0" : algorithm_version});
  if (!made_by.empty()) parent.add(modifier, codes::algorithm_manufacturer, TextValue{made_by});
  for (const std::string& text : parameters)
    if (!text.empty()) parent.add(modifier, codes::algorithm_parameters, TextValue{text});
}

void add_tracking(ContentItem& group, const std::string& identifier, const std::string& uid) {
  group.add(Relation::has_observation_context, codes::tracking_identifier, TextValue{identifier});
  group.add(Relation::has_observation_context, codes::tracking_unique_identifier, UidValue{uid});
}

void add_site(ContentItem& group, const RegionCodes& region) {
  if (region.site.empty()) return;
  ContentItem& site = group.add(Relation::has_concept_modifier, codes::finding_site, region.site);
  if (!region.laterality.empty()) site.add(Relation::has_concept_modifier, codes::laterality, region.laterality);
}

/// What makes a NUM of a filtered image complete on its own (spec/sr.md 6.3). TID 1419 rows 6 and 13, TID 300 rows 2 and 9.
void add_transform_modifiers(ContentItem& number, const ImageTransform& transform) {
  if (transform.original()) return;
  const Relation modifier = Relation::has_concept_modifier;
  number.add(modifier, codes::image_filter, transform.filter);
  if (!transform.sub_band.empty()) number.add(modifier, codes::sub_band, transform.sub_band);
  if (!transform.map.empty()) number.add(modifier, codes::lbp_map, transform.map);
  if (transform.log_sigma_mm) number.add(Relation::inferred_from, codes::log_sigma, NumberValue{*transform.log_sigma_mm, millimetres()});
  if (transform.wavelet_level > 1) number.add(Relation::inferred_from, codes::wavelet_level, NumberValue{static_cast<double>(transform.wavelet_level), {}});
}

/// Features of one measurement by image type, in order of first appearance.
std::vector<std::pair<std::string, std::vector<const FeatureValue*>>> by_image_type(const FeatureVector& features) {
  std::vector<std::pair<std::string, std::vector<const FeatureValue*>>> types;
  std::map<std::string, std::size_t> position;
  for (const FeatureValue& value : features.values()) {
    const auto [known, added] = position.emplace(value.id.image, types.size());
    if (added) types.emplace_back(value.id.image, std::vector<const FeatureValue*>{});
    types[known->second].second.push_back(&value);
  }
  return types;
}

/// What a habitat is beside its features: how much of the lesion, and what it looks like.
void add_habitat(ContentItem& group, const Habitat& habitat) {
  std::string means;
  for (const auto& [feature, mean] : habitat.means) means += (means.empty() ? "" : "\n") + feature + " " + decimal_string(mean);
  if (!means.empty()) group.contains(codes::habitat_mean, TextValue{means});
  group.contains(codes::volume_fraction, NumberValue{100 * habitat.fraction, {"%", "Percent"}});
  group.contains(codes::volume, NumberValue{habitat.region.volume_ml(), {"cm3", "cubic centimeter"}});
}

/// TID 1411 of a habitat that was too small to be measured.
void add_unmeasured_habitat(ContentItem& measurements, const ReportedSeries& series, const ReportedRegion& region) {
  ContentItem& group = measurements.contains(codes::measurement_group, ContainerValue{"1411"});
  add_tracking(group, region.tracking_id, region.tracking_uid);
  if (!region.codes.finding.empty()) group.contains(codes::finding, region.codes.finding);
  group.contains(codes::referenced_segment, ImageValue{segmentation_storage, region.segment.sop_instance_uid, 0, region.segment.segment_number});
  group.contains(codes::source_series_for_segmentation, UidValue{series.measured->volume.reference().series_instance_uid});
  add_site(group, region.codes);
  group.contains(codes::sequence_role, role_code(series.measured->role));
  add_habitat(group, *region.habitat);
}

double diameter_mm(const ReportedRegion& region) {
  for (const Measurement* measurement : region.measurements)
    if (const auto diameter = measurement->features.number({"original", "shape", "Maximum3DDiameter"})) return *diameter;
  return 0;
}

/// TID 1411, one region on one image type.
void add_feature_group(ContentItem& measurements, const ReportPlan& plan, const ReportedSeries& series, const ReportedRegion& region,
                       const Measurement& measurement, const std::string& image, const std::vector<const FeatureValue*>& values,
                       const std::vector<PageReference>& pages) {
  const ImageTransform transform = image_transform(image);
  ContentItem& group = measurements.contains(codes::measurement_group, ContainerValue{"1411"});
  std::string identifier = region.tracking_id;
  if (region.measurements.size() > 1 && !measurement.profile.empty()) identifier += ", " + measurement.profile;
  if (!transform.original()) identifier += ", " + transform.label;
  add_tracking(group, identifier, region.tracking_uid);
  if (!region.codes.finding.empty()) group.contains(codes::finding, region.codes.finding);
  group.contains(codes::referenced_segment, ImageValue{segmentation_storage, region.segment.sop_instance_uid, 0, region.segment.segment_number});
  group.contains(codes::source_series_for_segmentation, UidValue{series.measured->volume.reference().series_instance_uid});
  for (const PageReference& page : pages)
    if (transform.original() && page.illustrates(series.measured->volume.reference().series_instance_uid, region.roi->name()))
      group.contains(codes::illustration_of_roi, ImageValue{secondary_capture_storage, page.sop_instance_uid, 0, 0});
  add_site(group, region.codes);
  group.contains(codes::sequence_role, role_code(series.measured->role));
  if (!measurement.profile.empty()) group.contains(codes::extraction_profile, TextValue{measurement.profile});
  // Viewers do not print what hangs below a NUM: the group itself says which image it is about.
  if (!transform.original()) {
    group.contains(codes::image_filter, transform.filter);
    if (!transform.sub_band.empty()) group.contains(codes::sub_band, transform.sub_band);
    if (!transform.map.empty()) group.contains(codes::lbp_map, transform.map);
    if (transform.log_sigma_mm) group.contains(codes::log_sigma, NumberValue{*transform.log_sigma_mm, millimetres()});
    if (transform.wavelet_level > 1) group.contains(codes::wavelet_level, NumberValue{static_cast<double>(transform.wavelet_level), {}});
  } else {
    std::string ledger = ReportTexts(plan.settings->language).region_origin(*region.roi);
    for (const std::string& note : measurement.notes) ledger += "\n" + note;
    group.contains(codes::region_provenance, TextValue{ledger});
  }
  std::string omitted;
  for (const FeatureValue* value : values)
    if (!value->computed()) {
      const auto& why = std::get<NotComputed>(value->value);
      omitted += (omitted.empty() ? "" : "\n") + value->id.str() + ": " + why.reason + (why.text.empty() ? "" : " (" + why.text + ")");
    }
  if (!omitted.empty()) group.contains(codes::features_not_computed, TextValue{omitted});
  if (region.habitat != nullptr && transform.original()) add_habitat(group, *region.habitat);
  const bool raw = measured_raw_intensities(measurement, plan.findings->steps);
  for (const FeatureValue* value : values) {
    if (!value->computed()) continue;
    ContentItem& number = group.contains(feature_code(value->id).concept_name, NumberValue{value->number(), feature_unit(value->id, raw)});
    add_transform_modifiers(number, transform);
  }
}

std::string lower_first(const std::string& text) {
  // "Complete response" reads on in lower case; "EBV status" does not.
  if (text.size() < 2 || std::islower(static_cast<unsigned char>(text[1])) == 0) return text;
  std::string result = text;
  result[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(result[0])));
  return result;
}

/// Cut to what a Code Meaning holds, whole UTF-8 characters only.
std::string meaning(std::string text) {
  if (text.size() <= 64) return text;
  text.resize(64);
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80) text.pop_back();
  if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0x80) text.pop_back();
  return text;
}

std::string endpoint_code(const Prediction& prediction) {
  std::string code;
  for (const char c : prediction.endpoint.empty() ? prediction.output : prediction.endpoint) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && std::isalnum(byte) != 0 && code.size() < 11) code += static_cast<char>(std::toupper(byte));
  }
  return code.empty() ? "OUTPUT" : code;
}

std::string model_parameters(const Prediction& prediction) {
  std::string text = "package=" + prediction.package + "; status=" + prediction.status + "; output=" + prediction.output;
  if (!prediction.explanation.method.empty()) text += "; explanation=" + prediction.explanation.method + "; explanation_space=" + prediction.explanation.space;
  if (prediction.margin) text += "; margin=" + decimal_string(*prediction.margin);
  return text;
}

/// TID 1501, the prediction.
void add_prediction_group(ContentItem& measurements, const ReportPlan& plan, const Prediction& prediction, const CodedConcept& site) {
  const ReportTexts texts(plan.settings->language);
  const std::string endpoint = prediction.output.empty() ? endpoint_code(prediction) : prediction.output;
  const Unit unit = unit_of(prediction.unit);
  ContentItem& group = measurements.contains(codes::measurement_group, ContainerValue{"1501"});
  add_tracking(group, "Prediction: " + endpoint, derive_uid("tracking/prediction", plan.findings->study_instance_uid + "|" + prediction.package + "|" + prediction.output));
  if (!site.empty()) group.add(Relation::has_concept_modifier, codes::finding_site, site);
  ContentItem& value = group.contains(prediction_code(prediction), NumberValue{prediction.value, unit});
  value.add(Relation::has_concept_modifier, codes::derivation, codes::estimated);
  for (const Contribution& input : prediction.explanation.contributions) {
    if (!std::isfinite(input.value)) continue;
    const ModelInput parsed = model_input(input.feature);
    ContentItem& number = value.add(Relation::inferred_from, input_code(input.feature, input.label), NumberValue{input.value, unit_of(input.unit)});
    if (!parsed.role.empty()) number.add(Relation::has_concept_modifier, codes::sequence_role, role_code(parsed.role));
    if (parsed.feature) add_transform_modifiers(number, image_transform(parsed.feature->image));
  }
  add_algorithm(value, prediction.title.empty() ? prediction.package : prediction.title, prediction.version, {model_parameters(prediction)});
  // The spread under perturbed regions is no confidence interval of the model and has codes of its own.
  if (prediction.interval_low) group.contains(prediction.robustness ? codes::robust_low : codes::interval_low, NumberValue{*prediction.interval_low, unit});
  if (prediction.interval_high) group.contains(prediction.robustness ? codes::robust_high : codes::interval_high, NumberValue{*prediction.interval_high, unit});
  if (prediction.threshold) group.contains(codes::threshold_value, NumberValue{*prediction.threshold, unit});
  const std::map<std::string, CodedConcept> risks{{"high", codes::high_risk}, {"moderate", codes::moderate_risk}, {"low", codes::low_risk}};
  if (const auto risk = risks.find(prediction.risk); risk != risks.end()) group.contains(codes::risk_group, risk->second);
  if (!prediction.group.empty()) group.contains(codes::predicted_group, TextValue{prediction.group});
  if (!prediction.performance.empty()) group.contains(codes::model_performance, TextValue{prediction.performance});
  if (prediction.survival_curve) group.contains(codes::survival_function, TextValue{texts.survival(*prediction.survival_curve)});
  if (prediction.robustness) group.contains(codes::robust_note, TextValue{texts.robustness(prediction)});
  group.contains(codes::applicability, TextValue{texts.applicability(prediction.applicability)});
  if (!prediction.intended_use.empty()) group.contains(codes::intended_use, TextValue{prediction.intended_use});
}

/// TID 1501, the explanation. The table stands before the numbers: it is what a reader sees.
void add_explanation_group(ContentItem& measurements, const ReportPlan& plan, const Prediction& prediction, const std::vector<PageReference>& pages) {
  const Explanation& explanation = prediction.explanation;
  if (explanation.contributions.empty()) return;
  const ReportTexts texts(plan.settings->language);
  const std::string endpoint = prediction.output.empty() ? endpoint_code(prediction) : prediction.output;
  ContentItem& group = measurements.contains(codes::measurement_group, ContainerValue{"1501"});
  add_tracking(group, "Explanation: " + endpoint, derive_uid("tracking/explanation", plan.findings->study_instance_uid + "|" + prediction.package + "|" + prediction.output));
  for (const PageReference& page : pages)
    if (!page.explains.empty() && (page.explains == prediction.endpoint || page.explains == prediction.output))
      group.contains(codes::visual_explanation, ImageValue{secondary_capture_storage, page.sop_instance_uid, 0, 0});
  const auto order = strongest_contributions(explanation, contributions_max);
  group.contains(codes::shap_table, TextValue{texts.explanation_note(explanation) + "\n" + texts.contribution_table(explanation, order)});
  group.contains(codes::shap_base, NumberValue{explanation.base, {}});
  double written = 0;
  for (const std::size_t n : order) {
    const Contribution& each = explanation.contributions[n];
    const ModelInput parsed = model_input(each.feature);
    ContentItem& number = group.contains(codes::shap, NumberValue{each.contribution, {}});
    number.add(Relation::has_concept_modifier, codes::shap_feature, input_code(each.feature, each.label));
    if (!parsed.role.empty()) number.add(Relation::has_concept_modifier, codes::sequence_role, role_code(parsed.role));
    if (parsed.feature) add_transform_modifiers(number, image_transform(parsed.feature->image));
    number.add(Relation::has_concept_modifier, codes::equivalent_meaning, TextValue{"SHAP contribution of " + (each.label.empty() ? each.feature : each.label)});
    written += each.contribution;
  }
  double all = 0;
  for (const Contribution& each : explanation.contributions) all += each.contribution;
  group.contains(codes::shap_rest, NumberValue{order.size() == explanation.contributions.size() ? 0 : all - written, {}});
  group.contains(codes::shap_sum, NumberValue{explanation.output, {}});
}

CodedConcept procedure_of(const ReportPlan& plan) {
  const StudyFindings& findings = *plan.findings;
  const bool magnetic_resonance = !findings.measured.empty() || std::any_of(findings.inputs.begin(), findings.inputs.end(), [](const InputObject& each) { return each.modality == "MR"; });
  return magnetic_resonance ? codes::mri_unspecified_body_region : codes::imaging_procedure;
}

std::string leading_status(const ReportPlan& plan) {
  // The weakest of all models speaks for the report.
  std::string status = plan.research ? "research" : "clinical";
  for (const Prediction& prediction : plan.findings->predictions)
    if (prediction.status == "demonstration") status = prediction.status;
  return status;
}

}  // namespace

CodedConcept prediction_code(const Prediction& prediction) {
  const bool probability = prediction.unit == "%";
  const std::string output = prediction.output.empty() ? endpoint_code(prediction) : lower_first(prediction.output);
  return {(probability ? "PROB_" : "VAL_") + endpoint_code(prediction), codes::private_scheme,
          meaning((probability ? "Predicted probability of " : "Predicted ") + output)};
}

ContentItem radiomics_report(const ReportPlan& plan, const ReportedSeries& series, const PlannedSegmentation& segmentation,
                             const std::vector<PageReference>& pages, const std::vector<PredecessorObject>& replaced) {
  const ReportTexts texts(plan.settings->language);
  std::vector<RegionSummary> summaries;
  std::vector<std::string> parameters;
  std::string profile;
  for (const std::size_t n : segmentation.regions) {
    const ReportedRegion& region = series.regions[n];
    if (!region.reported()) continue;
    RegionSummary summary;
    summary.name = region.tracking_id;
    summary.volume_ml = region.roi->volume_ml();
    summary.diameter_mm = diameter_mm(region);
    for (const Measurement* measurement : region.measurements) {
      for (const FeatureValue& value : measurement->features.values()) ++(value.computed() ? summary.features : summary.not_computed);
      if (std::find(parameters.begin(), parameters.end(), measurement->parameters) == parameters.end()) parameters.push_back(measurement->parameters);
      profile = measurement->profile;
    }
    summaries.push_back(std::move(summary));
  }

  ContentItem root = report_root(plan, codes::oncology_measurement_report, codes::mri_unspecified_body_region);
  ContentItem& summary = add_summary(root, plan, texts.radiomics_narrative(series.label, series.measured->volume.reference(), profile, summaries),
                                     texts.use_comment(plan.research ? "research" : "clinical"), replaced);
  add_limitations(summary, plan, series.measured->role);
  if (segmentation.habitats != nullptr) {
    std::string text = segmentation.habitats->method + ".";
    for (const auto& [k, bic] : segmentation.habitats->criterion) text += "\nBIC of " + std::to_string(k) + ": " + decimal_string(bic);
    for (const Habitat& habitat : segmentation.habitats->habitats)
      text += "\n" + habitat.region.name() + ": " + decimal_string(std::round(1e5 * habitat.fraction) / 1e3) + " %, " + decimal_string(std::round(1e4 * habitat.region.volume_ml()) / 1e4) + " cm3";
    summary.contains(codes::habitat_method, TextValue{text});
    parameters.push_back(segmentation.habitats->scheme);
  }
  ContentItem& measurements = root.contains(codes::imaging_measurements, ContainerValue{});
  add_algorithm(measurements, "Choana radiomics", software_version(plan), parameters, manufacturer);
  for (const std::size_t n : segmentation.regions)
    if (series.regions[n].habitat != nullptr && series.regions[n].measurements.empty()) add_unmeasured_habitat(measurements, series, series.regions[n]);
  for (const std::size_t n : segmentation.regions)
    for (const Measurement* measurement : series.regions[n].measurements)
      for (const auto& [image, values] : by_image_type(measurement->features))
        add_feature_group(measurements, plan, series, series.regions[n], *measurement, image, values, pages);
  add_image_library_group(root.contains(codes::image_library, ContainerValue{}), plan, series);
  return root;
}

ContentItem prediction_report(const ReportPlan& plan, const std::vector<PageReference>& pages, const std::vector<PredecessorObject>& replaced) {
  const ReportTexts texts(plan.settings->language);
  CodedConcept site;
  for (const ReportedSeries& series : plan.series)
    for (const ReportedRegion& region : series.regions)
      if (site.empty() || region.codes.finding == codes::gtv_primary) site = region.codes.site.empty() ? site : region.codes.site;

  ContentItem root = report_root(plan, codes::oncology_measurement_report, procedure_of(plan));
  ContentItem& summary = add_summary(root, plan, texts.prediction_narrative(plan.findings->predictions), texts.use_comment(leading_status(plan)), replaced);
  add_limitations(summary, plan, {});
  ContentItem& measurements = root.contains(codes::imaging_measurements, ContainerValue{});
  for (const Prediction& prediction : plan.findings->predictions) {
    add_prediction_group(measurements, plan, prediction, site);
    add_explanation_group(measurements, plan, prediction, pages);
  }
  if (!plan.series.empty()) {
    ContentItem& library = root.contains(codes::image_library, ContainerValue{});
    for (const ReportedSeries& series : plan.series) add_image_library_group(library, plan, series);
  }
  return root;
}

ContentItem key_slice_report(const ReportPlan& plan, const std::function<int(const SliceReference&)>& instance_number) {
  const ReportTexts texts(plan.settings->language);
  // Each drawn region once, on the series on which it is read: contrast-enhanced T1 before others.
  std::vector<const ReportedSeries*> preferred;
  for (const ReportedSeries& series : plan.series) preferred.push_back(&series);
  std::stable_sort(preferred.begin(), preferred.end(), [](const ReportedSeries* a, const ReportedSeries* b) {
    return a->measured->role.starts_with("T1C") && !b->measured->role.starts_with("T1C");
  });

  std::set<std::string> shown;
  std::vector<std::string> lines;
  std::vector<std::pair<const ReportedSeries*, std::set<int>>> used;
  ContentItem measurements{Relation::contains, codes::imaging_measurements, ContainerValue{}, {}};
  bool headline_written = false;
  for (const ReportedSeries* series : preferred) {
    for (const ReportedRegion& region : series->regions) {
      if (region.habitat != nullptr || shown.contains(region.tracking_uid)) continue;
      const VolumeGeometry& grid = region.roi->geometry();
      const int k = region.roi->largest_slice();
      const auto& slices = series->measured->volume.reference().slices;
      if (static_cast<std::size_t>(k) >= slices.size()) continue;
      const auto pixels = static_cast<std::size_t>(grid.size()[0]) * static_cast<std::size_t>(grid.size()[1]);
      const auto outlines = trace_outlines(std::span(region.roi->mask()).subspan(static_cast<std::size_t>(k) * pixels, pixels), grid.size()[0], grid.size()[1]);
      const auto largest = std::max_element(outlines.begin(), outlines.end(), [](const Outline& a, const Outline& b) { return signed_area(a) < signed_area(b); });
      if (largest == outlines.end() || largest->size() > polyline_points_max) continue;

      const SliceReference& slice = slices[static_cast<std::size_t>(k)];
      ContentItem& group = measurements.contains(codes::measurement_group, ContainerValue{"1410"});
      add_tracking(group, region.tracking_id + " largest slice", derive_uid("tracking/key-slice", region.tracking_uid));
      if (!region.codes.finding.empty()) group.contains(codes::finding, region.codes.finding);
      ContentItem& outline = group.contains(codes::image_region, PolylineValue{*largest});
      outline.add(Relation::selected_from, {}, image_value(slice));
      add_site(group, region.codes);
      group.contains(codes::volume, NumberValue{region.roi->volume_ml(), {"cm3", "cubic centimeter"}});
      const double diameter = diameter_mm(region);
      if (diameter > 0) group.contains(feature_code({"original", "shape", "Maximum3DDiameter"}).concept_name, NumberValue{diameter, millimetres()});
      if (!headline_written && !plan.findings->predictions.empty()) {
        const Prediction& headline = plan.findings->predictions.front();
        group.contains(prediction_code(headline), NumberValue{headline.value, unit_of(headline.unit)});
        headline_written = true;
      }
      shown.insert(region.tracking_uid);
      const std::string image = texts.image_number(slice.frame_number > 0 ? 0 : instance_number(slice), slice.frame_number);
      lines.push_back(texts.key_slice_line(region.tracking_id, series->label, image, region.roi->volume_ml(), diameter));
      if (used.empty() || used.back().first != series) used.emplace_back(series, std::set<int>{});
      used.back().second.insert(k);
    }
  }

  ContentItem root = report_root(plan, codes::imaging_measurement_report, codes::mri_unspecified_body_region);
  std::string narrative = texts.key_slice_narrative(lines);
  for (const Prediction& prediction : plan.findings->predictions) narrative += "\n" + texts.headline(prediction) + (texts.chinese() ? "。" : ".");
  add_summary(root, plan, narrative, texts.use_comment(leading_status(plan)), {});
  root.children.push_back(std::move(measurements));
  if (!used.empty()) {
    ContentItem& library = root.contains(codes::image_library, ContainerValue{});
    for (const auto& [series, slices] : used) add_image_library_group(library, plan, *series, slices);
  }
  return root;
}

ContentItem not_analysed_report(const ReportPlan& plan, const std::vector<PredecessorObject>& replaced) {
  const ReportTexts texts(plan.settings->language);
  const Error& reason = plan.findings->reason;
  std::string value;
  for (const char c : to_string(reason.code)) value += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string words(to_string(reason.code));
  std::replace(words.begin(), words.end(), '_', ' ');
  words[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(words[0])));
  if (words.starts_with("Roi ")) words.replace(0, 3, "ROI");
  if (words == "Not dicom") words = "Not DICOM";
  // Longer names than a Code Value holds are cut; they stay distinct.
  const CodedConcept code{value.substr(0, 16), codes::private_scheme, meaning(words)};

  ContentItem root = report_root(plan, codes::oncology_measurement_report, procedure_of(plan));
  ContentItem& summary = add_summary(root, plan, texts.not_analysed_narrative(reason), texts.next_step(), replaced);
  summary.contains(codes::not_analysed_reason, code);
  add_limitations(summary, plan, {});
  for (const SeriesDecision& decision : plan.findings->series) {
    // The whole story of every rule is for `choana why`; here what was taken for what, and why the rest was not.
    std::string text = std::to_string(decision.series_number) + " " + decision.description + ": " + (decision.role.empty() ? texts.not_used() : decision.role);
    for (std::size_t n = 0; decision.role.empty() && n < std::min<std::size_t>(decision.reasons.size(), 2); ++n) text += "; " + decision.reasons[n];
    summary.contains(codes::ours("SERIES_NOTE", "Series received and its role"), TextValue{text});
  }
  // Readers look for this container and for a group in it: the outcome stands there once more.
  ContentItem& measurements = root.contains(codes::imaging_measurements, ContainerValue{});
  ContentItem& group = measurements.contains(codes::measurement_group, ContainerValue{"1501"});
  add_tracking(group, "Outcome of the analysis", derive_uid("tracking/outcome", plan.findings->study_instance_uid));
  group.contains(codes::not_analysed_reason, code);
  return root;
}

bool has_measurement_groups(const ContentItem& root) {
  return std::any_of(root.children.begin(), root.children.end(), [](const ContentItem& container) {
    return container.name == codes::imaging_measurements &&
           std::any_of(container.children.begin(), container.children.end(), [](const ContentItem& item) { return item.name == codes::measurement_group; });
  });
}

}  // namespace choana::reporting
