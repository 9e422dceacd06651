#include "node/commands/model_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "processing/prediction/model_package.h"

namespace choana::node {
namespace {

using nlohmann::ordered_json;
using processing::ModelPackage;
using processing::PackageManifest;

ordered_json json_of(const Error& error) { return {{"code", to_string(error.code)}, {"text", error.message}}; }

ordered_json json_of(const ModelPackage& package) {
  const PackageManifest& manifest = package.manifest();
  ordered_json json{{"id", manifest.id},
                    {"version", manifest.version},
                    {"title", manifest.title},
                    {"status", manifest.status},
                    {"sha256", package.sha256()},
                    {"intended_use", manifest.intended_use},
                    {"outcome", manifest.outcome},
                    {"performance", manifest.performance},
                    {"required_roles", manifest.required_roles}};
  for (const auto& sequence : manifest.sequences)
    json["sequences"].push_back({{"role", sequence.role}, {"required", sequence.required}, {"accepts", sequence.accepts}});
  for (const auto& roi : manifest.rois) json["rois"].push_back({{"name", roi.name}, {"names", roi.name_patterns}, {"of", roi.of_roles}});
  for (const auto& step : manifest.preprocessing)
    json["preprocessing"].push_back({{"step", step.step}, {"parameters", ordered_json::parse(step.parameters_json)}});
  for (const auto& feature : manifest.features) json["features"].push_back({{"id", feature.id}, {"kind", feature.kind}, {"unit", feature.unit}});
  json["stages"] = package.stage_summary();
  for (const auto& output : manifest.outputs)
    json["outputs"].push_back({{"name", output.name}, {"from", output.from}, {"endpoint", output.endpoint}, {"unit", output.unit}, {"primary", output.primary}});
  for (const auto& threshold : manifest.thresholds)
    json["thresholds"].push_back({{"on", threshold.on}, {"value", threshold.value}, {"label", threshold.label}, {"otherwise", threshold.otherwise}});
  json["selftest"] = {{"rows", package.selftest_rows()}, {"largest_deviation", package.selftest_deviation()}, {"tolerance", manifest.selftest_tolerance}};
  return json;
}

std::string join(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

void print(const ModelPackage& package) {
  const PackageManifest& manifest = package.manifest();
  std::cout << manifest.title << "\n  " << manifest.id << " " << manifest.version << ", status " << manifest.status << "\n  sha256 " << package.sha256()
            << "\nIntended use\n  " << manifest.intended_use << "\n";
  if (!manifest.outcome.empty()) std::cout << "Outcome\n  " << manifest.outcome << "\n";
  if (!manifest.performance.empty()) std::cout << "Performance\n  " << manifest.performance << "\n";
  std::cout << "Needs\n";
  for (const auto& sequence : manifest.sequences)
    std::cout << "  " << sequence.role << (sequence.required ? "" : " (optional)") << ": a series taken for " << join(sequence.accepts, " or ") << "\n";
  for (const auto& roi : manifest.rois)
    std::cout << "  region " << roi.name << " on " << join(roi.of_roles, ", ") << ", delineated as " << join(roi.name_patterns, " | ") << "\n";
  for (const auto& clinical : manifest.clinical)
    std::cout << "  " << clinical.name << " (" << clinical.unit << ")" << (clinical.required ? "" : ", optional") << "\n";
  if (!manifest.preprocessing.empty()) std::cout << "Preparation\n";
  for (const auto& step : manifest.preprocessing) std::cout << "  " << step.step << " " << step.parameters_json << "\n";
  std::cout << "Features (" << manifest.features.size() << ")\n";
  for (std::size_t f = 0; f < manifest.features.size() && f < 200; ++f) std::cout << "  " << manifest.features[f].id << "\n";
  if (manifest.features.size() > 200) std::cout << "  and " << manifest.features.size() - 200 << " more (--json lists all)\n";
  std::cout << "Stages\n";
  for (const std::string& line : package.stage_summary()) std::cout << "  " << line << "\n";
  std::cout << "Outputs\n";
  for (const auto& output : manifest.outputs)
    std::cout << "  " << output.name << " (" << output.unit << ") from " << output.from << ", endpoint " << output.endpoint << (output.primary ? ", primary" : "") << "\n";
  for (const auto& threshold : manifest.thresholds)
    std::cout << "  " << threshold.on << " >= " << threshold.value << ": " << threshold.label << (threshold.otherwise.empty() ? "" : "; below: " + threshold.otherwise) << "\n";
}

void print_admission(const ModelPackage& package) {
  std::cout << package.manifest().id << " " << package.manifest().version << " (" << package.manifest().status << "): admitted; files match SHA256SUMS; self-test "
            << package.selftest_rows() << " rows reproduced, largest deviation " << package.selftest_deviation() << " (tolerance "
            << package.manifest().selftest_tolerance << ")\n";
}

// One package after the other, as text or as one JSON list; whether all were admitted.
bool report(const std::vector<std::string>& folders, bool as_json, bool whole) {
  bool all = true;
  auto list = ordered_json::array();
  for (const std::string& folder : folders) {
    const auto package = ModelPackage::load(folder);
    all = all && package.has_value();
    if (as_json) {
      ordered_json one{{"package", folder}, {"admitted", package.has_value()}};
      if (!package)
        one["reason"] = json_of(package.error());
      else
        one.update(json_of(*package));
      list.push_back(std::move(one));
    } else if (!package) {
      std::cerr << folder << ": refused: " << to_string(package.error()) << "\n";
    } else if (whole) {
      print(*package);
    } else {
      print_admission(*package);
    }
  }
  if (as_json) std::cout << list.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  std::cout << std::flush;
  return all;
}

}  // namespace

int run_model(int argc, char** argv) {
  CLI::App app{"Admit model packages and say what they are.", "choana model"};
  app.require_subcommand(1);
  std::vector<std::string> packages;
  std::string folder = "/etc/choana/models";
  bool as_json = false;
  CLI::App* check = app.add_subcommand("check", "hold packages against their checksums and self-tests");
  CLI::App* show = app.add_subcommand("show", "what a package needs, computes and reports");
  CLI::App* list = app.add_subcommand("list", "the packages in a folder");
  for (CLI::App* command : {check, show}) command->add_option("PACKAGE", packages, "folder of a model package")->required();
  list->add_option("FOLDER", folder, "folder with package folders")->capture_default_str();
  for (CLI::App* command : {check, show, list}) command->add_flag("--json", as_json, "print JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  std::error_code error;
  if (list->parsed()) {
    if (!std::filesystem::is_directory(folder, error)) {
      std::cerr << "choana model list: there is no folder " << folder << "\n";
      return 2;
    }
    for (const auto& entry : std::filesystem::directory_iterator(folder, error))
      if (std::filesystem::exists(entry.path() / "manifest.yaml", error)) packages.push_back(entry.path().string());
    std::sort(packages.begin(), packages.end());
  } else {
    for (const std::string& package : packages)
      if (!std::filesystem::is_directory(package, error)) {
        std::cerr << "choana model: there is no package folder " << package << "\n";
        return 2;
      }
  }
  return report(packages, as_json, show->parsed()) ? 0 : 1;
}

}  // namespace choana::node
