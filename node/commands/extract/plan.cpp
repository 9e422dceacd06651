#include "node/commands/extract/plan.h"

#include <filesystem>

#include "core/near_match.h"
#include "node/commands/extract/batch_table.h"
#include "node/commands/extract/output.h"
#include "node/data_files.h"

namespace choana::node::extract {
namespace {

namespace fs = std::filesystem;

}  // namespace

Result<Plan> make_plan(const Options& options) {
  Plan plan;
  plan.profile = processing::default_profile();
  if (!options.param.empty()) {
    const auto file = find_profile(options.param);
    if (!file) return fail(file.error());
    const auto text = read_text(*file);
    if (!text) return fail(text.error());
    if (processing::ibsi::is_ibsi_profile(*text)) {
      auto parsed = processing::ibsi::parse_ibsi_profile(*text, file->stem().string());
      if (!parsed) return fail(parsed.error());
      plan.profile.settings.label = parsed->label;
      plan.ibsi = std::move(*parsed);
      if (!options.save_images.empty()) return fail(ErrorCode::invalid_profile, "extract", "--save-images writes the images of PyRadiomics mode; IBSI mode has none to write yet.");
      if (options.mode == "voxel") return fail(ErrorCode::invalid_profile, "extract", "IBSI mode measures regions; voxel maps are PyRadiomics' alone.");
      if (!options.settings.empty())
        return fail(ErrorCode::invalid_profile, "extract", "--setting changes PyRadiomics' settings; those of IBSI mode stand in the parameter file.");
    } else {
      auto parsed = processing::parse_profile(*text, file->stem().string());
      if (!parsed) return fail(parsed.error());
      plan.profile = std::move(*parsed);
    }
  }
  for (const std::string& setting : options.settings) {
    const std::size_t colon = setting.find(':');
    if (colon == std::string::npos) return fail(ErrorCode::invalid_profile, "extract", "A setting is written NAME:VALUE; '" + setting + "' has no colon.");
    const std::string name = setting.substr(0, colon), value = setting.substr(colon + 1);
    if (auto status = processing::override_setting(plan.profile, name, value); !status) {
      Error error = status.error();
      const bool decimal_comma = value.size() > 2 && value.find_first_not_of("0123456789,-") == std::string::npos && value.find(',') != std::string::npos;
      if (decimal_comma) error.message += " The decimal mark is a point.";
      return fail(std::move(error));
    }
  }
  plan.labels.labels = {plan.profile.settings.label};
  if (options.labels) {
    plan.labels = *options.labels;
    if (!plan.labels.several)
      if (auto status = processing::override_setting(plan.profile, "label", std::to_string(plan.labels.labels.front())); !status) return fail(status.error());
  }
  plan.union_of_labels = options.union_of_labels;
  plan.components = options.components;
  plan.details = !options.details.empty();
  plan.voxel_maps = options.mode == "voxel";
  // As pyradiomics: without a folder, the one the command runs in.
  if (plan.voxel_maps) {
    plan.maps_folder = options.out_dir.empty() ? "." : options.out_dir;
    plan.profile.written.emplace_back("voxelBased", "True");  // as pyradiomics' diagnostics say it
  }
  plan.images_folder = options.save_images;
  std::string labels = plan.labels.all ? "\"all\"" : "[";
  if (!plan.labels.all) {
    for (std::size_t n = 0; n < plan.labels.labels.size(); ++n) labels += (n == 0 ? "" : ",") + std::to_string(plan.labels.labels[n]);
    labels += "]";
  }
  plan.canonical = "{\"components\":" + std::string(plan.components ? "true" : "false") + ",\"labels\":" + labels + ",\"mode\":" + json_quoted(options.mode) +
                   ",\"profile\":" + (plan.ibsi ? processing::ibsi::canonical_json(*plan.ibsi) : processing::canonical_json(plan.profile)) + ",\"union\":" + (plan.union_of_labels ? "true" : "false") + "}";
  return plan;
}

}  // namespace choana::node::extract
