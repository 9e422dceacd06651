#include "processing/prediction/learners/learner.h"

#include <algorithm>
#include <cmath>

namespace choana::processing {

std::vector<double> StandardScaler::apply(const std::vector<double>& row) const {
  std::vector<double> scaled(row.size());
  for (std::size_t i = 0; i < row.size(); ++i) scaled[i] = (row[i] - mean[i]) / scale[i];
  return scaled;
}

namespace {

// One row that was scaled and is complete where it must be.
Result<LearnerScore> score_of(const LinearModel& model, const std::vector<double>& row) {
  std::vector<double> margins = linear_margins(model, row);
  return LearnerScore{margins, apply_link(model.link, margins, model.link_detail)};
}

Result<LearnerScore> score_of(const TreeEnsemble& model, const std::vector<double>& row) {
  auto margins = tree_margins(model, row);
  if (!margins) return fail(margins.error());
  return LearnerScore{*margins, apply_link(model.link, *margins, model.link_detail)};
}

Result<LearnerScore> score_of(const SupportVectorMachine& model, const std::vector<double>& row) {
  const double decision = svm_decision(model, row);
  return LearnerScore{{decision}, {svm_value(model, decision)}};
}

Result<LearnerScore> score_of(const GaussianNaiveBayes& model, const std::vector<double>& row) {
  std::vector<double> logs = joint_log_likelihoods(model, row);
  std::vector<double> shares = apply_link(Link::softmax, logs);
  if (logs.size() == 2) return LearnerScore{{logs[1] - logs[0]}, {shares[1]}};
  return LearnerScore{std::move(logs), std::move(shares)};
}

Result<LearnerScore> score_of(const MultilayerPerceptron& model, const std::vector<double>& row) {
  std::vector<double> margins = network_margins(model, row);
  return LearnerScore{margins, apply_link(model.output, margins)};
}

Result<LearnerScore> score_of(const CalibratedModel& model, const std::vector<double>& row) {
  const auto probability = calibrated_probability(model, row);
  if (!probability) return fail(probability.error());
  // Isotonic calibration reaches 0 and 1, whose log-odds are infinite; 37 is where double's 1 / (1 + exp(-m)) ends.
  const double margin = std::log(*probability) - std::log1p(-*probability);
  return LearnerScore{{std::isnan(margin) ? margin : std::clamp(margin, -37.0, 37.0)}, {*probability}};
}

Result<LearnerScore> score_of(const NearestNeighbours& model, const std::vector<double>& row) {
  std::vector<double> shares = class_shares(model, row);
  if (shares.size() == 2) shares.erase(shares.begin());
  return LearnerScore{shares, shares};
}

Result<LearnerScore> score_of(const GaussianProcess& model, const std::vector<double>& row) {
  return LearnerScore{{latent_mean(model, row)}, {process_probability(model, row)}};
}

Result<LearnerScore> score_of(const CoxModel& model, const std::vector<double>& row) {
  const double value = log_hazard(model, row);
  return LearnerScore{{value}, {value}};
}

Result<LearnerScore> score_of(const ScoreCalibration& model, const std::vector<double>& row) {
  const double margin = model.calibrator.isotonic ? row[0] : -(model.calibrator.a * row[0] + model.calibrator.b);
  return LearnerScore{{margin}, {calibrate(model.calibrator, row[0])}};
}

Result<LearnerScore> score_of(const OnnxModel& model, const std::vector<double>& row) {
  auto rows = model.score({row});
  if (!rows) return fail(rows.error());
  return LearnerScore{std::move(rows->margins.front()), std::move(rows->values.front())};
}

bool deals_with_missing(const Learner& learner) {
  if (std::holds_alternative<TreeEnsemble>(learner.model)) return true;
  if (const auto* linear = std::get_if<LinearModel>(&learner.model)) return linear->skips_missing;
  if (const auto* graph = std::get_if<OnnxModel>(&learner.model)) return graph->takes_missing();
  const auto* calibrated = std::get_if<CalibratedModel>(&learner.model);
  return calibrated != nullptr && std::all_of(calibrated->members.begin(), calibrated->members.end(), [](const auto& member) {
           return std::holds_alternative<TreeEnsemble>(member.base);
         });
}

}  // namespace

std::string_view Learner::kind() const {
  static constexpr std::string_view names[]{"linear", "tree_ensemble", "svm", "gaussian_nb", "mlp", "calibrated", "knn", "gp_laplace", "cox", "calibration", "onnx"};
  return names[model.index()];
}

Link Learner::link() const {
  struct {
    Link operator()(const LinearModel& m) const { return m.link; }
    Link operator()(const TreeEnsemble& m) const { return m.link; }
    Link operator()(const SupportVectorMachine& m) const {
      return m.probability == SupportVectorMachine::Probability::none ? Link::identity : Link::logistic;
    }
    Link operator()(const GaussianNaiveBayes& m) const { return m.priors.size() == 2 ? Link::logistic : Link::softmax; }
    Link operator()(const MultilayerPerceptron& m) const { return m.output; }
    Link operator()(const CalibratedModel&) const { return Link::logistic; }
    Link operator()(const NearestNeighbours&) const { return Link::own; }
    Link operator()(const GaussianProcess&) const { return Link::own; }
    Link operator()(const CoxModel&) const { return Link::identity; }
    Link operator()(const OnnxModel& m) const { return m.link(); }
    Link operator()(const ScoreCalibration& m) const { return m.calibrator.isotonic ? Link::own : Link::logistic; }
  } link_of;
  return std::visit(link_of, model);
}

std::size_t Learner::outputs() const {
  struct {
    std::size_t operator()(const LinearModel& m) const { return m.intercepts.size(); }
    std::size_t operator()(const TreeEnsemble& m) const { return m.base.size(); }
    std::size_t operator()(const SupportVectorMachine&) const { return 1; }
    std::size_t operator()(const GaussianNaiveBayes& m) const { return m.priors.size() == 2 ? 1 : m.priors.size(); }
    std::size_t operator()(const MultilayerPerceptron& m) const { return m.intercepts.back().size(); }
    std::size_t operator()(const CalibratedModel&) const { return 1; }
    std::size_t operator()(const NearestNeighbours& m) const { return m.classes == 2 ? 1 : m.classes; }
    std::size_t operator()(const GaussianProcess&) const { return 1; }
    std::size_t operator()(const CoxModel&) const { return 1; }
    std::size_t operator()(const ScoreCalibration&) const { return 1; }
    std::size_t operator()(const OnnxModel& m) const { return m.outputs(); }
  } outputs_of;
  return std::visit(outputs_of, model);
}

bool Learner::margin_is_share() const {
  if (const auto* graph = std::get_if<OnnxModel>(&model)) return link() == Link::own && !graph->has_score();
  return std::holds_alternative<NearestNeighbours>(model);
}

namespace {

Status check_row(const Learner& learner, const std::vector<double>& row) {
  if (row.size() != learner.features.size())
    return fail(ErrorCode::invalid_argument, "predict",
                "The model takes " + std::to_string(learner.features.size()) + " inputs, got " +
                    std::to_string(row.size()) + ".");
  const bool takes_missing = deals_with_missing(learner);
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (std::isinf(row[i]))
      return fail(ErrorCode::invalid_argument, "predict", "The input " + learner.features[i] + " is infinite.");
    if (!takes_missing && std::isnan(row[i]))
      return fail(ErrorCode::missing_value, "predict",
                  "The input " + learner.features[i] + " is missing and a model of the kind " + std::string(learner.kind()) +
                      " needs every input.");
  }
  return {};
}

}  // namespace

