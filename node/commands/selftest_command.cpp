#include "node/commands/selftest_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "core/version.h"
#include "node/data_files.h"
#include "node/settings_reader.h"
#include "processing/prediction/model_package.h"
#include "processing/radiomics/ibsi/phantom_selftest.h"

namespace choana::node {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using processing::ibsi::ModeCheck;
using processing::ibsi::PhantomCheck;
using processing::ibsi::PhantomSelftest;

constexpr const char* installed_packages = "/etc/choana/models";

/// "0.1234" with enough digits to see a difference from a reference of three.
std::string shown(double value) {
  if (std::isnan(value)) return "none";
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

ordered_json json_number(double value) { return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr); }

template <typename Check>
std::size_t passed(const std::vector<Check>& checks) {
  return static_cast<std::size_t>(std::count_if(checks.begin(), checks.end(), [](const Check& check) { return check.passed; }));
}

void print_row(const std::vector<std::string>& cells, const std::vector<int>& widths) {
  std::string line;
  for (std::size_t at = 0; at < cells.size(); ++at) {
    line += cells[at];
    const auto width = static_cast<std::size_t>(widths[at]);
    if (at + 1 < cells.size()) line.append(cells[at].size() < width ? width - cells[at].size() : 0, ' ').append("  ");
  }
  std::cout << line << "\n";
}

void print_tables(const PhantomSelftest& selftest) {
  std::cout << "IBSI digital phantom (reference manual, arXiv 1612.07003; reference values CC BY 4.0)\n\n";
  const std::vector<int> widths{22, 4, 21, 12, 10, 9, 4};
  print_row({"feature", "code", "aggregation", "value", "reference", "tolerance", ""}, widths);
  for (const PhantomCheck& check : selftest.checks)
    print_row({check.feature, check.code, check.aggregation, shown(check.value), shown(check.reference), shown(check.tolerance), check.passed ? "pass" : "FAIL"}, widths);
  std::cout << "\nThe same features in PyRadiomics mode (binWidth 1; 3D_merged: weightingNorm no_weighting)\n\n";
  const std::vector<int> mode_widths{44, 4, 11, 12, 12, 4, 0};
  print_row({"feature", "code", "aggregation", "IBSI", "PyRadiomics", "", "difference"}, mode_widths);
  for (const ModeCheck& mode : selftest.modes)
    print_row({mode.pyradiomics, mode.code, mode.aggregation, shown(mode.ibsi), shown(mode.value), mode.passed ? "pass" : "FAIL", mode.difference.empty() ? "none" : mode.difference}, mode_widths);
  std::cout << "\nOther differences between the modes (discretisation, interpolation, masks, filters): docs/radiomics.md.\n\n";
}

ordered_json json_of(const PhantomSelftest& selftest, bool rows) {
  ordered_json ibsi{{"passed", passed(selftest.checks)}, {"of", selftest.checks.size()}};
  ordered_json modes{{"passed", passed(selftest.modes)}, {"of", selftest.modes.size()}};
  if (rows) {
    for (const PhantomCheck& check : selftest.checks)
      ibsi["values"].push_back({{"feature", check.feature}, {"code", {{"scheme", "IBSI"}, {"value", check.code}}}, {"aggregation", check.aggregation},
                                {"value", json_number(check.value)}, {"reference", check.reference}, {"tolerance", check.tolerance}, {"passed", check.passed}});
    for (const ModeCheck& mode : selftest.modes)
      modes["values"].push_back({{"feature", mode.pyradiomics}, {"code", {{"scheme", "IBSI"}, {"value", mode.code}}}, {"aggregation", mode.aggregation}, {"ibsi", json_number(mode.ibsi)},
                                 {"pyradiomics", json_number(mode.value)}, {"expected", mode.expected}, {"tolerance", mode.tolerance}, {"difference", mode.difference},
                                 {"passed", mode.passed}});
  }
  return {{"ibsi", ibsi}, {"pyradiomics", modes}};
}

/// Packages that come with Choana, those installed, and those of a settings file.
std::vector<fs::path> packages_to_check(const NodeSettings* settings) {
  std::set<fs::path> folders;
  for (const std::string& name : shipped_packages()) folders.insert(data_dir() / "models" / name);
  std::error_code failed;
  for (auto entry = fs::directory_iterator(installed_packages, failed); !failed && entry != fs::directory_iterator(); entry.increment(failed))
    if (fs::exists(entry->path() / "manifest.yaml", failed) || entry->path().extension() == ".zip") folders.insert(entry->path());
  if (settings != nullptr) {
    for (const PackageSettings& package : settings->packages) {
      const auto folder = find_package(package.path.string());
      folders.insert(folder ? *folder : fs::path(package.path));
    }
  }
  return {folders.begin(), folders.end()};
}

struct PackageCheck {
  fs::path folder;
  std::string name;
  std::string problem;   // empty: admitted
  std::size_t rows = 0;
};

PackageCheck check_package(const fs::path& folder) {
  const auto package = processing::ModelPackage::load(folder);
  if (!package) return {folder, folder.filename().string(), to_string(package.error()), 0};
  return {folder, package->manifest().id + " " + package->manifest().version, "", package->selftest_rows()};
}

}  // namespace

