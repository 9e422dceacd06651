#pragma once

#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processing/deep_features/deep_extractor.h"
#include "processing/habitats/habitat_clustering.h"
#include "processing/harmonisation/combat.h"
#include "processing/prediction/learners/calibrated_model.h"
#include "processing/prediction/learners/onnx_model.h"
#include "processing/prediction/roi_name_pattern.h"

namespace choana::processing {

/// What the training series had of one attribute of acquisition: from `low` to `high`, both included.
struct AcquisitionRange {
  std::string attribute;  // acquisition_attributes() in applicability.h: repetition_time_ms, pixel_spacing_mm, ...
  double low = 0;
  double high = 0;
};

/// A series that a model needs, by role.
struct RequiredSequence {
  std::string role;                  // as features and extraction name it
  bool required = true;
  std::vector<std::string> accepts;  // roles of series that may take this place, most wanted first; holds `role` if nothing else was said
  std::string modality;              // information for people: MR
  std::string plane;                 // information for people: axial
  std::vector<AcquisitionRange> acquisition;  // of the training data; outside is flagged
  std::vector<std::string> manufacturers;     // of the training data; empty: not stated
};

/// A region that a model needs.
struct RequiredRoi {
  std::string name;                        // as features name it: primary
  std::vector<std::string> name_patterns;  // names a delineation may carry, most wanted first (roi_name_pattern.h)
  std::vector<std::string> of_roles;       // measured on the series of these roles
  bool required = true;
  std::optional<double> volume_min_ml;     // of the training data; outside is flagged. Both or none
  std::optional<double> volume_max_ml;

  /// Position of the first pattern that a delineation's name matches, or nothing.
  [[nodiscard]] std::optional<std::size_t> rank_of(std::string_view delineation_name) const;
};

/// A feature that habitats are made of: the prepared intensities of one series.
struct HabitatFeature {
  std::string role;
  double smoothing_mm = 0;
};

/// Sub-regions that a model needs: `name`1, `name`2, ... of a region, found in each patient.
struct RequiredHabitats {
  std::string name;                      // habitat: features name habitat1, habitat2, ...
  std::string on;                        // role whose grid they lie on
  std::string of;                        // region that is divided, as inputs.rois names it
  std::vector<HabitatFeature> features;  // of other roles: resampled onto that grid
  std::vector<std::string> measured_on;  // roles whose series are measured in them; `on` if nothing else was said
  HabitatSettings settings;
  std::string scheme;                    // canonical JSON of all of this
};

/// An image network whose values are features: `name`_0, `name`_1, ... of a region on a series.
struct RequiredNetwork {
  std::string name;              // deep: features name deep_66
  std::string on;                // role of the series
  std::string of;                // region, as inputs.rois names it
  std::string file;              // ONNX, relative to the package
  std::string check_file;        // what the network must give for a ramp (DeepNetwork::ramp_output); empty: nothing is stated
  DeepFeatureSettings settings;
  std::string scheme;            // canonical JSON of all of this

