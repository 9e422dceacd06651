#include "node/commands/model_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "node/data_files.h"
#include "processing/prediction/model_import.h"
#include "processing/prediction/model_package.h"
#include "processing/prediction/package_archive.h"
#include "processing/prediction/package_files.h"
#include "processing/prediction/package_signature.h"

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
                    {"signed_by", manifest.key_id.empty() ? ordered_json() : ordered_json(manifest.key_id)},
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
            << package.manifest().selftest_tolerance << ")"
            << (package.manifest().key_id.empty() ? std::string("; not signed") : "; signed by " + package.manifest().key_id) << "\n";
}

Result<std::string> read_text(const std::string& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  if (error) return fail(ErrorCode::not_found, "read_file", "Cannot read the file " + file + ".");
  if (size > processing::package_bytes_max) return fail(ErrorCode::limit_exceeded, "read_file", file + " is larger than a package may be.");
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return fail(ErrorCode::io_error, "read_file", "Cannot read the file " + file + ".");
  return std::move(text).str();
}

// A folder, or a zip file where the name says so.
Status write_package(const processing::PackageFiles& files, const std::string& path) {
  if (!path.ends_with(".zip")) return processing::write_package_folder(files, path);
  std::error_code error;
  if (std::filesystem::exists(path, error)) return fail(ErrorCode::invalid_argument, "write_package", path + " exists; name another file.");
  return processing::write_package_archive(files, path);
}

int complain(const std::string& command, const Error& error) {
  std::cerr << "choana model " << command << ": " << error.message << "\n";
  return error.code == ErrorCode::not_found || error.code == ErrorCode::invalid_argument ? 2 : 1;
}

struct ImportOptions {
  std::string file, features, selftest, background, out, id;
  processing::ImportRequest request;
};

// "models/npc response.json" -> "npc-response": an id may hold letters, digits, -, _ and .
std::string id_from(const std::string& path) {
  std::string id;
  for (const char c : std::filesystem::path(path).filename().replace_extension().string())
    id += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' ? c : '-';
  while (!id.empty() && std::isalnum(static_cast<unsigned char>(id.front())) == 0) id.erase(0, 1);
  return id.empty() ? "imported-model" : id.substr(0, 64);
}

int import(ImportOptions& options) {
  for (const auto& [file, target] : {std::pair<const std::string&, std::string&>{options.file, options.request.model},
                                     {options.features, options.request.features_csv},
                                     {options.selftest, options.request.selftest_csv},
                                     {options.background, options.request.background_csv}}) {
    if (file.empty()) continue;
    auto text = read_text(file);
    if (!text) return complain("import", text.error());
    target = std::move(*text);
  }
  options.request.id = options.id.empty() ? id_from(options.out) : options.id;
  auto files = processing::import_model(options.request);
  if (!files) return complain("import", files.error());
  // Admitted before it is written: what lies there afterwards is a package.
  const auto package = ModelPackage::admit(*files);
  if (!package) return complain("import", package.error());
  if (const Status status = write_package(*files, options.out); !status) return complain("import", status.error());
  print_admission(*package);
  return 0;
}

int pack(const std::string& folder, std::string out) {
  const auto files = processing::read_package_files(folder);
  if (!files) return complain("pack", files.error());
  if (const auto package = ModelPackage::admit(*files); !package) return complain("pack", package.error());
  if (out.empty()) out = std::filesystem::path(folder.ends_with('/') ? folder.substr(0, folder.size() - 1) : folder).filename().string() + ".zip";
  if (!out.ends_with(".zip")) out += ".zip";
  if (const Status status = write_package(*files, out); !status) return complain("pack", status.error());
  std::cout << out << "\n";
  return 0;
}

int sign(const std::string& path, const std::string& key_file, const std::string& out) {
  auto files = processing::read_package_files(path);
  if (!files) return complain("sign", files.error());
  const auto key = read_text(key_file);
  if (!key) return complain("sign", key.error());
  const auto id = processing::sign_package(*files, *key);
  if (!id) return complain("sign", id.error());
  if (const auto package = ModelPackage::admit(*files); !package) return complain("sign", package.error());
  if (!out.empty()) {
    if (const Status status = write_package(*files, out); !status) return complain("sign", status.error());
  } else {
    // In place: the three files that changed. A zip file is written anew and takes the place of the old one.
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
      for (const char* name : {"manifest.yaml", "SHA256SUMS", "SHA256SUMS.sig"}) {
        std::ofstream file(std::filesystem::path(path) / name, std::ios::binary);
        file << files->content.at(name);
        file.close();
        if (!file) return complain("sign", Error{ErrorCode::io_error, "sign", "Cannot write " + std::string(name) + ".", {}});
      }
    } else if (const Status status = processing::write_package_archive(*files, path); !status) {
      return complain("sign", status.error());
    }
  }
  std::cout << *id << "\n";
  return 0;
}

