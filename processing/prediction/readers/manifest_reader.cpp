#include "processing/prediction/readers/manifest_reader.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <limits>
#include <set>
#include <utility>

#include "core/near_match.h"
#include "processing/prediction/applicability.h"
#include "processing/prediction/readers/document.h"
#include "processing/prediction/readers/model_reader.h"
#include "processing/prediction/readers/table.h"

namespace choana::processing {
namespace {

using Kind = DocumentNode::Kind;

// The first problem of a manifest; what is read after it does not matter.
struct Problem {
  std::optional<Error> error;

  void complain(const std::string& sentence) {
    if (!error) error = Error{ErrorCode::invalid_package, "read_manifest", sentence, {}};
  }
};

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// One map of the manifest. States which keys it knows by asking for them; `finish` complains about all others.
class Section {
 public:
  Section(const DocumentNode* node, std::string path, Problem& problem) : node_(node), path_(std::move(path)), problem_(problem) {
    if (node_ != nullptr && node_->kind != Kind::map) {
      complain_here("must be a map of keys and values");
      node_ = nullptr;
    }
  }

  [[nodiscard]] bool present() const { return node_ != nullptr; }
  [[nodiscard]] const DocumentNode* node() const { return node_; }

  const DocumentNode* find(const std::string& key, bool required) {
    known_.push_back(key);
    if (node_ != nullptr)
      for (const auto& [name, value] : node_->fields)
        if (name == key && value.kind != Kind::null) return &value;
    if (required) problem_.complain("The manifest lacks " + path_of(key) + ".");
    return nullptr;
  }

  std::string text(const std::string& key, bool required = true, std::size_t length_max = 400) {
    const DocumentNode* value = find(key, required);
    return value == nullptr ? std::string{} : text_of(*value, path_of(key), length_max);
  }

  std::string text_of(const DocumentNode& value, const std::string& path, std::size_t length_max) {
    if (value.kind != Kind::scalar || value.scalar.empty() || value.scalar.size() > length_max) {
      problem_.complain(path + " in the manifest must be text of 1 to " + std::to_string(length_max) + " characters.");
      return {};
    }
    for (const char c : value.scalar)
      if (static_cast<unsigned char>(c) < 0x20 && c != '\n') {
        problem_.complain(path + " in the manifest holds a control character.");
        return {};
      }
    return value.scalar;
  }

  std::string word(const std::string& key, const std::vector<std::string>& choices, const std::string& fallback = {}) {
    const DocumentNode* value = find(key, fallback.empty());
    if (value == nullptr) return fallback;
    const std::string chosen = text_of(*value, path_of(key), 64);
    if (std::find(choices.begin(), choices.end(), chosen) == choices.end())
      problem_.complain(path_of(key) + " in the manifest is '" + chosen + "'; it may be " + join(choices) + "." + did_you_mean(chosen, choices));
    return chosen;
  }

  std::optional<double> number(const std::string& key, bool required = false) {
    const DocumentNode* value = find(key, required);
    if (value == nullptr) return std::nullopt;
    const auto parsed = value->kind == Kind::scalar && !value->quoted ? parse_number(value->scalar) : std::nullopt;
    if (!parsed) problem_.complain(path_of(key) + " in the manifest must be a finite number.");
    return parsed;
  }

  std::optional<int> integer(const std::string& key, int low, int high, bool required = false) {
    const auto value = number(key, required);
    if (!value) return std::nullopt;
    if (*value != std::floor(*value) || *value < low || *value > high) {
      problem_.complain(path_of(key) + " in the manifest must be a whole number from " + std::to_string(low) + " to " + std::to_string(high) + ".");
      return std::nullopt;
    }
    return static_cast<int>(*value);
  }

  bool flag(const std::string& key, bool fallback) {
    const DocumentNode* value = find(key, false);
    if (value == nullptr) return fallback;
    if (value->kind == Kind::scalar && !value->quoted && (value->scalar == "true" || value->scalar == "false")) return value->scalar == "true";
    problem_.complain(path_of(key) + " in the manifest must be true or false.");
    return fallback;
  }

  // A single word stands for a list of one.
  std::vector<std::string> words(const std::string& key, bool required, std::size_t length_max = 256) {
    const DocumentNode* value = find(key, required);
    std::vector<std::string> list;
    if (value == nullptr) return list;
    if (value->kind == Kind::scalar) return {text_of(*value, path_of(key), length_max)};
    if (value->kind != Kind::list || value->items.size() > 20'000) {
      problem_.complain(path_of(key) + " in the manifest must be a list.");
      return list;
    }
    for (const DocumentNode& item : value->items) list.push_back(text_of(item, path_of(key), length_max));
    return list;
  }

  std::vector<double> numbers(const std::string& key) {
    const DocumentNode* value = find(key, true);
    std::vector<double> list;
    if (value == nullptr) return list;
    for (const DocumentNode& item : value->items)
      if (const auto parsed = item.kind == Kind::scalar ? parse_number(item.scalar) : std::nullopt) list.push_back(*parsed);
    if (value->kind != Kind::list || list.size() != value->items.size())
      problem_.complain(path_of(key) + " in the manifest must be a list of finite numbers.");
    return list;
  }

  Section section(const std::string& key, bool required = false) { return {find(key, required), path_of(key), problem_}; }

