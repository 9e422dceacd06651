#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "processing/prediction/feature_map.h"
#include "processing/prediction/learners/learner.h"
#include "processing/prediction/package_manifest.h"
#include "processing/prediction/shapley/interventional_shapley.h"

namespace choana::processing {

/// What one stage made of one row. A feature map (scaler, imputer, ComBat) has values only, named like its inputs; a learner has margins and values,
/// one a class.
struct StageScore {
  std::vector<double> margins;
  std::vector<double> values;
};

/// A share of a margin: of a feature of the package, or of another stage's output that cannot be opened further.
struct StageContribution {
  std::string name;       // feature id, stage id or <stage>.margin
  int feature = -1;       // index into the features; -1 for a stage
  double value = 0;       // the feature as measured, or the stage's output
  double contribution = 0;
};

/// base + sum of contributions = margin. Features come first, in their order.
struct StageExplanation {
  std::string method;  // of the stage's own learner; an estimate states its error
  double base = 0;
  double margin = 0;
  std::vector<StageContribution> contributions;
};

/// The named stages of a package, wired: each takes features or what earlier stages gave. Immutable.
class StageChain {
 public:
  /// files: content of the package's files by path. Errors: invalid_package (an input that no one provides, a learner
  /// whose features are not exactly the stage's inputs in that order, a scaler without training figures, ...).
  static Result<StageChain> build(const PackageManifest& manifest, const std::map<std::string, std::string>& files);

  [[nodiscard]] std::size_t size() const { return stages_.size(); }
  [[nodiscard]] const std::string& id(std::size_t stage) const { return stages_[stage].id; }
  [[nodiscard]] bool is_learner(std::size_t stage) const { return stages_[stage].is_learner; }
  [[nodiscard]] const Learner& learner(std::size_t stage) const { return stages_[stage].learner; }
  /// Names of a stage's values: the inputs of a feature map; the classes "0", "1", ... of a softmax; one empty name otherwise.
  [[nodiscard]] std::vector<std::string> value_names(std::size_t stage) const;
  /// Position of the stage, or -1.
  [[nodiscard]] int find(const std::string& id) const;
  /// Positions of the features that a stage's output depends on, ascending.
  [[nodiscard]] const std::vector<int>& features_of(std::size_t stage) const { return stages_[stage].depends_on; }
  /// Whether `explain` has a method for the stage.
  [[nodiscard]] bool is_explained(std::size_t stage) const { return !stages_[stage].method.empty(); }
  [[nodiscard]] const std::string& method(std::size_t stage) const { return stages_[stage].method; }
  /// Names of a stage's contributions in the order of `explain`; empty if it has no explanation.
  [[nodiscard]] std::vector<std::string> contribution_names(std::size_t stage, const PackageManifest& manifest) const;

  /// Whether a stage harmonises, so that `run` needs the site.
  [[nodiscard]] bool needs_site() const;
  /// Names of the sites that every combat stage knows.
  [[nodiscard]] std::vector<std::string> site_names() const;
  /// Parameters of a combat stage; nullptr for any other.
  [[nodiscard]] const CombatParameters* combat(std::size_t stage) const { return std::get_if<CombatParameters>(&stages_[stage].map); }
  /// Values of an impute stage; nullptr for any other.
  [[nodiscard]] const Imputation* imputation(std::size_t stage) const { return std::get_if<Imputation>(&stages_[stage].map); }
  /// Of a feature map: index of the feature that each of its inputs shows, -1 for a learner's output.
  [[nodiscard]] std::vector<int> features_in(std::size_t stage) const;
  /// Values of the features on the scale of the training figures in features.csv: as the last combat stage that takes them gave them, or as measured.
  [[nodiscard]] std::vector<double> on_training_scale(const std::vector<double>& features, const std::vector<StageScore>& scores) const;