  /// Position of a feature in the network's output from its name ("deep_66"); nothing if it is none of this network's.
  [[nodiscard]] std::optional<std::size_t> position_of(std::string_view feature) const;
};

/// A value that does not come from images.
struct ClinicalInput {
  std::string name;
  std::string unit = "1";
  bool whole_number = false;
  bool required = true;
  std::optional<double> min;
  std::optional<double> max;
  std::optional<int> max_age_days;
};

/// What tells the site that a case comes from, for a combat stage.
struct SiteInput {
  std::vector<std::string> from;  // header attributes: Manufacturer, ManufacturerModelName, MagneticFieldStrength
  bool required = true;           // a case that says nothing about its site is refused, also where an unknown site is not
};

/// One row of features.csv. Numbers that the file leaves empty are NaN. The training figures of a feature that a combat stage harmonises are those of
/// the harmonised training rows.
struct PackageFeature {
  int order = 0;
  std::string id;       // unique, e.g. T2.primary.original_glcm_Contrast
  std::string role;     // T2; empty for a clinical value
  std::string roi;      // primary; empty for a clinical value
  std::string kind;     // radiomic | clinical | deep | habitat | table (comes from a table only)
  std::string feature;  // as PyRadiomics names it: original_glcm_Contrast
  std::string unit = "1";
  double train_mean = 0;
  double train_sd = 0;
  double q01 = 0;       // 1 % and 99 % quantiles of the training rows
  double q99 = 0;
  double train_min = std::numeric_limits<double>::quiet_NaN();
  double train_max = std::numeric_limits<double>::quiet_NaN();
};

/// One step of image preparation: n4, rescale, resample, normalise, register; `roles` may limit it.
struct PreparationStep {
  std::string step;
  std::string parameters_json = "{}";  // everything but the step's name, canonical JSON
};

/// One stage of the chain as the manifest states it.
struct StageSpec {
  std::string id;
  std::string type;             // a feature map (standard, mean_range, min_max, robust, impute, combat), calibration, or the kind of a learner
  std::string file;             // of a learner, or harmonisation.json of a combat stage
  std::string format = "ir";    // model_reader.h
  int iterations = 0;           // boosting rounds to use (xgboost); 0: all
  std::string link;             // empty, or what the file must say too
  std::vector<std::string> in;  // groups (radiomic, clinical, deep, habitat, features), feature ids, stage ids, <stage>.margin, <stage>.<feature>
  bool from_features = false;   // of a feature map: its parameters are columns of features.csv
  std::map<std::string, std::vector<double>> params;  // of a feature map: given here instead (mean, scale, range, min, max, centre, values)
  bool clip = false;            // min_max: to 0 to 1
  UnknownSite unknown_site = UnknownSite::refuse;  // combat
  std::string time_unit;        // cox: of its baseline; day, month, year or empty (not stated)
  CalibratedModel::Calibrator calibrator;  // calibration
  OnnxSelection onnx;           // onnx
};

/// One number that a package reports.
struct OutputSpec {
  std::string from;      // stage
  std::string name;      // "Complete response"
  std::string endpoint;  // [A-Z0-9_], 1 to 11 characters
  std::string unit = "%";
  int decimals = 1;      // when shown, in `unit`
  bool primary = false;
  std::optional<double> horizon;  // of a cox stage: give the survival probability at this time, in the unit of its baseline
  std::string time_unit;          // of a cox stage: day, month, year or empty
  bool both_classes = false;  // of a two-class stage: give the probabilities of class 0 and class 1
};

/// A cut of the value of a stage: at or above `value` the row belongs to `label`, below it to `otherwise`.
struct ThresholdSpec {
  std::string on;       // stage
  double value = 0;     // in the stage's own space: a probability of 0 to 1, or the score
  std::string label;
  std::string otherwise;
  std::string risk;            // high | moderate | low | empty
  std::string otherwise_risk;
  std::string source;
};

/// How the outputs of a stage are explained.
struct ExplainSpec {
  std::string method;                  // tree_path_dependent, tree_interventional, linear, product_kernel, additive, enumeration, permutation, none
  std::map<std::string, double> mean;  // training means of inputs that features.csv does not know (other stages' outputs)
};

/// What becomes of a value that is not there: refuse (no prediction), pass (the model has its own rule).
enum class MissingRule { refuse, pass };

/// Is this patient like the training data? A feature outside its 1 % to 99 % training range is flagged; so are an acquisition and a volume
/// outside theirs, and what should be known of them and is not.
struct GuardSpec {
  bool enabled = true;    // the features' ranges are checked
  int max_flagged = 0;    // up to here the patient still counts as inside
  bool withhold = false;  // beyond it: no prediction; otherwise a prediction with its flags
  std::string distance_file;       // distance.json; empty: no distance is checked
  bool distance_withhold = false;  // beyond its limit: no prediction
};

/// How the region is perturbed to see how much the prediction depends on how exactly it was drawn.
struct RobustnessSpec {
  int count = 20;              // perturbed regions
  int seed = 1;
  double translation_mm = 0.5; // standard deviation of the shift along each axis
  double rotation_deg = 2;     // standard deviation of the angle about an axis of random direction
  double boundary_mm = 0.5;    // standard deviation of growth (or shrinkage) of the boundary
  double coverage = 0.95;      // share of the perturbed predictions that the interval holds
  double moved_sd = 0.5;       // a feature is named when its perturbed values spread by more than this share of train_sd
};

/// What manifest.yaml, features.csv and extraction/*.yaml say: everything about a model but its parameters.
struct PackageManifest {
  std::string id;
  std::string version;
  std::string title;
  std::string status;        // demonstration | research | clinical
  std::string intended_use;  // sentences
  std::string outcome;       // name and definition of what is predicted
  std::string endpoint;      // code of the primary output
  std::string performance;   // one line
  std::vector<std::string> required_roles;
  std::vector<RequiredSequence> sequences;
  std::vector<RequiredRoi> rois;
  std::vector<RequiredHabitats> habitats;
  std::vector<RequiredNetwork> networks;
  std::vector<ClinicalInput> clinical;
  std::optional<SiteInput> site;
  std::vector<PreparationStep> preprocessing;
  std::map<std::string, std::string> extraction;       // role -> text of its parameter file
  std::map<std::string, std::string> extraction_file;  // role -> path in the package
  std::vector<PackageFeature> features;                // in order
  std::vector<StageSpec> stages;
  std::vector<OutputSpec> outputs;
  std::vector<ThresholdSpec> thresholds;
  std::map<std::string, ExplainSpec> explain;
  std::map<std::string, MissingRule> missing_by_kind;
  std::map<std::string, MissingRule> missing_by_feature;
  GuardSpec guard;
  std::optional<RobustnessSpec> robustness;
  double selftest_tolerance = 1e-12;  // relative to max(1, |expected|), of every stage
  double deep_tolerance = 1e-4;       // relative to max(1, |expected|), of the networks' checks
  std::string key_id;                 // of the key that signed the package: "ed25519:" and the public key in base64; empty: unsigned
  // files named by the manifest, relative to the package
  std::string features_file;
  std::string selftest_file;
  std::string performance_file;
  std::string background_file;  // rows of features for interventional explanations; empty: none

  [[nodiscard]] MissingRule missing_rule(const PackageFeature& feature) const;
  /// Position of the network that gives a feature of kind deep; nothing if none does.
  [[nodiscard]] std::optional<std::size_t> network_of(const PackageFeature& feature) const;
};

}  // namespace choana::processing
