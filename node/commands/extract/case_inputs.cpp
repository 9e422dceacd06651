#include "node/commands/extract/case_inputs.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <set>

#include "core/sha256.h"
#include "node/commands/extract/dicom_inputs.h"
#include "processing/itk/image_file.h"

namespace choana::node::extract {
namespace {

namespace fs = std::filesystem;
using processing::MaskVolume;
using MaskPointer = std::shared_ptr<const MaskVolume>;

constexpr std::size_t labels_max = 10'000;

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

Result<std::vector<int>> labels_of(const MaskVolume& mask) {
  std::set<std::uint32_t> found;
  std::uint32_t last = 0;
  for (const std::uint32_t label : mask.labels) {
    if (label == last || label == 0) continue;
    last = label;
    found.insert(label);
    if (found.size() > labels_max) return fail(ErrorCode::limit_exceeded, "read_mask", "The mask holds more than 10,000 different labels: it is an image rather than a label map.");
  }
  std::vector<int> labels;
  for (const std::uint32_t label : found)
    if (label <= 0x7FFFFFFFU) labels.push_back(static_cast<int>(label));
  return labels;
}

Status add_label_regions(const MaskPointer& mask, const LabelChoice& choice, bool union_of_labels, CaseInputs& inputs) {
  std::vector<int> labels = choice.labels;
  if (choice.all) {
    auto found = labels_of(*mask);
    if (!found) return fail(found.error());
    if (found->empty()) return fail(ErrorCode::roi_empty, "read_mask", "The mask is empty: no voxel carries a label.");
    labels = std::move(*found);
  }
  std::vector<std::string> names;
  for (const int label : labels) {
    names.push_back(std::to_string(label));
    inputs.regions.push_back({"", names.back(), label, [mask](std::optional<RoiOrigin>&) -> Result<MaskPointer> { return mask; }});
  }
  inputs.label_column = choice.several;
  if (!union_of_labels || labels.size() < 2) return {};
  inputs.regions.push_back({"", joined(names, "+"), 1, [mask, labels](std::optional<RoiOrigin>&) -> Result<MaskPointer> {
                              const std::set<std::uint32_t> wanted(labels.begin(), labels.end());
                              auto all = std::make_shared<MaskVolume>(*mask);
                              for (std::uint32_t& label : all->labels) label = label != 0 && wanted.contains(label) ? 1 : 0;
                              return all;
                            }});
  return {};
}

// Regions of an RTSTRUCT or SEG; `series` is what the image grid is of, nothing for an image file.
Status add_dicom_regions(const std::shared_ptr<const DicomMask>& mask, const std::vector<std::string>& rois, const VolumeGeometry& geometry,
                         const std::shared_ptr<const SeriesReference>& series, bool union_of_labels, CaseInputs& inputs) {
  const auto chosen = mask->choose(rois);
  if (!chosen) return fail(chosen.error());
  inputs.roi_column = true;
  inputs.notes.insert(inputs.notes.end(), mask->notes().begin(), mask->notes().end());
  const auto draw = [mask, geometry, series](std::size_t index) { return mask->region(index, geometry, series.get()); };
  std::vector<std::string> names;
  for (const std::size_t index : *chosen) {
    names.push_back(mask->names()[index]);
    inputs.regions.push_back({names.back(), "1", 1, [draw, index](std::optional<RoiOrigin>& ledger) -> Result<MaskPointer> {
                                auto roi = draw(index);
                                if (!roi) return fail(roi.error());
                                ledger = roi->origin();
                                return std::make_shared<MaskVolume>(processing::to_mask_volume(*roi));
                              }});
  }
  if (!union_of_labels || names.size() < 2) return {};
  inputs.regions.push_back({joined(names, "+"), "1", 1, [draw, indices = *chosen](std::optional<RoiOrigin>&) -> Result<MaskPointer> {
                              std::shared_ptr<MaskVolume> all;
                              for (const std::size_t index : indices) {
                                auto roi = draw(index);
                                if (!roi) return fail(roi.error());
                                if (!all) {
                                  all = std::make_shared<MaskVolume>(processing::to_mask_volume(*roi));
                                  continue;
                                }
                                for (std::size_t at = 0; at < all->labels.size(); ++at)
                                  if (roi->mask()[at] != 0) all->labels[at] = 1;
                              }
                              return all;
                            }});
  return {};
}

}  // namespace

Result<CaseInputs> load_case(const Case& one, const LabelChoice& fallback, int label_channel, bool union_of_labels) {
  CaseInputs inputs;
  std::error_code missing;
  for (const auto& [path, what] : {std::pair{one.image, "image"}, {one.mask, "mask"}})
    if (!fs::exists(path, missing)) return fail(ErrorCode::not_found, "read_case", std::string("There is no ") + what + " " + path.filename().string() + ".");
  const bool dicom_image = is_dicom_place(one.image);
  const bool dicom_mask = is_dicom_place(one.mask);
  std::optional<DicomScan> scan;
  if (dicom_image) {
    auto scanned = scan_dicom(one.image);
    if (!scanned) return fail(scanned.error());
    scan = std::move(*scanned);
  }
  std::shared_ptr<const DicomMask> mask;
  if (dicom_mask) {
    std::optional<DicomScan> other;
    if (!scan || one.mask != one.image) {
      auto scanned = scan_dicom(one.mask);
      if (!scanned) return fail(scanned.error());
      other = std::move(*scanned);
    }
    auto read = DicomMask::load(other ? *other : *scan, one.rois);
    if (!read) return fail(read.error());
    mask = std::make_shared<const DicomMask>(std::move(*read));
  }
  std::shared_ptr<SeriesReference> series;
  if (scan) {
    auto volume = load_volume(*scan, one.series, one.volume, mask.get());
    if (!volume) return fail(volume.error());
    inputs.notes = std::move(volume->notes);
    inputs.image = std::make_shared<processing::ScalarVolume>(processing::to_scalar_volume(volume->volume));
    series = std::make_shared<SeriesReference>(volume->volume.reference());
  } else {
    auto image = processing::read_image_file(one.image);
    if (!image) return fail(image.error());
    inputs.image = std::make_shared<processing::ScalarVolume>(std::move(*image));
  }
  if (mask) {
    if (auto added = add_dicom_regions(mask, one.rois, inputs.image->geometry, series, union_of_labels, inputs); !added) return fail(added.error());
    return inputs;
  }
  auto label_map = processing::read_mask_file(one.mask, one.label_channel.value_or(label_channel));
  if (!label_map) return fail(label_map.error());
  if (auto added = add_label_regions(std::make_shared<const MaskVolume>(std::move(*label_map)), one.labels.value_or(fallback), union_of_labels, inputs); !added)
    return fail(added.error());
  return inputs;
}

std::size_t split_components(const MaskVolume& mask, int label, std::size_t parts_max, MaskVolume& parts) {
  const Index3 size = mask.geometry.size();
  const auto wanted = static_cast<std::uint32_t>(label);
  parts.geometry = mask.geometry;
  parts.labels.assign(mask.labels.size(), 0);
  std::vector<std::size_t> voxels;  // of each part, in order of the first voxel
  std::vector<std::size_t> front;
  for (std::size_t start = 0; start < mask.labels.size(); ++start) {
    if (mask.labels[start] != wanted || parts.labels[start] != 0) continue;
    voxels.push_back(0);
    const auto name = static_cast<std::uint32_t>(voxels.size());
    parts.labels[start] = name;
    front.assign(1, start);
    while (!front.empty()) {
      const std::size_t at = front.back();
      front.pop_back();
      ++voxels.back();
      const auto columns = static_cast<std::size_t>(size[0]), rows = static_cast<std::size_t>(size[1]);
      const int i = static_cast<int>(at % columns), j = static_cast<int>(at / columns % rows), k = static_cast<int>(at / columns / rows);
      for (int c = std::max(0, k - 1); c <= std::min(size[2] - 1, k + 1); ++c)
        for (int b = std::max(0, j - 1); b <= std::min(size[1] - 1, j + 1); ++b)
          for (int a = std::max(0, i - 1); a <= std::min(size[0] - 1, i + 1); ++a) {
            const std::size_t next = mask.geometry.offset(a, b, c);
            if (mask.labels[next] != wanted || parts.labels[next] != 0) continue;
            parts.labels[next] = name;
            front.push_back(next);
          }
    }
  }
  std::vector<std::uint32_t> order(voxels.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return voxels[a] > voxels[b]; });
  std::vector<std::uint32_t> name_of(voxels.size() + 1, 0);
  for (std::size_t rank = 0; rank < order.size() && rank < parts_max; ++rank) name_of[order[rank] + 1] = static_cast<std::uint32_t>(rank + 1);
  for (std::uint32_t& part : parts.labels) part = name_of[part];
  return voxels.size();
}

Result<std::string> content_digest(const fs::path& place) {
  std::error_code problem;
  if (fs::is_regular_file(place, problem)) return sha256_hex_of_file(place);
  if (!fs::is_directory(place, problem)) return fail(ErrorCode::not_found, "content_digest", "There is no " + place.filename().string() + ".");
  std::vector<fs::path> files;
  auto entry = fs::recursive_directory_iterator(place, fs::directory_options::skip_permission_denied, problem);
  for (; !problem && entry != fs::recursive_directory_iterator(); entry.increment(problem)) {
    std::error_code unreadable;
    if (entry->is_regular_file(unreadable)) files.push_back(entry->path());
  }
  std::sort(files.begin(), files.end());
  Sha256 all;
  for (const fs::path& file : files) {
    const auto one = sha256_hex_of_file(file);
    if (!one) return fail(one.error());
    all.update(file.lexically_relative(place).string() + "\n" + *one + "\n");
  }
  return all.hex_digest();
}

}  // namespace choana::node::extract