Result<std::vector<std::vector<double>>> margins_of(const Learner& learner, const std::vector<std::vector<double>>& rows) {
  std::vector<std::vector<double>> margins;
  const auto* graph = std::get_if<OnnxModel>(&learner.model);
  if (graph != nullptr && !learner.scaler) {
    for (const auto& row : rows)
      if (const Status status = check_row(learner, row); !status) return fail(status.error());
    auto scored = graph->score(rows);
    if (!scored) return fail(scored.error());
    for (const auto& row : scored->margins)
      if (!std::all_of(row.begin(), row.end(), [](double margin) { return std::isfinite(margin); }))
        return fail(ErrorCode::not_computable, "predict", "The model's output is not a finite number for these inputs.");
    return std::move(scored->margins);
  }
  margins.reserve(rows.size());
  for (const auto& row : rows) {
    auto scored = score(learner, row);
    if (!scored) return fail(scored.error());
    margins.push_back(std::move(scored->margins));
  }
  return margins;
}

Result<LearnerScore> score(const Learner& learner, const std::vector<double>& row) {
  if (const Status status = check_row(learner, row); !status) return fail(status.error());
  const std::vector<double> z = learner.scaler ? learner.scaler->apply(row) : row;
  auto result = std::visit([&](const auto& model) { return score_of(model, z); }, learner.model);
  if (!result) return result;
  for (std::size_t g = 0; g < result->margins.size(); ++g)
    if (!std::isfinite(result->margins[g]) || !std::isfinite(result->values[g]))
      return fail(ErrorCode::not_computable, "predict", "The model's output is not a finite number for these inputs.");
  return result;
}

}  // namespace choana::processing
