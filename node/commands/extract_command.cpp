#include "node/commands/extract_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <thread>

#include "processing/itk/image_file.h"
#include "processing/prediction/readers/table.h"
#include "processing/radiomics/diagnostics.h"
#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/feature_catalogue.h"
#include "processing/radiomics/feature_extractor.h"

namespace choana::node {
namespace {

namespace fs = std::filesystem;
using processing::ExtractionProfile;
using processing::ExtractionResult;

constexpr std::size_t batch_rows_max = 1'000'000;
constexpr std::uintmax_t text_bytes_max = std::uintmax_t{256} << 20;

struct Options {
  std::string input;
  std::string mask;
  std::string out;
  std::string out_dir;
  std::string mode = "segment";
  bool skip_nans = false;
  int jobs = 1;
  std::string format = "txt";
  std::string format_path = "absolute";
  bool unix_path = false;
  std::string param;
  std::vector<std::string> settings;
  std::optional<int> label;
  bool validate = false;
  int verbosity = 3;
  std::string logging_level = "WARNING";
  std::string log_file;
  std::string details;
  bool resume = false;
};

/// One row of the batch, columns in the order of the table.
struct Case {
  std::vector<std::pair<std::string, std::string>> columns;
  fs::path image;
  fs::path mask;
  std::optional<int> label;
  int label_channel = 0;
};

/// A cell of the output: the text of CSV and txt, and the JSON value.
struct Cell {
  std::string name;
  std::string text;
  std::string json;
  bool is_nan = false;
};

struct Outcome {
  std::vector<Cell> cells;
  std::string details;      // one JSON object
  std::string problem;      // empty: it worked
};

std::string json_text(const std::string& text) { return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

Result<std::string> read_text(const fs::path& path) {
  std::error_code problem;
  if (!fs::is_regular_file(path, problem)) return fail(ErrorCode::not_found, "extract", "There is no file " + path.string() + ".");
  if (fs::file_size(path, problem) > text_bytes_max) return fail(ErrorCode::limit_exceeded, "extract", "The file " + path.string() + " is larger than 256 MiB.");
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return fail(ErrorCode::io_error, "extract", "The file " + path.string() + " cannot be read.");
  return text.str();
}

std::optional<int> whole_number(const std::string& text) {
  try {
    std::size_t used = 0;
    const int value = std::stoi(text, &used);
    if (used == text.size()) return value;
  } catch (const std::exception&) {
  }
  return std::nullopt;
}

Result<ExtractionProfile> make_profile(const Options& options) {
  ExtractionProfile profile = processing::default_profile();
  if (!options.param.empty()) {
    const auto text = read_text(options.param);
    if (!text) return fail(text.error());
    auto parsed = processing::parse_profile(*text, fs::path(options.param).stem().string());
    if (!parsed) return fail(parsed.error());
    profile = std::move(*parsed);
  }
  for (const std::string& setting : options.settings) {
    const std::size_t colon = setting.find(':');
    if (colon == std::string::npos) return fail(ErrorCode::invalid_profile, "extract", "A setting is written NAME:VALUE; '" + setting + "' has no colon.");
    if (auto status = processing::override_setting(profile, setting.substr(0, colon), setting.substr(colon + 1)); !status) return fail(status.error());
  }
  if (options.label)
    if (auto status = processing::override_setting(profile, "label", std::to_string(*options.label)); !status) return fail(status.error());
  return profile;
}

Result<std::vector<Case>> read_batch(const std::string& path) {
  const auto text = read_text(path);
  if (!text) return fail(text.error());
  const auto table = processing::read_table(*text, fs::path(path).filename().string(), batch_rows_max);
  if (!table) return fail(table.error());
  const auto image = table->find("Image");
  const auto mask = table->find("Mask");
  for (const auto& [column, name] : {std::pair{image, "Image"}, {mask, "Mask"}})
    if (!column) return fail(ErrorCode::invalid_argument, "extract", std::string("The batch table has no column '") + name + "'.");
  const auto label = table->find("Label");
  const auto channel = table->find("Label_channel");
  const fs::path folder = fs::absolute(path).parent_path();
  std::vector<Case> cases;
  for (std::size_t row = 0; row < table->rows.size(); ++row) {
    const auto& cells = table->rows[row];
    const std::string where = "line " + std::to_string(row + 2) + " of the batch table";
    if (cells[*image].empty() || cells[*mask].empty()) {
      std::cerr << "choana extract: " << where << " lacks an image or a mask and is left out.\n";
      continue;
    }
    Case one;
    one.image = (folder / cells[*image]).lexically_normal();
    one.mask = (folder / cells[*mask]).lexically_normal();
    for (std::size_t column = 0; column < cells.size(); ++column) one.columns.emplace_back(table->columns[column], cells[column]);
    one.columns[*image].second = one.image.string();
    one.columns[*mask].second = one.mask.string();
    if (label && !cells[*label].empty()) {
      one.label = whole_number(cells[*label]);
      if (!one.label) return fail(ErrorCode::invalid_argument, "extract", "The label in " + where + " is no whole number.");
    }
    if (channel && !cells[*channel].empty()) {
      const auto number = whole_number(cells[*channel]);
      if (!number || *number < 0) return fail(ErrorCode::invalid_argument, "extract", "The label channel in " + where + " is no whole number from 0.");
      one.label_channel = *number;
    }
    cases.push_back(std::move(one));
  }
  return cases;
}

std::string displayed_path(const fs::path& path, const Options& options, const fs::path& start) {
  if (options.format_path == "basename") return path.filename().string();
  if (options.format_path == "relative") return fs::absolute(path).lexically_normal().lexically_relative(start).string();
  return fs::absolute(path).lexically_normal().string();
}

std::string details_of(std::size_t number, const Case& one, int label, const ExtractionProfile& profile, const Result<ExtractionResult>& result) {
  nlohmann::ordered_json json{{"case", number}, {"image", one.image.filename().string()}, {"mask", one.mask.filename().string()}, {"label", label}};
  for (const auto& [name, value] : one.columns)
    if (name != "Image" && name != "Mask" && name != "Label") json["columns"][name] = value;
  json["settings"] = nlohmann::ordered_json::parse(processing::canonical_json(profile));
  if (!result) {
    json["error"] = {{"code", to_string(result.error().code)}, {"text", result.error().message}};
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  json["features"] = nlohmann::ordered_json::array();
  json["not_computed"] = nlohmann::ordered_json::array();
  for (const FeatureValue& feature : result->features.values()) {
    if (!feature.computed()) {
      const auto& why = std::get<NotComputed>(feature.value);
      json["not_computed"].push_back({{"name", feature.id.str()}, {"reason", why.reason}, {"text", why.text}});
      continue;
    }
    nlohmann::ordered_json item{{"name", feature.id.str()}, {"value", feature.number()}};
    if (const auto* description = processing::find_feature(feature.id.family, feature.id.name)) {
      item["unit"] = description->unit;
      item["code"] = {{"scheme", description->scheme}, {"value", description->code}};
    }
    item["aggregation"] = processing::aggregation(feature.id.family, profile.settings);
    const std::string& family = feature.id.family;
    const bool discretised = (family != "shape" && family != "shape2D" && family != "firstorder") || feature.id.name == "Entropy" || feature.id.name == "Uniformity";
    if (discretised)
      for (const auto& count : result->levels)
        if (count.image == feature.id.image) item["levels"] = count.highest;
    json["features"].push_back(std::move(item));
  }
  json["warnings"] = result->notes;
  json["voxels"] = {{"original", result->voxels_original}, {"resampled", result->voxels_resampled}, {"used", result->voxels_used}};
  json["volume_ml"] = {{"original", result->volume_original_ml}, {"resampled", result->volume_resampled_ml}};
  json["components"] = result->components;
  for (const auto& count : result->levels) json["levels"].push_back({{"image", count.image}, {"highest", count.highest}, {"present", count.present}});
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<ExtractionResult> extract_case(const Case& one, int label, const ExtractionProfile& profile) {
  auto image = processing::read_image_file(one.image);
  if (!image) return fail(image.error());
  auto mask = processing::read_mask_file(one.mask, one.label_channel);
  if (!mask) return fail(mask.error());
  return processing::extract_features(*image, *mask, label, profile);
}

/// Results of an earlier run in the output folder: header and one row.
std::optional<std::vector<Cell>> read_earlier(const fs::path& file) {
  if (!fs::is_regular_file(file)) return std::nullopt;
  const auto text = read_text(file);
  if (!text) return std::nullopt;
  const auto table = processing::read_table(*text, file.filename().string(), 2);
  if (!table || table->rows.size() != 1) return std::nullopt;
  std::vector<Cell> cells;
  for (std::size_t at = 0; at < table->columns.size(); ++at) {
    const std::string& value = table->rows[0][at];
    const bool number = processing::parse_number(value).has_value();
    cells.push_back({table->columns[at], value, number ? value : json_text(value), value == "nan"});
  }
  return cells;
}

std::string csv_table(const std::vector<std::vector<Cell>>& rows) {
  std::vector<std::string> header;
  std::set<std::string> known;
  for (const Cell& cell : rows.front()) {
    header.push_back(cell.name);
    known.insert(cell.name);
  }
  // Columns that only later cases have follow those of the first, sorted.
  std::set<std::string> additional;
  for (const auto& row : rows)
    for (const Cell& cell : row)
      if (!known.contains(cell.name)) additional.insert(cell.name);
  header.insert(header.end(), additional.begin(), additional.end());
  std::string text;
  for (std::size_t at = 0; at < header.size(); ++at) text += (at == 0 ? "" : ",") + processing::csv_cell(header[at]);
  text += '\n';
  for (const auto& row : rows) {
    std::map<std::string, const Cell*> by_name;
    for (const Cell& cell : row) by_name[cell.name] = &cell;
    for (std::size_t at = 0; at < header.size(); ++at) {
      const auto found = by_name.find(header[at]);
      text += (at == 0 ? "" : ",") + (found == by_name.end() ? std::string() : processing::csv_cell(found->second->text));
    }
    text += '\n';
  }
  return text;
}

std::string formatted(const std::vector<std::vector<Cell>>& rows, const std::string& format) {
  if (format == "csv") return csv_table(rows);
  std::string text;
  if (format == "txt") {
    for (std::size_t at = 0; at < rows.size(); ++at)
      for (const Cell& cell : rows[at]) text += "Case-" + std::to_string(at + 1) + "_" + cell.name + ": " + cell.text + "\n";
    return text;
  }
  text = "[";
  for (std::size_t at = 0; at < rows.size(); ++at) {
    text += at == 0 ? "\n  {" : ",\n  {";
    for (std::size_t c = 0; c < rows[at].size(); ++c) text += (c == 0 ? "\n    " : ",\n    ") + json_text(rows[at][c].name) + ": " + rows[at][c].json;
    text += "\n  }";
  }
  return text + "\n]";
}

Outcome run_case(std::size_t number, const Case& one, const Options& options, const ExtractionProfile& profile) {
  Outcome outcome;
  const fs::path stored = options.out_dir.empty() ? fs::path() : fs::path(options.out_dir) / ("features_" + std::to_string(number) + ".csv");
  if (options.resume && !stored.empty())
    if (auto earlier = read_earlier(stored)) {
      outcome.cells = std::move(*earlier);
      return outcome;
    }
  const int label = one.label.value_or(profile.settings.label);
  const auto result = extract_case(one, label, profile);
  for (const auto& [name, value] : one.columns) {
    outcome.cells.push_back({name, value, json_text(value), false});
  }
  if (!options.details.empty()) outcome.details = details_of(number, one, label, profile, result);
  if (!result) {
    outcome.problem = result.error().message;
    return outcome;
  }
  for (const auto& diagnostic : result->diagnostics) outcome.cells.push_back({diagnostic.name, diagnostic.text, diagnostic.json, false});
  for (const FeatureValue& feature : result->features.values()) {
    if (feature.computed()) {
      const std::string text = processing::python_text(feature.number());
      outcome.cells.push_back({feature.id.str(), text, text, false});
    } else {
      outcome.cells.push_back({feature.id.str(), "nan", "null", true});
    }
  }
  if (!stored.empty()) {
    // Written aside and renamed, so that an interrupted run leaves no half file to resume from.
    const fs::path partial = stored.string() + ".partial";
    std::ofstream file(partial, std::ios::binary);
    file << csv_table({outcome.cells});
    file.close();
    std::error_code problem;
    if (file) fs::rename(partial, stored, problem);
    if (!file || problem) outcome.problem = "The result cannot be written to " + stored.string() + ".";
  }
  return outcome;
}

int validate(const std::vector<Case>& cases) {
  std::size_t failed = 0;
  for (std::size_t at = 0; at < cases.size(); ++at)
    for (const fs::path& path : {cases[at].image, cases[at].mask})
      if (!fs::is_regular_file(path)) {
        std::cerr << "choana extract: case " << at + 1 << " of " << cases.size() << ": there is no file " << path.string() << "\n";
        ++failed;
      }
  std::cerr << "choana extract: checked " << cases.size() << " case(s), " << failed << " file(s) missing.\n";
  return failed == 0 ? 0 : 1;
}

bool write_output(const std::string& text, const std::string& file, bool append) {
  if (file.empty()) {
    std::cout << text << std::flush;
    return static_cast<bool>(std::cout);
  }
  std::ofstream out(file, append ? std::ios::binary | std::ios::app : std::ios::binary);
  out << text;
  out.close();
  return static_cast<bool>(out);
}

}  // namespace

int run_extract(int argc, char** argv) {
  Options options;
  CLI::App app{"Compute radiomics features of an image and a mask, or of a batch table, with the options of the pyradiomics command.", "choana extract"};
  app.add_option("INPUT", options.input, "image (NRRD, NIfTI, MetaImage), or a .csv table with columns Image, Mask, optionally Label, Label_channel")->required();
  app.add_option("MASK", options.mask, "mask of a single image");
  app.add_option("-p,--param", options.param, "PyRadiomics parameter file (YAML or JSON)");
  app.add_option("-s,--setting", options.settings, "NAME:VALUE, overrides a setting of the parameter file; may be repeated")->allow_extra_args(false);
  app.add_option("-j,--jobs", options.jobs, "cases computed at the same time")->check(CLI::Range(1, 256));
  app.add_flag("--validate", options.validate, "check parameter file and paths, compute nothing");
  app.add_option("-o,--out", options.out, "file to append the output to");
  app.add_option("--out-dir", options.out_dir, "folder for one csv file a case");
  app.add_option("-m,--mode", options.mode, "segment (one value a region) or voxel")->check(CLI::IsMember({"segment", "voxel"}));
  app.add_flag("--skip-nans", options.skip_nans, "leave out features without a value");
  app.add_option("-f,--format", options.format, "csv, json or txt")->check(CLI::IsMember({"csv", "json", "txt"}));
  app.add_option("--format-path", options.format_path, "how paths are printed")->check(CLI::IsMember({"absolute", "relative", "basename"}));
  app.add_flag("--unix-path", options.unix_path, "accepted; paths use / already");
  app.add_option("--logging-level", options.logging_level, "accepted")->check(CLI::IsMember({"NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}));
  app.add_option("--log-file", options.log_file, "accepted; messages go to standard error");
  app.add_option("-v,--verbosity", options.verbosity, "1 to 5; from 4 on notes are printed too")->expected(0, 1)->default_str("4")->check(CLI::Range(1, 5));
  app.add_option("-l,--label", options.label, "label of the region in the mask");
  app.add_option("--details", options.details, "file for what the columns cannot hold: units, codes, reasons, notes; one JSON object a line and case");
  app.add_flag("--resume", options.resume, "with --out-dir: keep the cases that are there already");
  // The pyradiomics command also takes the two-letter forms -od and -up, which look like bundled flags to other parsers.
  std::vector<std::string> arguments;
  for (int at = argc - 1; at > 0; --at) {
    const std::string argument = argv[at];
    arguments.push_back(argument == "-od" ? "--out-dir" : argument == "-up" ? "--unix-path" : argument);
  }
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto usage_error = [](const std::string& message) {
    std::cerr << "choana extract: " << message << "\n";
    return 2;
  };
  if (options.mode == "voxel") return usage_error("voxel maps are not available in this version; use --mode segment.");
  const auto profile = make_profile(options);
  if (!profile) return usage_error(profile.error().message);

  std::vector<Case> cases;
  fs::path start = fs::current_path();
  if (options.input.ends_with(".csv")) {
    auto batch = read_batch(options.input);
    if (!batch) return usage_error(batch.error().message);
    cases = std::move(*batch);
    start = fs::absolute(options.input).parent_path().lexically_normal();
    if (cases.empty()) return usage_error("the batch table holds no case.");
  } else {
    if (options.mask.empty()) return usage_error("a single image needs a mask: choana extract IMAGE MASK.");
    cases.push_back({{{"Image", options.input}, {"Mask", options.mask}}, options.input, options.mask, {}, profile->settings.label_channel});
  }
  if (options.validate) return validate(cases);
  if (!options.out_dir.empty()) {
    std::error_code problem;
    fs::create_directories(options.out_dir, problem);
    if (problem) return usage_error("the folder " + options.out_dir + " cannot be made.");
  }

  std::vector<Outcome> outcomes(cases.size());
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> finished{0};
  std::mutex printing;
  const bool terminal = isatty(STDERR_FILENO) == 1 && cases.size() > 1;
  const auto work = [&] {
    for (std::size_t at = next++; at < cases.size(); at = next++) {
      try {
        outcomes[at] = run_case(at + 1, cases[at], options, *profile);
      } catch (const std::exception&) {
        // Only a lack of memory or a disk error gets here; the other cases go on.
        outcomes[at].problem = "The case could not be computed: out of memory or a disk error.";
      }
      const std::size_t done = ++finished;
      const std::lock_guard lock(printing);
      if (terminal) std::cerr << "\r" << done << " of " << cases.size() << " cases" << (done == cases.size() ? "\n" : "") << std::flush;
    }
  };
  const std::size_t workers = std::min(cases.size(), static_cast<std::size_t>(options.jobs));
  std::vector<std::thread> threads;
  for (std::size_t at = 1; at < workers; ++at) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();

  bool failed = false;
  std::vector<std::vector<Cell>> rows;
  std::string details;
  for (std::size_t at = 0; at < outcomes.size(); ++at) {
    Outcome& outcome = outcomes[at];
    if (!outcome.problem.empty()) {
      failed = true;
      std::cerr << "choana extract: case " << at + 1 << ": " << outcome.problem << "\n";
    }
    for (Cell& cell : outcome.cells)
      if (cell.name == "Image" || cell.name == "Mask") {
        cell.text = displayed_path(cell.name == "Image" ? cases[at].image : cases[at].mask, options, start);
        cell.json = json_text(cell.text);
      }
    if (options.skip_nans) std::erase_if(outcome.cells, [](const Cell& cell) { return cell.is_nan; });
    rows.push_back(std::move(outcome.cells));
    if (!outcome.details.empty()) details += outcome.details + "\n";
  }
  if (!write_output(formatted(rows, options.format), options.out, true)) {
    std::cerr << "choana extract: the output cannot be written.\n";
    return 1;
  }
  if (!options.details.empty() && !write_output(details, options.details, false)) {
    std::cerr << "choana extract: the details cannot be written.\n";
    return 1;
  }
  return failed ? 1 : 0;
}

}  // namespace choana::node