int run_selftest(int argc, char** argv) {
  CLI::App app{"Compute what is known and compare: the IBSI digital phantom in both modes, and the self-tests of model packages.", "choana selftest"};
  bool table = false;
  bool as_json = false;
  std::string config;
  app.add_flag("--ibsi", table, "print every IBSI reference value with ours, and where PyRadiomics mode differs; packages are left out");
  app.add_option("--config", config, "settings file whose packages are checked, too");
  app.add_flag("--json", as_json, "print JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  std::optional<NodeSettings> settings;
  if (!config.empty()) {
    auto read = read_settings(config);
    if (!read) {
      std::cerr << read.error().message << "\n";
      return 2;
    }
    settings = std::move(*read);
  }
  const auto selftest = processing::ibsi::run_phantom_selftest();
  if (!selftest) {
    std::cerr << "choana selftest: the digital phantom cannot be measured: " << to_string(selftest.error()) << "\n";
    return 1;
  }
  bool good = passed(selftest->checks) == selftest->checks.size() && passed(selftest->modes) == selftest->modes.size();
  std::vector<PackageCheck> packages;
  if (!table)
    for (const fs::path& folder : packages_to_check(settings ? &*settings : nullptr)) packages.push_back(check_package(folder));
  for (const PackageCheck& package : packages) good = good && package.problem.empty();

  if (as_json) {
    ordered_json json{{"format", "choana-selftest/1"}, {"version", version}, {"passed", good}};
    json.update(json_of(*selftest, table));
    if (!table) {
      json["packages"] = ordered_json::array();
      for (const PackageCheck& package : packages)
        json["packages"].push_back({{"package", package.name}, {"admitted", package.problem.empty()}, {"rows", package.rows}, {"reason", package.problem}});
    }
    std::cout << json.dump(1, ' ', false, ordered_json::error_handler_t::replace) << "\n" << std::flush;
    return good ? 0 : 1;
  }
  if (table) print_tables(*selftest);
  std::cout << "IBSI mode: " << passed(selftest->checks) << " of " << selftest->checks.size() << " reference values of the digital phantom\n";
  const auto differing = std::count_if(selftest->modes.begin(), selftest->modes.end(), [](const ModeCheck& mode) { return !mode.difference.empty(); });
  std::cout << "PyRadiomics mode: " << passed(selftest->modes) << " of " << selftest->modes.size() << " as expected (" << differing << " by a stated difference)\n";
  for (const PackageCheck& package : packages) {
    if (package.problem.empty()) std::cout << "package " << package.name << ": admitted, self-test " << package.rows << " rows\n";
    else std::cerr << "package " << package.name << ": refused: " << package.problem << "\n";
  }
  if (!table && packages.empty()) std::cout << "no model package is installed\n";
  std::cout << (good ? "passed" : "FAILED") << "\n" << std::flush;
  return good ? 0 : 1;
}

}  // namespace choana::node
