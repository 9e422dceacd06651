#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/task_pool.h"
#include "node/commands/extract/output.h"
#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/feature_extractor.h"
#include "processing/radiomics/image.h"

namespace choana::node::extract {

/// A file made beside the table, for the details.
struct SavedFile {
  std::string kind;      // image, mask, filtered, levels, map
  std::string name;      // the image or the feature it holds
  std::string file;      // name within its folder
  std::string sha256;    // of its bytes
  std::size_t voxels_without_value = 0;
};

/// "Case-3", and with several regions what tells them apart: "Case-3_GTVp", "Case-3_label-2", "Case-3_part-1". Letters that do not belong in file names become "_".
[[nodiscard]] std::string file_stem(std::size_t case_number, const std::string& roi, const std::string& label, const std::string& component);

/// Write what was measured: the prepared image and mask, each filtered image, and the grey levels that textures saw (0 outside the region).
/// Errors: those of preparation, filters and discretisation, io_error.
[[nodiscard]] Result<std::vector<SavedFile>> save_images(const processing::ScalarVolume& image, const processing::MaskVolume& mask, int label,
                                                         const processing::ExtractionProfile& profile, const std::filesystem::path& folder, const std::string& stem, TaskPool* pool);

struct MapFiles {
  std::vector<SavedFile> files;
  std::vector<Cell> cells;                 // diagnostics, then for each feature the path of its map, as pyradiomics' voxel mode
  processing::ExtractionResult summary;    // notes, levels and missing images; no features
};

/// Compute the voxel maps and write one NRRD each, `<stem>_<feature>.nrrd`. Errors: those of extract_voxel_maps, io_error.
[[nodiscard]] Result<MapFiles> save_maps(const processing::ScalarVolume& image, const processing::MaskVolume& mask, int label, const processing::ExtractionProfile& profile,
                                         const std::filesystem::path& folder, const std::string& stem, TaskPool* pool);

}  // namespace choana::node::extract