  // The maps of a list.
  std::vector<Section> sections(const std::string& key, bool required) {
    std::vector<Section> list;
    const DocumentNode* value = find(key, required);
    if (value == nullptr) return list;
    if (value->kind != Kind::list || value->items.size() > 200) {
      problem_.complain(path_of(key) + " in the manifest must be a list of at most 200 entries.");
      return list;
    }
    for (std::size_t n = 0; n < value->items.size(); ++n)
      list.emplace_back(&value->items[n], path_of(key) + "[" + std::to_string(n) + "]", problem_);
    return list;
  }

  // Known, but only for people.
  void skip(const std::string& key) { known_.push_back(key); }

  void complain(const std::string& key, const std::string& what) { problem_.complain(path_of(key) + " in the manifest " + what + "."); }
  void complain_here(const std::string& what) { problem_.complain((path_.empty() ? "The manifest" : path_ + " in the manifest") + " " + what + "."); }

  void finish() {
    if (node_ == nullptr) return;
    for (const auto& [key, value] : node_->fields)
      if (std::find(known_.begin(), known_.end(), key) == known_.end())
        problem_.complain("The manifest has the unknown key " + path_of(key.substr(0, 64)) + "." + did_you_mean(key, known_));
  }

 private:
  [[nodiscard]] std::string path_of(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

  const DocumentNode* node_;
  std::string path_;
  Problem& problem_;
  std::vector<std::string> known_;
};

std::string short_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

bool is_identifier(const std::string& text, const std::string& also, std::size_t length_max) {
  if (text.empty() || text.size() > length_max || !std::isalnum(static_cast<unsigned char>(text.front()))) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || also.find(c) != std::string::npos;
  });
}

void read_intended_use(Section& root, PackageManifest& manifest) {
  const DocumentNode* node = root.find("intended_use", true);
  if (node == nullptr) return;
  if (node->kind == Kind::scalar) {
    manifest.intended_use = root.text_of(*node, "intended_use", 2000);
    return;
  }
  Section use = root.section("intended_use");
  std::vector<std::string> sentences;
  if (const std::string statement = use.text("statement", false, 2000); !statement.empty()) sentences.push_back(statement);
  if (const DocumentNode* population = use.find("population", false)) {
    std::string words;
    if (population->kind == Kind::scalar) words = use.text_of(*population, "intended_use.population", 400);
    for (const auto& [key, value] : population->fields) {
      std::string part = value.scalar;
      for (const DocumentNode& item : value.items) part += (part.empty() ? "" : ", ") + item.scalar;
      words += (words.empty() ? "" : "; ") + key + " " + part;
    }
    sentences.push_back("Population: " + words + ".");
  }
  if (const std::string timing = use.text("timing", false); !timing.empty()) sentences.push_back("Timing: " + timing + ".");
  if (const auto not_for = use.words("not_for", false); !not_for.empty()) sentences.push_back("Not for: " + join(not_for) + ".");
  Section outcome = use.section("outcome");
  const std::string name = outcome.text("name", false), definition = outcome.text("definition", false);
  manifest.outcome = name + (definition.empty() ? "" : ": " + definition);
  outcome.skip("positive");
  outcome.finish();
  use.finish();
  for (const std::string& sentence : sentences) manifest.intended_use += (manifest.intended_use.empty() ? "" : " ") + sentence;
  if (manifest.intended_use.empty()) root.complain("intended_use", "says nothing: give a statement, a population or a timing");
}

// Two numbers, the lower one first.
std::optional<std::pair<double, double>> read_range(Section& section, const std::string& key) {
  if (section.find(key, false) == nullptr) return std::nullopt;
  const std::vector<double> bounds = section.numbers(key);
  if (bounds.size() != 2 || !(bounds[0] <= bounds[1])) {
    section.complain(key, "must be two numbers, the lower one first");
    return std::nullopt;
  }
  return std::pair{bounds[0], bounds[1]};
}

void read_acquisition(Section section, RequiredSequence& sequence) {
  for (const AcquisitionAttribute& attribute : acquisition_attributes())
    if (const auto range = read_range(section, std::string(attribute.key))) {
      if (range->first < 0) section.complain(std::string(attribute.key), "must not be below 0");
      sequence.acquisition.push_back({std::string(attribute.key), range->first, range->second});
    }
  sequence.manufacturers = section.words("manufacturer", false, 64);
  if (sequence.manufacturers.size() > 64) section.complain("manufacturer", "has more than 64 names");
  section.finish();
}

void read_inputs(Section& root, PackageManifest& manifest) {
  Section inputs = root.section("inputs", true);
  Section sequences = inputs.section("sequences");
  if (sequences.present())
    for (const auto& field : sequences.node()->fields) {
      Section one = sequences.section(field.key, true);
      RequiredSequence sequence;
      sequence.role = field.key;
      if (!is_identifier(sequence.role, "-_", 32)) sequences.complain(field.key.substr(0, 40), "is not a role (letters, digits, - and _)");
      sequence.required = one.flag("required", true);
      sequence.accepts = one.words("accepts", false, 32);
      if (sequence.accepts.empty()) sequence.accepts = {sequence.role};
      sequence.modality = one.text("modality", false, 16);
      sequence.plane = one.text("plane", false, 16);
      one.skip("contrast");
      read_acquisition(one.section("acquisition"), sequence);
      one.finish();
      if (sequence.required) manifest.required_roles.push_back(sequence.role);
      manifest.sequences.push_back(std::move(sequence));
    }
  Section rois = inputs.section("rois");
  if (rois.present())
    for (const auto& field : rois.node()->fields) {
      Section one = rois.section(field.key, true);
      RequiredRoi roi;
      roi.name = field.key;
      if (!is_identifier(roi.name, "-_", 64)) rois.complain(field.key.substr(0, 64), "is not a name for a region (letters, digits, - and _)");
      roi.required = one.flag("required", true);
      roi.of_roles = one.words("of", false, 32);
      roi.name_patterns = one.words("names", false, 64);
      if (roi.name_patterns.empty()) roi.name_patterns = {roi.name};
      if (roi.name_patterns.size() > 64) one.complain("names", "has more than 64 patterns");
      for (const std::string& pattern : roi.name_patterns)
        if (const Status status = check_roi_name_pattern(pattern); !status) one.complain("names", "is refused. " + status.error().message);
      if (const auto volume = read_range(one, "volume_ml")) {
        if (volume->first < 0) one.complain("volume_ml", "must not be below 0");
        roi.volume_min_ml = volume->first;
        roi.volume_max_ml = volume->second;
      }
      if (one.flag("resegment", false)) one.complain("resegment", "is not supported: state the range in the extraction file (resegmentRange)");
      one.finish();
      for (const std::string& role : roi.of_roles)
        if (std::none_of(manifest.sequences.begin(), manifest.sequences.end(), [&](const auto& s) { return s.role == role; }))
          one.complain("of", "names the role '" + role + "', which inputs.sequences does not list");
      if (roi.of_roles.empty())
        for (const RequiredSequence& sequence : manifest.sequences) roi.of_roles.push_back(sequence.role);
      manifest.rois.push_back(std::move(roi));
    }
  Section clinical = inputs.section("clinical");
  if (clinical.present())
    for (const auto& field : clinical.node()->fields) {
      Section one = clinical.section(field.key, true);
      ClinicalInput input;
      input.name = field.key;
      input.whole_number = one.word("type", {"number", "integer"}, "number") == "integer";
      if (const std::string unit = one.text("unit", false, 32); !unit.empty()) input.unit = unit;
      input.required = one.flag("required", true);
      input.min = one.number("min");
      input.max = one.number("max");
      input.max_age_days = one.integer("max_age_days", 0, 36'500);
      one.finish();
      if (input.min && input.max && *input.min > *input.max) one.complain_here("has a min above its max");
      manifest.clinical.push_back(std::move(input));
    }
  Section site = inputs.section("site");
  if (site.present()) {
    static const std::vector<std::string> attributes{"Manufacturer", "ManufacturerModelName", "MagneticFieldStrength"};
    SiteInput input;
    input.from = site.words("from", true, 64);
    for (const std::string& attribute : input.from)
      if (std::find(attributes.begin(), attributes.end(), attribute) == attributes.end())
        site.complain("from", "names '" + attribute + "'; a site is told by " + join(attributes) + "." + did_you_mean(attribute, attributes));
    if (input.from.empty()) site.complain("from", "must name at least one header attribute");
    input.required = site.flag("required", true);
    manifest.site = std::move(input);
  }
  site.finish();
  inputs.finish();
}

void read_preprocessing(Section& root, PackageManifest& manifest) {
  // What a step may carry; the pipeline checks the values where it uses them.
  const std::map<std::string, std::vector<std::string>> steps{
      {"n4", {"shrink", "iterations", "threshold", "fwhm", "noise", "bins", "control_points", "mask", "engine", "field"}},
      {"rescale", {"from", "to"}},
      {"resample", {"spacing_mm", "interpolator", "mask_interpolator"}},
      {"normalise", {"mean", "sd"}},
      {"register",
       {"to", "resample", "otherwise", "seed", "focus_margin_mm", "translation_max_mm", "rotation_max_deg", "overlap_min", "focus_overlap_min", "information_min", "agreement_min"}}};
  std::vector<std::string> names;
  for (const auto& [name, keys] : steps) names.push_back(name);
  for (Section& one : root.sections("preprocessing", false)) {
    PreparationStep step;
    step.step = one.word("step", names);
    one.skip("roles");
    if (const auto keys = steps.find(step.step); keys != steps.end())
      for (const std::string& key : keys->second) one.skip(key);
    one.finish();
    if (!one.present()) continue;
    DocumentNode parameters = *one.node();
    std::erase_if(parameters.fields, [](const auto& field) { return field.key == "step"; });
    step.parameters_json = to_canonical_json(parameters);
    manifest.preprocessing.push_back(std::move(step));
  }
}

void read_one_habitats(Section& one, PackageManifest& manifest) {
  RequiredHabitats habitats;
  HabitatSettings& how = habitats.settings;
  habitats.name = one.text("name", false, 32);
  if (habitats.name.empty()) habitats.name = "habitat";
  if (!is_identifier(habitats.name, "-_", 32) || std::isdigit(static_cast<unsigned char>(habitats.name.back())) != 0)
    one.complain("name", "must be made of letters, digits, - and _, and not end with a digit: a number follows");
  const auto known_role = [&](const char* key, const std::string& role) {
    if (std::none_of(manifest.sequences.begin(), manifest.sequences.end(), [&](const auto& s) { return s.role == role; }))
      one.complain(key, "names the role '" + role.substr(0, 32) + "', which inputs.sequences does not list");
  };
  habitats.on = one.text("on", true, 32);
  known_role("on", habitats.on);
  habitats.of = one.text("of", true, 64);
  const auto roi = std::find_if(manifest.rois.begin(), manifest.rois.end(), [&](const auto& r) { return r.name == habitats.of; });
  if (roi == manifest.rois.end())
    one.complain("of", "names the region '" + habitats.of.substr(0, 64) + "', which inputs.rois does not list");
  else if (std::find(roi->of_roles.begin(), roi->of_roles.end(), habitats.on) == roi->of_roles.end())
    one.complain("of", "names a region that is not asked for on " + habitats.on);
  for (const std::string& role : one.words("features", false, 32)) {
    known_role("features", role);
    habitats.features.push_back({role, 0});
  }
  if (habitats.features.empty()) habitats.features.push_back({habitats.on, 0});
  if (habitats.features.size() > 8) one.complain("features", "has more than 8 entries");
  for (std::size_t n = 0; n < habitats.features.size(); ++n)
    for (std::size_t m = 0; m < n; ++m)
      if (habitats.features[n].role == habitats.features[m].role) one.complain("features", "names a role twice");
  if (const auto smoothing = one.number("smoothing_mm")) {
    if (!(*smoothing >= 0 && *smoothing <= 20)) one.complain("smoothing_mm", "must lie between 0 and 20");
    for (HabitatFeature& feature : habitats.features) feature.smoothing_mm = *smoothing;
  }
  habitats.measured_on = one.words("measured_on", false, 32);
  for (const std::string& role : habitats.measured_on) known_role("measured_on", role);
  if (habitats.measured_on.empty()) habitats.measured_on = {habitats.on};
  how.standardise = one.flag("standardise", true);
  if (const DocumentNode* k = one.find("k", false); k != nullptr && k->scalar != "bic") how.habitats = one.integer("k", 1, habitats_limit);
  how.habitats_max = one.integer("k_max", 1, habitats_limit).value_or(how.habitats_max);
  how.labels = one.word("clustering", {"kmeans", "gmm"}, "kmeans") == "gmm" ? HabitatSettings::Labels::gaussian_mixture : HabitatSettings::Labels::k_means;
  // Clusters of one patient have no numbers of their own, so a package must say how they get them.
  Section order = one.section("order", true);
  how.order_by = order.text("by", true, 32);
  if (how.order_by != "volume" && std::none_of(habitats.features.begin(), habitats.features.end(), [&](const auto& f) { return f.role == how.order_by; }))
    order.complain("by", "is neither one of the features nor volume");
  how.descending = order.word("direction", {"ascending", "descending"}, "ascending") == "descending";
  order.finish();
  how.seed = static_cast<std::uint64_t>(one.integer("seed", 0, 2'000'000'000).value_or(1));
  how.voxels_min = one.integer("minimum_voxels", 1, 1'000'000).value_or(how.voxels_min);
  how.small = one.word("below_minimum", {"merge", "unmeasured"}, "merge") == "unmeasured" ? HabitatSettings::Small::unmeasured : HabitatSettings::Small::merge;
  how.mixture_starts = one.integer("mixture_starts", 1, 50).value_or(how.mixture_starts);
  how.k_means_starts = one.integer("kmeans_starts", 1, 100).value_or(how.k_means_starts);
  how.fit_voxels_max = static_cast<std::size_t>(one.integer("fit_voxels_max", 100, 1'000'000).value_or(static_cast<int>(how.fit_voxels_max)));
  one.finish();
  if (one.present()) habitats.scheme = to_canonical_json(*one.node());
  for (const RequiredHabitats& other : manifest.habitats)
    if (other.name == habitats.name && std::any_of(other.measured_on.begin(), other.measured_on.end(), [&](const std::string& role) {
          return std::find(habitats.measured_on.begin(), habitats.measured_on.end(), role) != habitats.measured_on.end();
        }))
      one.complain("name", "is taken: two sets of habitats measured on one role need two names");
  for (const RequiredRoi& other : manifest.rois)
    if (other.name.starts_with(habitats.name) && other.name.size() == habitats.name.size() + 1 && std::isdigit(static_cast<unsigned char>(other.name.back())) != 0)
      one.complain("name", "makes names that inputs.rois has too");
  manifest.habitats.push_back(std::move(habitats));
}

void read_habitats(Section& root, PackageManifest& manifest) {
  const DocumentNode* node = root.find("habitats", false);
  if (node == nullptr) return;
  if (node->kind == Kind::map) {
    Section one = root.section("habitats");
    return read_one_habitats(one, manifest);
  }
  for (Section& one : root.sections("habitats", false)) read_one_habitats(one, manifest);
}

// A list of three numbers, one a channel.
void read_channels(Section& one, const std::string& key, std::array<double, 3>& values, double low) {
  if (one.find(key, false) == nullptr) return;
  const auto numbers = one.numbers(key);
  if (numbers.size() != 3 || std::any_of(numbers.begin(), numbers.end(), [&](double v) { return !(v >= low && v <= 1000); }))
    return one.complain(key, "must be three numbers, one a channel, " + std::string(low > 0 ? "above 0" : "from -1000") + " to 1000");
  std::copy(numbers.begin(), numbers.end(), values.begin());
}

void read_one_network(Section& one, PackageManifest& manifest) {
  RequiredNetwork network;
  DeepFeatureSettings& how = network.settings;
  ImagePreparation& image = how.preparation;
  network.name = one.text("name", false, 32);
  if (network.name.empty()) network.name = "deep";
  if (!is_identifier(network.name, "-", 32)) one.complain("name", "must be made of letters, digits and -: _ and a number follow");
  network.on = one.text("on", true, 32);
  if (std::none_of(manifest.sequences.begin(), manifest.sequences.end(), [&](const auto& s) { return s.role == network.on; }))
    one.complain("on", "names the role '" + network.on.substr(0, 32) + "', which inputs.sequences does not list");
  network.of = one.text("of", true, 64);
  const auto roi = std::find_if(manifest.rois.begin(), manifest.rois.end(), [&](const auto& r) { return r.name == network.of; });
  if (roi == manifest.rois.end())
    one.complain("of", "names the region '" + network.of.substr(0, 64) + "', which inputs.rois does not list");
  else if (std::find(roi->of_roles.begin(), roi->of_roles.end(), network.on) == roi->of_roles.end())
    one.complain("of", "names a region that is not asked for on " + network.on);
  network.file = one.text("network");
  network.check_file = one.text("check", false);
  how.input = one.text("input", false, 256);
  how.output = one.text("output", false, 256);
  how.first_index = one.integer("first_index", 0, 1).value_or(0);
  one.word("slice", {"largest_area"}, "largest_area");
  one.word("channels", {"repeat_gray"}, "repeat_gray");
  image.crop_to_region = one.word("crop", {"slice", "region"}, "slice") == "region";
  if (const auto margin = one.number("margin_mm")) {
    image.margin_mm = *margin;
    if (!(*margin >= 0 && *margin <= 1000)) one.complain("margin_mm", "must lie between 0 and 1000");
    if (!image.crop_to_region && *margin != 0) one.complain("margin_mm", "has no meaning without crop: region");
  }
  Section range = one.section("range");
  const std::string by = range.word("by", {"min_max", "percentiles", "window"}, "min_max");
  image.range = by == "percentiles" ? GreyRange::percentiles : by == "window" ? GreyRange::window : GreyRange::minimum_maximum;
  const std::string of = range.word("of", {"slice", "volume", "region"}, "slice");
  image.range_of = of == "volume" ? GreyRangeOf::volume : of == "region" ? GreyRangeOf::region : GreyRangeOf::slice;
  const bool bounded = image.range != GreyRange::minimum_maximum;
  if (bounded) {
    image.low = range.number("low", true).value_or(0);
    image.high = range.number("high", true).value_or(1);
    if (!(image.low < image.high)) range.complain("low", "must lie below high");
    if (image.range == GreyRange::percentiles && !(image.low >= 0 && image.high <= 100)) range.complain("low", "and high must be percentiles, 0 to 100");
  }
  range.finish();
  image.eight_bits = one.flag("eight_bits", true);
  Section resize = one.section("resize");
  image.filter = resize.word("filter", {"bilinear", "bicubic"}, "bilinear") == "bicubic" ? ResizeFilter::bicubic : ResizeFilter::bilinear;
  if (resize.find("size", false) != nullptr) {
    const auto size = resize.numbers("size");
    if (size.size() != 2 || std::any_of(size.begin(), size.end(), [](double n) { return !(n >= 8 && n <= 1024 && n == std::floor(n)); })) {
      resize.complain("size", "must be [rows, columns], whole numbers from 8 to 1024");
    } else {
      image.rows = static_cast<int>(size[0]);
      image.columns = static_cast<int>(size[1]);
    }
  }
  resize.finish();
  read_channels(one, "mean", image.mean, -1000);
  read_channels(one, "sd", image.sd, 1e-6);
  one.finish();
  if (one.present()) network.scheme = to_canonical_json(*one.node());
  for (const RequiredNetwork& other : manifest.networks)
    if (other.name == network.name && other.on == network.on && other.of == network.of) one.complain("name", "is taken: two networks on one region of one series need two names");
  manifest.networks.push_back(std::move(network));
}

void read_networks(Section& root, PackageManifest& manifest) {
  const DocumentNode* node = root.find("deep", false);
  if (node == nullptr) return;
  if (node->kind == Kind::map) {
    Section one = root.section("deep");
    return read_one_network(one, manifest);
  }
  for (Section& one : root.sections("deep", false)) read_one_network(one, manifest);
  if (manifest.networks.size() > 16) root.complain("deep", "has more than 16 networks");
}

const std::vector<std::string>& time_units() {
  static const std::vector<std::string> units{"day", "month", "year"};
  return units;
}

// Parameters of the feature maps, and the columns of features.csv that may give them.
const std::map<std::string, std::vector<std::string>>& feature_map_params() {
  static const std::map<std::string, std::vector<std::string>> params{
      {"standard", {"mean", "scale"}}, {"mean_range", {"mean", "range"}}, {"min_max", {"min", "max"}}, {"robust", {"centre", "scale"}}, {"impute", {"values"}}};
  return params;
}

CalibratedModel::Calibrator read_calibrator(Section& params) {
  CalibratedModel::Calibrator calibrator;
  calibrator.isotonic = params.word("method", {"sigmoid", "isotonic"}) == "isotonic";
  if (!calibrator.isotonic) {
    calibrator.a = params.number("a", true).value_or(0);
    calibrator.b = params.number("b", true).value_or(0);
    return calibrator;
  }
  calibrator.x = params.numbers("x");
  calibrator.y = params.numbers("y");
  if (calibrator.x.empty() || calibrator.x.size() != calibrator.y.size()) params.complain("x", "and y must have as many numbers, at least one");
  if (calibrator.x.size() > 100'000) params.complain("x", "has more than 100000 numbers");
  for (std::size_t n = 0; n < std::min(calibrator.x.size(), calibrator.y.size()); ++n) {
    if (n > 0 && !(calibrator.x[n - 1] < calibrator.x[n])) params.complain("x", "must ascend");
    if (n > 0 && calibrator.y[n] < calibrator.y[n - 1]) params.complain("y", "must not fall");
    if (!(calibrator.y[n] >= 0 && calibrator.y[n] <= 1)) params.complain("y", "must hold probabilities of 0 to 1");
  }
  return calibrator;
}

void read_stages(Section& root, PackageManifest& manifest) {
  std::set<std::string> seen{"radiomic", "clinical", "deep", "habitat", "table", "features"};
  for (Section& one : root.sections("stages", true)) {
    StageSpec stage;
    stage.id = one.text("id", true, 64);
    if (!is_identifier(stage.id, "-_", 64)) one.complain("id", "must be made of letters, digits, - and _");
    if (!seen.insert(stage.id).second) one.complain("id", "'" + stage.id + "' is taken");
    stage.type = one.word("type", {"standard", "mean_range", "min_max", "robust", "impute", "combat", "calibration", "onnx", "linear", "tree_ensemble", "svm", "gaussian_nb", "mlp", "calibrated", "knn", "gp_laplace", "cox"});
    stage.in = one.words("in", true);
    if (const auto map = feature_map_params().find(stage.type); map != feature_map_params().end()) {
      Section params = one.section("params", true);
      if (params.find("from", false) != nullptr) {
        stage.from_features = params.text("from") == "features.csv";
        if (!stage.from_features) params.complain("from", "must be features.csv");
        if (stage.type == "robust") params.complain("from", "cannot give centre and scale of a robust stage, which features.csv does not hold");
      } else {
        for (const std::string& key : map->second) stage.params[key] = params.numbers(key);
      }
      params.finish();
      if (stage.type == "min_max") stage.clip = one.flag("clip", false);
    } else if (stage.type == "combat") {
      stage.file = one.text("params");
      if (one.word("unknown_site", {"refuse", "reference"}, "refuse") == "reference") stage.unknown_site = UnknownSite::reference;
    } else if (stage.type == "calibration") {
      Section params = one.section("params", true);
      stage.calibrator = read_calibrator(params);
      params.finish();
    } else {
      stage.file = one.text("file");
      stage.format = one.word("format", model_formats(), stage.type == "onnx" ? "onnx" : "ir");
      if (stage.type == "onnx") {
        if (stage.format != "onnx") one.complain("format", "of an onnx stage is onnx");
        stage.onnx.input = one.text("input", false, 256);
        stage.onnx.output = one.text("output", false, 256);
        stage.onnx.score = one.text("score", false, 256);
        stage.onnx.chosen_class = one.integer("class", 0, 999);
      } else if (stage.format == "onnx") {
        one.complain("format", "onnx is that of stages of the type onnx alone");
      }
      if (one.find("iterations", false) != nullptr) stage.iterations = one.integer("iterations", 1, 1'000'000).value_or(0);
      if (stage.iterations > 0 && !stage.format.starts_with("xgboost")) one.complain("iterations", "can be stated for xgboost only");
      if (stage.type == "cox" && one.find("time_unit", false) != nullptr) stage.time_unit = one.word("time_unit", time_units());
      if (one.find("link", false) != nullptr) stage.link = one.word("link", {"identity", "logistic", "softmax", "exponential", "step", "softplus", "square"});
    }
    one.finish();
    manifest.stages.push_back(std::move(stage));
  }
  if (manifest.stages.empty()) root.complain("stages", "must name at least one stage");
}

void read_outputs(Section& root, PackageManifest& manifest) {
  std::set<std::string> names;
  int primaries = 0;
  for (Section& one : root.sections("outputs", true)) {
    OutputSpec output;
    output.from = one.text("from", true, 64);
    output.name = one.text("name", true, 64);
    if (!names.insert(output.name).second) one.complain("name", "'" + output.name + "' is taken");
    output.endpoint = one.text("endpoint", false, 11);
    if (output.endpoint.empty())
      for (const char c : output.name)
        if (output.endpoint.size() < 11 && std::isalnum(static_cast<unsigned char>(c)) != 0)
          output.endpoint += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (output.endpoint.empty() || !std::all_of(output.endpoint.begin(), output.endpoint.end(), [](char c) {
          return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        }))
      one.complain("endpoint", "must be 1 to 11 capital letters, digits and _");
    output.unit = one.text("unit", false, 16);  // decided with the stage's link when nothing is said
    output.decimals = one.integer("decimals", 0, 15).value_or(-1);  // decided with the unit
    output.primary = one.flag("primary", false);
    output.both_classes = one.flag("both_classes", false);
    output.horizon = one.number("horizon");
    if (one.find("time_unit", false) != nullptr) output.time_unit = one.word("time_unit", time_units());
    if (output.horizon && !(*output.horizon > 0)) one.complain("horizon", "must be above zero");
    primaries += output.primary ? 1 : 0;
    one.finish();
    manifest.outputs.push_back(std::move(output));
  }
  if (manifest.outputs.empty()) return root.complain("outputs", "must name at least one output");
  if (primaries > 1) root.complain("outputs", "has more than one primary output");
  if (primaries == 0) manifest.outputs.front().primary = true;
  for (const OutputSpec& output : manifest.outputs)
    if (output.primary) manifest.endpoint = output.endpoint;
}

void read_thresholds(Section& root, PackageManifest& manifest) {
  for (Section& one : root.sections("thresholds", false)) {
    ThresholdSpec threshold;
    threshold.on = one.text("on", true, 64);
    threshold.value = one.number("value", true).value_or(0);
    threshold.label = one.text("label", true, 64);
    threshold.otherwise = one.text("otherwise", false, 64);
    const std::vector<std::string> risks{"high", "moderate", "low"};
    if (one.find("risk", false) != nullptr) threshold.risk = one.word("risk", risks);
    if (one.find("otherwise_risk", false) != nullptr) threshold.otherwise_risk = one.word("otherwise_risk", risks);
    threshold.source = one.text("source", false);
    one.finish();
    manifest.thresholds.push_back(std::move(threshold));
  }
  std::stable_sort(manifest.thresholds.begin(), manifest.thresholds.end(),
                   [](const ThresholdSpec& a, const ThresholdSpec& b) { return a.value < b.value; });
}

MissingRule missing_rule_of(Section& section, const std::string& key) {
  return section.word(key, {"refuse", "pass"}) == "pass" ? MissingRule::pass : MissingRule::refuse;
}

void read_robustness(Section section, PackageManifest& manifest) {
  if (!section.present()) return;
  RobustnessSpec how;
  how.count = section.integer("count", 5, 200).value_or(how.count);
  how.seed = section.integer("seed", 0, 2'000'000'000).value_or(how.seed);
  const auto bounded = [&](const char* key, double low, double high, double& target) {
    const auto value = section.number(key);
    if (!value) return;
    if (!(*value >= low && *value <= high)) section.complain(key, "must lie between " + short_text(low) + " and " + short_text(high));
    target = *value;
  };
  bounded("translation_mm", 0, 10, how.translation_mm);
  bounded("rotation_deg", 0, 30, how.rotation_deg);
  bounded("boundary_mm", 0, 10, how.boundary_mm);
  bounded("coverage", 0.5, 1, how.coverage);
  bounded("moved_sd", 0, 100, how.moved_sd);
  section.finish();
  manifest.robustness = how;
}

void read_rules(Section& root, PackageManifest& manifest) {
  Section explain = root.section("explain");
  if (explain.present())
    for (const auto& field : explain.node()->fields) {
      Section one = explain.section(field.key, true);
      ExplainSpec spec;
      spec.method = one.word("method", {"tree_path_dependent", "tree_interventional", "linear", "product_kernel", "additive", "enumeration", "permutation", "none"});
      one.word("space", {"margin"}, "margin");
      Section mean = one.section("mean");
      if (mean.present())
        for (const auto& input : mean.node()->fields) spec.mean[input.key] = mean.number(input.key, true).value_or(0);
      one.finish();
      manifest.explain[field.key] = std::move(spec);
    }
  Section missing = root.section("missing");
  for (const std::string kind : {"radiomic", "clinical", "deep", "habitat", "table"}) {
    const DocumentNode* rule = missing.find(kind, false);
    if (rule == nullptr) continue;
    if (rule->kind == Kind::map) {
      Section by_feature = missing.section(kind);
      for (const auto& field : rule->fields) {
        const std::string id = kind == "clinical" && !field.key.starts_with("clinical.") ? "clinical." + field.key : field.key;
        manifest.missing_by_feature[id] = missing_rule_of(by_feature, field.key);
      }
    } else {
      manifest.missing_by_kind[kind] = missing_rule_of(missing, kind);
    }
  }
  missing.finish();
  Section uncertainty = root.section("uncertainty");
  manifest.guard.enabled = false;
  if (uncertainty.find("quantile_guard", false) != nullptr) {
    manifest.guard.enabled = true;
    // features.csv stores these two quantiles; other ones could not be checked.
    if (uncertainty.numbers("quantile_guard") != std::vector<double>{0.01, 0.99})
      uncertainty.complain("quantile_guard", "must be [0.01, 0.99], the quantiles that features.csv stores");
  }
  manifest.guard.max_flagged = uncertainty.integer("max_flagged", 0, 100'000).value_or(0);
  manifest.guard.withhold = uncertainty.word("beyond", {"flag", "withhold"}, "flag") == "withhold";
  Section distance = uncertainty.section("distance");
  if (distance.present()) {
    manifest.guard.distance_file = distance.text("file");
    manifest.guard.distance_withhold = distance.word("beyond", {"flag", "withhold"}, "flag") == "withhold";
    distance.finish();
  }
  uncertainty.finish();
  read_robustness(root.section("robustness"), manifest);
  Section calibration = root.section("calibration");
  calibration.word("method", {"none"}, "none");
  calibration.skip("evidence");
  calibration.finish();
}

void read_selftest(Section& root, PackageManifest& manifest) {
  Section selftest = root.section("selftest", true);
  manifest.selftest_file = selftest.text("file");
  Section tolerance = selftest.section("tolerance");
  if (const auto stages = tolerance.number("stages")) {
    manifest.selftest_tolerance = *stages;
    // A wide tolerance would let any model in; 1e-3 is room for a network in float32.
    if (*stages < 0 || *stages > 1e-3) tolerance.complain("stages", "must lie between 0 and 0.001");
  }
  tolerance.skip("radiomic");
  if (const auto deep = tolerance.number("deep")) {
    manifest.deep_tolerance = *deep;
    if (*deep < 0 || *deep > 1e-3) tolerance.complain("deep", "must lie between 0 and 0.001");
  }
  tolerance.finish();
  selftest.finish();
}

}  // namespace

Result<PackageManifest> read_manifest(std::string_view yaml) {
  const auto document = read_yaml(yaml, "manifest.yaml");
  if (!document) return fail(document.error());
  Problem problem;
  PackageManifest manifest;
  Section root(&*document, "", problem);
  if (root.present()) {
    if (const std::string format = root.text("format", true, 64); !problem.error && format != "choana-model/1")
      root.complain("format", "is '" + format + "'; this version of Choana reads choana-model/1");
    manifest.id = root.text("id", true, 64);
    if (!is_identifier(manifest.id, "-_.", 64)) root.complain("id", "must be made of letters, digits, -, _ and .");
    manifest.version = root.text("version", true, 32);
    if (!is_identifier(manifest.version, "-_.+", 32)) root.complain("version", "must be made of letters, digits, -, _, + and .");
    manifest.title = root.text("title", true, 200);
    manifest.status = root.word("status", {"demonstration", "research", "clinical"});
    read_intended_use(root, manifest);
    read_inputs(root, manifest);
    read_preprocessing(root, manifest);
    read_habitats(root, manifest);
    read_networks(root, manifest);
    Section extraction = root.section("extraction");
    if (extraction.present())
      for (const auto& field : extraction.node()->fields) manifest.extraction_file[field.key] = extraction.text(field.key);
    manifest.features_file = root.text("features");
    read_stages(root, manifest);
    read_outputs(root, manifest);
    read_thresholds(root, manifest);
    read_rules(root, manifest);
    manifest.performance_file = root.text("performance", false);
    manifest.background_file = root.text("background", false);
    read_selftest(root, manifest);
    root.skip("provenance");  // for people: publication, versions, training data
    Section integrity = root.section("integrity");
    if (const std::string sums = integrity.text("sums", false); !sums.empty() && sums != "SHA256SUMS") integrity.complain("sums", "must be SHA256SUMS");
    if (const std::string signature = integrity.text("signature", false); !signature.empty() && signature != "SHA256SUMS.sig") integrity.complain("signature", "must be SHA256SUMS.sig");
    manifest.key_id = integrity.text("key_id", false, 80);
    integrity.finish();
    root.finish();
  }
  if (problem.error) return fail(*problem.error);
  return manifest;
}

Result<std::vector<PackageFeature>> read_package_features(std::string_view csv) {
  const std::string name = "features.csv";
  const auto refuse = [&](const std::string& what) { return fail(ErrorCode::invalid_package, "read_features", name + " " + what); };
  auto table = read_table(csv, name, 20'000, 32);
  if (!table) return fail(table.error().code == ErrorCode::limit_exceeded ? ErrorCode::limit_exceeded : ErrorCode::invalid_package, "read_features", table.error().message);
  const std::vector<std::string> required{"order", "id", "role", "roi", "kind", "feature", "unit", "train_mean", "train_sd", "q01", "q99"};
  std::vector<std::string> known = required;
  known.insert(known.end(), {"icc", "label", "train_min", "train_max"});
  for (const std::string& column : required)
    if (!table->find(column)) return refuse("lacks the column '" + column + "'.");
  for (const std::string& column : table->columns)
    if (std::find(known.begin(), known.end(), column) == known.end())
      return refuse("has the unknown column '" + column.substr(0, 64) + "'." + did_you_mean(column, known));
  if (table->rows.empty()) return refuse("names no feature.");
  std::vector<PackageFeature> features;
  std::set<std::string> ids;
  for (std::size_t r = 0; r < table->rows.size(); ++r) {
    const auto cell = [&](const std::string& column) -> const std::string& { return table->rows[r][*table->find(column)]; };
    const std::string at = " (row " + std::to_string(r + 1) + ").";
    PackageFeature feature;
    const auto order = parse_number(cell("order"));
    if (!order || *order < 1 || *order > static_cast<double>(table->rows.size()) || *order != std::floor(*order))
      return refuse("must number its features 1, 2, 3, ... in the column order" + at);
    feature.order = static_cast<int>(*order);
    feature.id = cell("id");
    if (feature.id.empty() || feature.id.size() > 256 || !ids.insert(feature.id).second)
      return refuse("needs an id of its own for every feature" + at);
    for (const char c : feature.id)
      if (static_cast<unsigned char>(c) < 0x20) return refuse("has a control character in an id" + at);
    feature.role = cell("role");
    feature.roi = cell("roi");
    feature.kind = cell("kind");
    feature.feature = cell("feature");
    if (!cell("unit").empty()) feature.unit = cell("unit");
    const std::vector<std::string> kinds{"radiomic", "clinical", "deep", "habitat", "table"};
    if (std::find(kinds.begin(), kinds.end(), feature.kind) == kinds.end())
      return refuse("has the kind '" + feature.kind.substr(0, 32) + "'; known are " + join(kinds) + at);
    if (feature.kind != "clinical" && feature.kind != "table" && (feature.role.empty() || feature.roi.empty() || feature.feature.empty()))
      return refuse("must say role, roi and feature for everything that is measured on images" + at);
    for (const auto& [column, target] : {std::pair<const char*, double*>{"train_mean", &feature.train_mean},
                                         {"train_sd", &feature.train_sd},
                                         {"q01", &feature.q01},
                                         {"q99", &feature.q99},
                                         {"train_min", &feature.train_min},
                                         {"train_max", &feature.train_max}}) {
      if (!table->find(column) || cell(column).empty()) {
        *target = std::numeric_limits<double>::quiet_NaN();
        continue;
      }
      const auto number = parse_number(cell(column));
      if (!number) return refuse("has '" + cell(column).substr(0, 32) + "' in the column " + column + ", which is not a finite number" + at);
      *target = *number;
    }
    if (feature.train_min > feature.train_max) return refuse("has a train_min above its train_max" + at);
    if (feature.train_sd < 0) return refuse("has a negative train_sd" + at);
    if (feature.q01 > feature.q99) return refuse("has a q01 above its q99" + at);
    features.push_back(std::move(feature));
  }
  std::sort(features.begin(), features.end(), [](const auto& a, const auto& b) { return a.order < b.order; });
  for (std::size_t n = 0; n < features.size(); ++n)
    if (features[n].order != static_cast<int>(n) + 1) return refuse("gives two features the order " + std::to_string(features[n].order) + ".");
  return features;
}

}  // namespace choana::processing
