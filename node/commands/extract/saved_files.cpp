#include "node/commands/extract/saved_files.h"

#include <algorithm>
#include <cmath>

#include "core/sha256.h"
#include "processing/itk/image_file.h"
#include "processing/preprocessing/discretiser.h"
#include "processing/radiomics/filters/filter_catalogue.h"
#include "processing/radiomics/region_preparation.h"
#include "processing/radiomics/voxel_maps.h"

namespace choana::node::extract {
namespace {

namespace fs = std::filesystem;
using processing::MaskVolume;
using processing::ScalarVolume;

std::string safe(const std::string& text) {
  std::string name;
  for (const char c : text.substr(0, 64)) name += (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '+' ? c : '_';
  return name;
}

Result<SavedFile> save(const ScalarVolume& volume, const fs::path& folder, const std::string& kind, const std::string& name, const std::string& file) {
  // Written aside and renamed: an interrupted run leaves no half image under the final name.
  const fs::path aside = folder / (file + ".partial.nrrd"), target = folder / (file + ".nrrd");
  if (auto written = processing::write_image_file(volume, aside); !written) return fail(written.error());
  auto digest = sha256_hex_of_file(aside);
  if (!digest) return fail(digest.error());
  std::error_code problem;
  fs::rename(aside, target, problem);
  if (problem) return fail(ErrorCode::io_error, "save_image", "The image " + target.filename().string() + " cannot be written: " + problem.message() + ".");
  return SavedFile{kind, name, target.filename().string(), *digest};
}

ScalarVolume mask_image(const MaskVolume& mask, int label) {
  ScalarVolume volume{mask.geometry, {}, PixelType::uint8};
  volume.voxels.reserve(mask.labels.size());
  for (const std::uint32_t value : mask.labels) volume.voxels.push_back(value == static_cast<std::uint32_t>(label) ? 1 : 0);
  return volume;
}

// The grey levels of the region on the grid of the image, 0 outside; nothing where a voxel is not a number.
std::optional<ScalarVolume> level_image(const processing::DerivedImage& image, const MaskVolume& mask, int label, const processing::ExtractionSettings& settings) {
  const Index3 size = mask.geometry.size();
  std::vector<double> values;
  std::vector<std::size_t> places;
  for (int k = 0; k < image.box.size[2]; ++k)
    for (int j = 0; j < image.box.size[1]; ++j)
      for (int i = 0; i < image.box.size[0]; ++i) {
        const std::size_t place = mask.geometry.offset(i + image.box.lower[0], j + image.box.lower[1], k + image.box.lower[2]);
        if (mask.labels[place] != static_cast<std::uint32_t>(label)) continue;
        values.push_back(image.volume->voxels[image.volume->geometry.offset(i, j, k)]);
        places.push_back(place);
      }
  if (values.empty() || !std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); })) return std::nullopt;
  const auto levels = settings.bin_count ? processing::discretise_by_count(values, *settings.bin_count, image.volume->pixel_type == PixelType::float32)
                                         : processing::discretise_by_width(values, settings.bin_width);
  if (!levels) return std::nullopt;
  ScalarVolume volume{mask.geometry, std::vector<double>(static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1]) * static_cast<std::size_t>(size[2]), 0.0), PixelType::int32};
  for (std::size_t n = 0; n < places.size(); ++n) volume.voxels[places[n]] = levels->levels[n];
  return volume;
}

}  // namespace

std::string file_stem(std::size_t case_number, const std::string& roi, const std::string& label, const std::string& component) {
  std::string stem = "Case-" + std::to_string(case_number);
  if (!roi.empty()) stem += "_" + safe(roi);
  if (!label.empty()) stem += "_label-" + safe(label);
  if (!component.empty()) stem += "_part-" + safe(component);
  return stem;
}

Result<std::vector<SavedFile>> save_images(const ScalarVolume& image, const MaskVolume& mask, int label, const processing::ExtractionProfile& profile, const fs::path& folder,
                                           const std::string& stem, TaskPool* pool) {
  auto prepared = processing::prepare_region(image, mask, label, profile);
  if (!prepared) return fail(prepared.error());
  std::vector<SavedFile> files;
  const auto keep = [&](Result<SavedFile> saved) -> Status {
    if (!saved) return fail(saved.error());
    files.push_back(std::move(*saved));
    return {};
  };
  const MaskVolume& measured = prepared->intensity_mask();
  if (auto kept = keep(save(*prepared->image, folder, "image", "original", stem + "_image")); !kept) return fail(kept.error());
  if (auto kept = keep(save(mask_image(measured, label), folder, "mask", "mask", stem + "_mask")); !kept) return fail(kept.error());
  for (const processing::ImageTypeRequest& type : profile.image_types) {
    // The whole prepared image, not the region's box alone.
    const processing::FilterInput input{*prepared->image, measured, label, {{0, 0, 0}, prepared->image->geometry.size()}, pool};
    auto derived = processing::derive_images(type.name, input, type.settings);
    if (!derived) return fail(derived.error());
    for (const processing::DerivedImage& one : derived->images) {
      if (type.name != "Original")
        if (auto kept = keep(save(*one.volume, folder, "filtered", one.name, stem + "_" + one.name)); !kept) return fail(kept.error());
      if (const auto levels = level_image(one, measured, label, type.settings))
        if (auto kept = keep(save(*levels, folder, "levels", one.name, stem + "_" + one.name + "_levels")); !kept) return fail(kept.error());
    }
  }
  return files;
}

Result<MapFiles> save_maps(const ScalarVolume& image, const MaskVolume& mask, int label, const processing::ExtractionProfile& profile, const fs::path& folder, const std::string& stem,
                           TaskPool* pool) {
  MapFiles maps;
  std::vector<Cell> features;
  auto summary = processing::extract_voxel_maps(image, mask, label, profile, [&](processing::VoxelMap&& map) -> Status {
    const std::string name = map.id.str();
    auto saved = save(map.volume, folder, "map", name, stem + "_" + name);
    if (!saved) return fail(saved.error());
    saved->voxels_without_value = map.voxels_without_value;
    features.push_back({name, (folder / saved->file).string()});
    maps.files.push_back(std::move(*saved));
    return {};
  }, pool);
  if (!summary) return fail(summary.error());
  for (const processing::Diagnostic& diagnostic : summary->diagnostics) maps.cells.push_back({diagnostic.name, diagnostic.text, Cell::Kind::json, diagnostic.json});
  maps.cells.insert(maps.cells.end(), features.begin(), features.end());
  maps.summary.notes = std::move(summary->notes);
  maps.summary.levels = std::move(summary->levels);
  maps.summary.missing_images = std::move(summary->missing_images);
  maps.summary.voxels_used = summary->voxels;
  return maps;
}

}  // namespace choana::node::extract