  /// Run every stage on one row. features: one value a feature in the manifest's order, NaN = missing. site: of the case, for combat stages.
  /// Errors: as `score` of a learner and `apply_combat`, with the stage's name.
  [[nodiscard]] Result<std::vector<StageScore>> run(const std::vector<double>& features, std::string_view site = {}) const;

  /// Shapley values of one margin of a learner stage. A linear stage over another stage's margin (scaled or not) is opened down to that
  /// stage's features, because Shapley values are linear in the margin; where a stage enters through its probability it
  /// stays one contribution. What a feature map makes of a feature counts as that feature's share. scores: what `run` gave for the same row.
  /// Errors: not_computable (no method; not additive: then nothing must be shown).
  [[nodiscard]] Result<StageExplanation> explain(std::size_t stage, std::size_t output, const std::vector<double>& features,
                                                 const std::vector<StageScore>& scores) const;

 private:
  struct Column {
    int stage = -1;     // -1: a feature of the package
    int index = 0;      // feature, or position within the stage's values
    bool margin = false;
    std::string name;
  };
  struct Stage {
    std::string id;
    bool is_learner = false;
    std::vector<Column> inputs;
    FeatureMap map;         // of a stage that is no learner
    std::vector<Column> covariates;  // of a combat stage
    Learner learner;
    std::string method;     // of explanation; empty: none
    /// Of a calibration of a value that is not linear in its stage's margin: that margin, which is then its own and is what is explained.
    std::optional<Column> explained_through;
    std::optional<LinearModel> linear;   // of a learner whose margins are linear in its scaled inputs
    std::optional<ProductKernel> kernel;  // of a learner whose margin is a sum of products
    std::vector<std::vector<double>> background;         // inputs of the stage for each background row
    std::vector<std::vector<double>> scaled_background;  // after the learner's scaler
    std::optional<PreparedBackground> beside_trees;      // for tree_interventional
    std::vector<double> mean;          // training mean of each input, for linear explanations; NaN where another stage answers
    std::vector<int> depends_on;
  };

  void collect_contributions(std::size_t stage, std::vector<int>& features, std::vector<std::string>& stages) const;
  /// What a column is made of: value = slope * source + offset.
  struct Source {
    Column column;
    double slope = 1;
    double offset = 0;
  };
  [[nodiscard]] Source source_of(const Column& column) const;
  [[nodiscard]] bool opens(const Column& column) const;
  [[nodiscard]] int root_feature(const Column& column) const;
  [[nodiscard]] int training_feature(const Column& column) const;
  void collect_dependencies(const Column& column, std::set<int>& features) const;
  [[nodiscard]] Result<StageScore> run_stage(const Stage& stage, const std::vector<double>& features, const std::vector<StageScore>& scores, std::string_view site) const;
  [[nodiscard]] Result<std::vector<Column>> resolve(const PackageManifest& manifest, const std::string& word, const std::string& here) const;
  static Status build_map(const PackageManifest& manifest, const StageSpec& spec, const std::map<std::string, std::string>& files, const StageChain& before, Stage& stage);
  [[nodiscard]] double value_of(const Column& column, const std::vector<double>& features,
                                const std::vector<StageScore>& scores) const;
  [[nodiscard]] Result<StageExplanation> explain_unchecked(std::size_t stage, std::size_t output, const std::vector<double>& features,
                                                           const std::vector<StageScore>& scores) const;
  static Result<Stage> build_stage(const PackageManifest& manifest, const StageSpec& spec, const std::map<std::string, std::string>& files,
                                   const StageChain& before);
  Status prepare_explanation(const PackageManifest& manifest, Stage& stage) const;
  Status prepare_linear(const PackageManifest& manifest, Stage& stage, bool asked) const;
  static std::vector<std::string> methods_for(const Stage& stage);
  static Result<std::vector<Attribution>> attribute(const Stage& stage, const std::vector<double>& row, const std::vector<double>& scaled, std::string& method);

  std::size_t feature_count_ = 0;
  std::vector<double> train_mean_;
  std::vector<Stage> stages_;
};

}  // namespace choana::processing
