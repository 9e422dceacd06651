#include "node/commands/extract/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <iostream>

#include "core/near_match.h"
#include "core/version.h"

namespace choana::node::extract {
namespace {

constexpr std::size_t labels_max = 10'000;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return std::string(text);
}

// What CLI11 says of an unknown option, with the option that was probably meant.
int wrong_usage(const CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& words) {
  std::cerr << "choana extract: " << error.what();
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  for (std::string word : words) {
    word = word.substr(0, word.find('='));
    if (word.starts_with("--") && std::find(names.begin(), names.end(), word) == names.end()) std::cerr << did_you_mean(word, names);
  }
  std::cerr << "\n'choana extract --help' lists the options.\n";
  return 2;
}

}  // namespace

bool Options::is_batch() const { return lower(input).ends_with(".csv"); }

Result<LabelChoice> parse_labels(const std::string& text) {
  LabelChoice choice;
  if (lower(trimmed(text)) == "all") {
    choice.all = choice.several = true;
    return choice;
  }
  std::size_t from = 0;
  while (from <= text.size()) {
    const std::size_t comma = std::min(text.find(',', from), text.size());
    std::string word = trimmed(std::string_view(text).substr(from, comma - from));
    if (word.ends_with(".0")) word.resize(word.size() - 2);  // spreadsheets write whole columns of numbers so
    int label = 0;
    const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), label);
    if (word.empty() || problem != std::errc() || end != word.data() + word.size() || label < 1)
      return fail(ErrorCode::invalid_argument, "extract", "'" + text + "' is no label: write a whole number from 1, several such as 1,2,5, or all.");
    if (std::find(choice.labels.begin(), choice.labels.end(), label) == choice.labels.end()) choice.labels.push_back(label);
    if (choice.labels.size() > labels_max) return fail(ErrorCode::limit_exceeded, "extract", "More than 10,000 labels are named.");
    if (comma < text.size()) choice.several = true;
    from = comma + 1;
  }
  return choice;
}

std::variant<Options, int> parse_options(int argc, char** argv) {
  Options options;
  std::string labels;
  CLI::App app{
      "Compute radiomics features of an image and a mask, or of a batch table, with the options and columns of the pyradiomics command (3.0.1).\n"
      "Images: NRRD, NIfTI, MetaImage, or a folder of DICOM; masks: the same formats, RTSTRUCT, SEG, or a folder that holds one.",
      "choana extract"};
  app.add_option("INPUT", options.input, "image, folder of DICOM, or a .csv table with columns Image, Mask and optionally Label, Label_channel, ROI, Series, Volume; "
                                         "other columns are carried over")->required();
  app.add_option("MASK", options.mask, "mask of a single image; left out with a folder of DICOM, the RTSTRUCT or SEG is looked for in that folder");
  app.add_option("-p,--param", options.param, "PyRadiomics parameter file (YAML or JSON), or the name of a profile that comes with Choana");
  app.add_option("-s,--setting", options.settings, "NAME:VALUE, overrides a setting of the parameter file; may be repeated")->allow_extra_args(false);
  app.add_option("-j,--jobs", options.jobs, "threads: cases computed at the same time, and parts of a case where threads are left; values do not depend on it")->check(CLI::Range(1, 256));
  app.add_flag("--validate", options.validate, "check parameter file, table and paths, compute nothing");
  app.add_option("-o,--out", options.out, "file to append the output to");
  app.add_option("--out-dir", options.out_dir, "folder (also -od): segment mode writes features_N.csv for each case, voxel mode the maps");
  app.add_option("-m,--mode", options.mode, "segment (one value a region) or voxel (maps)")->check(CLI::IsMember({"segment", "voxel"}));
  app.add_flag("--skip-nans", options.skip_nans, "leave out features without a value");
  app.add_option("-f,--format", options.format, "txt (default), csv or json")->check(CLI::IsMember({"csv", "json", "txt"}));
  app.add_option("--format-path", options.format_path, "how paths are printed: absolute (default), relative, basename")->check(CLI::IsMember({"absolute", "relative", "basename"}));
  bool unix_path = false;
  app.add_flag("--unix-path", unix_path, "accepted (also -up): paths use / already");
  app.add_option("-l,--label", labels, "label of the region in the mask; several (1,2,5) or all give one row each, with a column Label");
  app.add_flag("--union", options.union_of_labels, "with several labels or regions: one row more for all of them together");
  app.add_flag("--components", options.components, "one row more for each separate part of a region, largest first, with a column Component");
  app.add_option("--roi", options.rois, "region of an RTSTRUCT or SEG by name, or a pattern such as 'GTV.*'; may be repeated; default: every region, one row each")->allow_extra_args(false);
  app.add_option("--series", options.series, "series of a DICOM folder: Series Instance UID, number or description");
  app.add_option("--volume", options.volume, "volume of a series that holds several (b-values, phases): its number from 1, or b800");
  app.add_option("--details", options.details, "file for what the columns cannot hold: units, codes, reasons, level counts, notes; one JSON object a line and row");
  app.add_option("--save-images", options.save_images, "folder for the images that were measured (resampled, filtered, discretised) and the mask");
  app.add_flag("--resume", options.resume, "go on where an earlier run of the same table with the same settings ended (needs --out or --out-dir)");
  app.add_option("-v,--verbosity", options.verbosity, "1 to 5: what is said on standard error; 3 (default) warnings and errors, 4 notes too")->expected(0, 1)->default_str("4")->check(CLI::Range(1, 5));
  app.add_option("--logging-level", options.logging_level, "what goes into the log file")->check(CLI::IsMember({"NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}));
  app.add_option("--log-file", options.log_file, "file to append messages to");
  app.set_version_flag("--version", std::string("choana extract ") + version + " (columns of pyradiomics v3.0.1)");
  // The pyradiomics command also takes the two-letter forms -od and -up, which look like bundled flags to other parsers.
  std::vector<std::string> words;
  for (int at = argc - 1; at > 0; --at) {
    const std::string word = argv[at];
    words.push_back(word == "-od" ? "--out-dir" : word == "-up" ? "--unix-path" : word);
  }
  const std::vector<std::string> typed = words;
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return wrong_usage(app, error, typed);
  }
  const auto refuse = [](const std::string& message) {
    std::cerr << "choana extract: " << message << "\n";
    return 2;
  };
  if (!labels.empty()) {
    auto choice = parse_labels(labels);
    if (!choice) return refuse(choice.error().message);
    options.labels = std::move(*choice);
  }
  if (options.resume && options.out.empty() && options.out_dir.empty()) return refuse("--resume needs --out or --out-dir: nothing was kept of a run that printed its results.");
  if (options.resume && !options.is_batch()) return refuse("--resume needs a batch table (.csv): a single case is computed at once.");
  return options;
}

}  // namespace choana::node::extract