// One package after the other, as text or as one JSON list; whether all were admitted.
bool report(const std::vector<std::string>& folders, bool as_json, bool whole, const std::vector<std::string>& trusted) {
  bool all = true;
  auto list = ordered_json::array();
  for (const std::string& folder : folders) {
    auto package = ModelPackage::load(folder);
    if (package)
      if (auto trust = processing::check_trust(package->manifest().key_id, trusted); !trust) package = fail(trust.error());
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
  CLI::App* importer = app.add_subcommand("import", "make a package of a model that another program trained");
  CLI::App* packer = app.add_subcommand("pack", "write a package as one zip file, byte for byte the same each time");
  CLI::App* signer = app.add_subcommand("sign", "sign a package with an Ed25519 key");
  ImportOptions options;
  importer->add_option("FILE", options.file, "the model as its library saved it")->required();
  importer->add_option("--format", options.request.format, "xgboost (.json, .ubj), lightgbm (text), catboost (JSON), onnx or ir")->required()->check(CLI::IsMember(std::vector<std::string>{"xgboost", "lightgbm", "catboost", "onnx", "ir"}));
  importer->add_option("--features", options.features, "CSV with a column 'feature': names in the model's order")->required();
  importer->add_option("--selftest", options.selftest, "CSV: at least 20 rows of the features and 'expected' (classes: expected.0, expected.1, ...)")->required();
  importer->add_option("--out", options.out, "folder of the package, or a name that ends in .zip")->required();
  importer->add_option("--background", options.background, "CSV: at most 100 rows of the features, for explanations that need them");
  importer->add_option("--input", options.request.onnx.input, "onnx: name of the graph's input");
  importer->add_option("--output", options.request.onnx.output, "onnx: name of the probabilities or the value, where the graph gives several");
  importer->add_option("--score", options.request.onnx.score, "onnx: name of the value to explain, before the probability");
  importer->add_option("--class", options.request.onnx.chosen_class, "onnx: report this class alone, counted from 0 (of two classes: 1)")->check(CLI::Range(0, 999));
  importer->add_option("--id", options.id, "id of the package; otherwise the name of --out");
  importer->add_option("--version", options.request.version, "version of the package")->capture_default_str();
  importer->add_option("--title", options.request.title, "title of the package");
  importer->add_option("--tolerance", options.request.tolerance, "largest |got - expected| / max(1, |expected|) of the self-test, at most 0.001")->capture_default_str();
  std::string path, out, key_file;
  std::vector<std::string> trusted_files;
  packer->add_option("PACKAGE", path, "folder of a model package")->required();
  packer->add_option("--out", out, "the zip file; otherwise the package's name with .zip, here");
  signer->add_option("PACKAGE", path, "folder or zip file of a model package")->required();
  signer->add_option("--key", key_file, "private key, PEM (openssl genpkey -algorithm ed25519 -out key.pem)")->required();
  signer->add_option("--out", out, "write the signed package there instead of in place");
  check->add_option("--trusted", trusted_files, "public key that may have signed: a PEM file, or ed25519:...; without it any key will do");
  for (CLI::App* command : {check, show}) command->add_option("PACKAGE", packages, "folder or zip file of a model package")->required();
  list->add_option("FOLDER", folder, "folder with packages")->capture_default_str();
  for (CLI::App* command : {check, show, list}) command->add_flag("--json", as_json, "print JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (importer->parsed()) return import(options);
  if (packer->parsed()) return pack(path, out);
  if (signer->parsed()) return sign(path, key_file, out);
  const auto trusted = trusted_key_ids(trusted_files);
  if (!trusted) return complain("check", trusted.error());
  std::error_code error;
  if (list->parsed()) {
    if (!std::filesystem::is_directory(folder, error)) {
      std::cerr << "choana model list: there is no folder " << folder << "\n";
      return 2;
    }
    for (const auto& entry : std::filesystem::directory_iterator(folder, error))
      if (std::filesystem::exists(entry.path() / "manifest.yaml", error) || entry.path().extension() == ".zip") packages.push_back(entry.path().string());
    std::sort(packages.begin(), packages.end());
  } else {
    for (const std::string& package : packages)
      if (!std::filesystem::exists(package, error)) {
        std::cerr << "choana model: there is no package " << package << "\n";
        return 2;
      }
  }
  return report(packages, as_json, show->parsed(), *trusted) ? 0 : 1;
}

}  // namespace choana::node
