#include "node/commands/n4_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/near_match.h"
#include "core/task_pool.h"
#include "dicom/dicom_reader.h"
#include "node/commands/extract/dicom_inputs.h"
#include "processing/itk/image_file.h"
#include "processing/preprocessing/bias_field_correction.h"

namespace choana::node {
namespace {

namespace fs = std::filesystem;
using namespace processing;  // NOLINT: the command is a thin cover of it

struct Options {
  std::string image, out, mask, field, confidence, series, volume;
  std::optional<std::uint32_t> label;
  std::string rule = "all";
  BiasFieldSettings settings;
  int threads = 1;
  bool json = false;
};

/// An image that is there, and what was odd about it.
struct Input {
  SeriesVolume volume;
  std::vector<std::string> notes;
};

Result<Input> read_input(const Options& options) {
  std::error_code problem;
  if (!fs::exists(options.image, problem)) return fail(ErrorCode::not_found, "read_image", "There is no image " + fs::path(options.image).filename().string() + ".");
  if (extract::is_dicom_place(options.image)) {
    dicom::register_codecs();
    const auto scan = extract::scan_dicom(options.image);
    if (!scan) return fail(scan.error());
    auto volume = extract::load_volume(*scan, options.series, options.volume, nullptr);
    if (!volume) return fail(volume.error());
    return Input{std::move(volume->volume), std::move(volume->notes)};
  }
  auto image = read_image_file(options.image);
  if (!image) return fail(image.error());
  auto volume = SeriesVolume::make(image->geometry, {image->voxels.begin(), image->voxels.end()}, image->pixel_type, {}, {});
  if (!volume) return fail(volume.error());
  return Input{std::move(*volume), {}};
}

Status check_grid(const VolumeGeometry& image, const VolumeGeometry& other, const std::string& what) {
  const auto text = [](const Index3& size) { return std::to_string(size[0]) + " x " + std::to_string(size[1]) + " x " + std::to_string(size[2]); };
  if (image.size() != other.size())
    return fail(ErrorCode::geometry_mismatch, "n4", "The " + what + " has " + text(other.size()) + " voxels, the image " + text(image.size()) + ".");
  const Vector3& spacing = image.spacing_mm();
  if (!image.matches(other, std::max(1e-3, 0.01 * std::min({spacing[0], spacing[1], spacing[2]}))))
    return fail(ErrorCode::geometry_mismatch, "n4", "The " + what + " lies elsewhere than the image: their origins, spacings or directions differ.");
  return {};
}

Result<std::vector<std::uint8_t>> read_mask(const Options& options, const VolumeGeometry& geometry) {
  if (extract::is_dicom_place(options.mask))
    return fail(ErrorCode::invalid_argument, "n4", "The mask must be an image file (NRRD, NIfTI or MetaImage) on the grid of the image, not DICOM.");
  const auto mask = read_mask_file(options.mask);
  if (!mask) return fail(mask.error());
  if (auto status = check_grid(geometry, mask->geometry, "mask"); !status) return fail(status.error());
  std::vector<std::uint8_t> included;
  included.reserve(mask->labels.size());
  bool any = false;
  for (const std::uint32_t label : mask->labels) {
    included.push_back((options.label ? label == *options.label : label != 0) ? 1 : 0);
    any = any || included.back() != 0;
  }
  if (any) return included;
  // SimpleITK fits nothing here and returns the image as it was: a mask of 0 and 255 with its default label 1.
  std::set<std::uint32_t> there(mask->labels.begin(), mask->labels.end());
  there.erase(0);
  std::string text;
  for (const std::uint32_t label : there) {
    if (text.size() > 60) {
      text += ", ...";
      break;
    }
    text += (text.empty() ? "" : ", ") + std::to_string(label);
  }
  if (there.empty()) return fail(ErrorCode::roi_empty, "n4", "The mask is empty: no voxel is other than 0.");
  return fail(ErrorCode::roi_empty, "n4", "The mask holds no voxel of label " + std::to_string(*options.label) + "; it holds " + text + ". Name one of these, or leave out --label to use every voxel other than 0.");
}

Result<std::vector<float>> read_confidence(const Options& options, const VolumeGeometry& geometry) {
  const auto image = read_image_file(options.confidence);
  if (!image) return fail(image.error());
  if (auto status = check_grid(geometry, image->geometry, "confidence image"); !status) return fail(status.error());
  return std::vector<float>(image->voxels.begin(), image->voxels.end());
}

Status write(const VolumeGeometry& geometry, const std::vector<float>& voxels, const std::string& path) {
  return write_image_file({geometry, {voxels.begin(), voxels.end()}, PixelType::float32}, path);
}

Status run(const Options& options) {
  auto input = read_input(options);
  if (!input) return fail(input.error());
  for (const std::string& note : input->notes) std::cerr << "choana n4: " << note << "\n";
  const VolumeGeometry& geometry = input->volume.geometry();
  BiasFieldInput fit;
  if (!options.mask.empty()) {
    auto mask = read_mask(options, geometry);
    if (!mask) return fail(mask.error());
    fit.mask = std::move(*mask);
  }
  if (!options.confidence.empty()) {
    auto confidence = read_confidence(options, geometry);
    if (!confidence) return fail(confidence.error());
    fit.confidence = std::move(*confidence);
  }
  TaskPool pool(options.threads);
  const auto started = std::chrono::steady_clock::now();
  const auto corrected = correct_bias_field(input->volume, options.settings, &pool, fit);
  if (!corrected) return fail(corrected.error());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  if (auto status = write(geometry, corrected->series.voxels(), options.out); !status) return fail(status.error());
  if (!options.field.empty())
    if (auto status = write(geometry, corrected->log_field, options.field); !status) return fail(status.error());

  const auto [low, high] = std::minmax_element(corrected->log_field.begin(), corrected->log_field.end());
  if (options.json) {
    nlohmann::ordered_json json{{"image", options.image}, {"out", options.out}};
    if (!options.field.empty()) json["field"] = options.field;
    json["settings"] = nlohmann::ordered_json::parse(canonical_json(options.settings));
    if (!options.mask.empty()) {
      json["settings"]["mask"] = "file";
      json["settings"]["label"] = options.label ? nlohmann::ordered_json(*options.label) : nlohmann::ordered_json(nullptr);
    }
    json["shrink_used"] = corrected->shrink;
    json["mask_voxels"] = corrected->mask_voxels;
    json["levels"] = nlohmann::ordered_json::array();
    for (const BiasFieldLevel& level : corrected->levels) json["levels"].push_back({{"iterations", level.iterations}, {"convergence", level.convergence}});
    json["log_field"] = {{"min", *low}, {"max", *high}};
    json["seconds"] = seconds;
    std::cout << json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
  } else {
    for (std::size_t level = 0; level < corrected->levels.size(); ++level)
      std::printf("level %zu  %d of %d iterations  convergence %.6g\n", level + 1, corrected->levels[level].iterations, options.settings.n4.iterations[level],
                  corrected->levels[level].convergence);
    std::printf("log field %.4f to %.4f, fitted on %zu voxels of the mask shrunk %d x %d x %d, %.2f s\n", static_cast<double>(*low), static_cast<double>(*high),
                corrected->mask_voxels, corrected->shrink[0], corrected->shrink[1], corrected->shrink[2], seconds);
    std::fflush(stdout);
  }
  return {};
}

bool names_an_image(const std::string& path) {
  std::string name = fs::path(path).filename().string();
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name.ends_with(".nrrd") || name.ends_with(".nii") || name.ends_with(".nii.gz") || name.ends_with(".mha");
}

}  // namespace

int run_n4(int argc, char** argv) {
  Options options;
  BiasFieldSettings& settings = options.settings;
  N4Parameters& n4 = settings.n4;
  std::vector<int> shrink, control_points;
  std::string engine = "choana";
  bool aligned = false;
  CLI::App app{"Correct the bias field of one image (N4, Tustison et al. 2010), with the results of SimpleITK's N4 at a hundredth of its time.", "choana n4"};
  app.add_option("IMAGE", options.image, "NRRD, NIfTI or MetaImage, or a folder of DICOM that holds one series")->required();
  app.add_option("--out", options.out, "file for the corrected image, float32 (.nrrd, .nii, .nii.gz, .mha)")->required();
  app.add_option("--mask", options.mask, "image file on the same grid: the field is fitted to its voxels other than 0; without a mask to every voxel");
  app.add_option("--label", options.label, "fit to the voxels of the mask with this label alone");
  app.add_option("--mask-rule", options.rule, "without --mask: all (default), positive (above 0) or otsu (above Otsu's threshold, as packages do)")
      ->check(CLI::IsMember({"all", "positive", "otsu"}));
  app.add_option("--confidence", options.confidence, "image file on the same grid: weight of each voxel in the fit, used where above 0");
  app.add_option("--shrink", shrink, "every how manieth voxel is fitted, one number or one an axis (default 4,4,4); 1 fits them all")->delimiter(',')->allow_extra_args(false);
  app.add_option("--iterations", n4.iterations, "most iterations of each level (default 50,50,50,50)")->delimiter(',')->allow_extra_args(false);
  app.add_option("--threshold", n4.convergence_threshold, "a level ends when the field changes less than this (default 0.001)");
  app.add_option("--fwhm", n4.full_width_at_half_maximum, "width of the histogram's blur in log units (default 0.15)");
  app.add_option("--noise", n4.wiener_noise, "noise of the Wiener filter (default 0.01)");
  app.add_option("--bins", n4.histogram_bins, "histogram bins (default 200)");
  app.add_option("--control-points", control_points, "control points of the first level, one number or one an axis (default 4,4,4)")->delimiter(',')->allow_extra_args(false);
  app.add_option("--field", options.field, "file for the logarithm of the field at full resolution");
  app.add_flag("--aligned", aligned, "put the field where the fitted voxels lie, instead of stretching it from the first to the last voxel as SimpleITK does");
  app.add_option("--engine", engine, "choana (default) or itk")->check(CLI::IsMember({"choana", "itk"}));
  app.add_option("--series", options.series, "series of a DICOM folder: Series Instance UID, number or description");
  app.add_option("--volume", options.volume, "volume of a series that holds several (b-values, phases): its number from 1, or b800");
  app.add_option("--threads", options.threads, "threads (default 1); the result of engine choana does not depend on it")->check(CLI::Range(1, 256));
  app.add_flag("--json", options.json, "print the result as JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options())
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    std::cerr << "choana n4: " << error.what();
    for (int at = 1; at < argc; ++at) {
      const std::string word = std::string(argv[at]).substr(0, std::string(argv[at]).find('='));
      if (word.starts_with("--") && std::find(names.begin(), names.end(), word) == names.end()) std::cerr << did_you_mean(word, names);
    }
    std::cerr << "\n'choana n4 --help' lists the options.\n";
    return 2;
  }
  const auto usage_error = [](const std::string& message) {
    std::cerr << "choana n4: " << message << "\n";
    return 2;
  };
  const auto axes = [](const std::vector<int>& given, std::array<int, 3>& to) {
    if (given.size() == 1) to.fill(given[0]);
    if (given.size() == 3) std::copy(given.begin(), given.end(), to.begin());
    return given.empty() || given.size() == 1 || given.size() == 3;
  };
  if (!axes(shrink, n4.shrink)) return usage_error("--shrink takes one number or three, such as 4,4,1.");
  if (!axes(control_points, n4.control_points)) return usage_error("--control-points takes one number or three, such as 4,4,4.");
  settings.mask = options.rule == "otsu" ? BiasFieldMask::otsu : options.rule == "positive" ? BiasFieldMask::positive : BiasFieldMask::every_voxel;
  settings.engine = engine == "itk" ? BiasFieldEngine::itk : BiasFieldEngine::choana;
  settings.field = aligned ? BiasFieldPlacement::aligned : BiasFieldPlacement::stretched;
  if (options.label && options.mask.empty()) return usage_error("--label needs --mask: it names a label there.");
  if (options.label && *options.label == 0) return usage_error("--label 0 is the background of the mask; labels begin with 1.");
  if (!options.mask.empty() && app.count("--mask-rule") > 0) return usage_error("--mask-rule is for images without --mask.");
  for (const std::string& file : {options.out, options.field})
    if (!file.empty() && !names_an_image(file)) return usage_error(file + " is not the name of an image: .nrrd, .nii, .nii.gz and .mha are written.");
  if (options.out == options.field) return usage_error("--out and --field name the same file.");
  try {
    const Status status = run(options);
    if (status) return 0;
    std::cerr << "choana n4: " << status.error().message << "\n";
    return status.error().code == ErrorCode::invalid_argument ? 2 : 1;
  } catch (const std::bad_alloc&) {
    std::cerr << "choana n4: there is not enough memory for this image.\n";
    return 1;
  }
}

}  // namespace choana::node
