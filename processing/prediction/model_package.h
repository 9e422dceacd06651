#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/prediction.h"
#include "core/result.h"
#include "processing/prediction/package_manifest.h"
#include "processing/prediction/prediction_context.h"

namespace choana::processing {

struct PackageFiles;

/// One output of a package for one row, in the model's own space (a probability of 0 to 1, or a score), one number a
/// class: what `choana predict` prints. No threshold, no guard.
struct OutputScore {
  std::string name;
  std::vector<double> values;
  std::vector<double> margins;
  std::vector<Explanation> explanations;  // one a class where asked for and available
  std::string withheld;                   // why an explanation is not shown; empty if all are
};

/// A model package, format choana-model/1, that was admitted: every file matches SHA256SUMS, everything in it was
/// understood, and every stage reproduced every row of its self-test. Nothing in a package is code. Immutable.
class ModelPackage {
 public:
  /// Read and admit a package, a folder or a zip file. Errors: not_found, io_error, limit_exceeded, invalid_package (the message says
  /// which file and what), selftest_mismatch (which row, stage, what was expected and what came out).
  static Result<ModelPackage> load(const std::filesystem::path& directory);
  /// Admit files that were read before (their sums are not looked at again). Errors: as `load`.
  static Result<ModelPackage> admit(const PackageFiles& files);

  [[nodiscard]] const PackageManifest& manifest() const;
  /// SHA-256 of SHA256SUMS: names the package with all its content.
  [[nodiscard]] const std::string& sha256() const;
  [[nodiscard]] std::size_t selftest_rows() const;
  /// Largest |got - expected| / max(1, |expected|) over all rows and stages of the self-test.
  [[nodiscard]] double selftest_deviation() const;
  /// "scaled standard, 9 inputs", one line a stage.
  [[nodiscard]] std::vector<std::string> stage_summary() const;
  /// The networks of `manifest().networks`, in their order, ready to run.
  [[nodiscard]] const std::vector<DeepNetwork>& networks() const;
  /// Number of values that an output has: 1, or the number of classes.
  [[nodiscard]] std::size_t classes_of(const OutputSpec& output) const;
  /// Names of the contributions of an output in their order; empty if it has no explanation.
  [[nodiscard]] std::vector<std::string> explained_by(const OutputSpec& output) const;

  /// Whether the package harmonises (has a combat stage), so that a case must come with its site.
  [[nodiscard]] bool needs_site() const;
  /// Names of the sites that the package was harmonised for.
  [[nodiscard]] std::vector<std::string> site_names() const;
  /// Roles of the series whose features are harmonised.
  [[nodiscard]] std::vector<std::string> harmonised_roles() const;
  /// The site of a case: as the context names it, or by the headers of its harmonised series, which must all be of one: a study from two scanners has no
  /// site, for ComBat shifts the features of a whole case. Where unknown sites are taken for the reference, an unknown one comes back with its note.
  /// Errors: outside_training_range (none of the sites, or more than one), missing_value (no header says anything and inputs.site.required),
  /// invalid_argument (a scanner matches two sites of the package).
  [[nodiscard]] Result<CaseSite> site_of(const PredictionContext& context) const;

  /// Score one row. inputs: value by feature id; absent or NaN = missing; names that are no feature are ignored.
  /// Errors: missing_value (lists the features; the site), invalid_argument (a clinical value outside what the manifest allows, an
  /// infinite value), not_found (an unknown site), not_computable.
  [[nodiscard]] Result<std::vector<OutputScore>> score(const std::map<std::string, double>& inputs, bool with_explanations, const CaseSite& site = {}) const;

  /// Predict for a report: outputs in the manifest's order (one prediction a class), each with threshold group,
  /// explanation (left empty where none can be shown) and applicability. Probabilities stand in percent.
  /// context: what the package's ranges of acquisition and volume are held against; what is not there is flagged as unknown.
  /// Errors: as `score`, and outside_training_range where the package withholds its prediction.
  [[nodiscard]] Result<std::vector<Prediction>> predict(const std::map<std::string, double>& inputs, const PredictionContext& context = {}) const;

  /// Squared Mahalanobis distance of a row from the training data (uncertainty.distance); nothing where the package has none or a value is missing.
  /// Errors: as `score`.
  [[nodiscard]] Result<std::optional<double>> squared_distance(const std::map<std::string, double>& inputs, const CaseSite& site = {}) const;

 private:
  struct Content;
  struct Run;
  [[nodiscard]] Result<Run> run(const std::map<std::string, double>& inputs, bool with_explanations, const CaseSite& site) const;
  explicit ModelPackage(std::shared_ptr<const Content> content) : content_(std::move(content)) {}
  std::shared_ptr<const Content> content_;
};

}  // namespace choana::processing
