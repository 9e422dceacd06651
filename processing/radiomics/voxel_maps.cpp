#include "processing/radiomics/voxel_maps.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "processing/preprocessing/discretiser.h"
#include "processing/radiomics/feature_catalogue.h"
#include "processing/radiomics/filters/filter_catalogue.h"
#include "processing/radiomics/region_preparation.h"
#include "processing/radiomics/voxel/kernel_evaluator.h"
#include "processing/radiomics/voxel/kernel_geometry.h"

namespace choana::processing {
namespace {

constexpr std::size_t positions_max = 65535;
constexpr std::size_t pairs_max = std::size_t{1} << 26;
constexpr std::size_t cells_max = std::size_t{1} << 26;
constexpr int highest_level_max = 1 << 20;
constexpr std::size_t task_voxels_min = 64;
constexpr std::size_t tasks_a_thread = 4;
constexpr std::size_t no_slot = static_cast<std::size_t>(-1);
constexpr std::array<std::string_view, 6> families_with_maps{"firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm"};

tl::unexpected<Error> refuse(ErrorCode code, std::string message) { return fail(code, "extract_voxel_maps", std::move(message)); }

/// One map to make.
struct Wanted {
  std::size_t family = 0;        // in families_with_maps
  std::size_t feature = 0;       // in kernel_feature_names; no_slot for a retired name, whose map keeps initValue
  std::string_view name;
};

std::vector<Wanted> wanted_maps(const std::vector<FamilyRequest>& requests) {
  std::vector<Wanted> wanted;
  for (const FamilyRequest& request : requests) {
    const auto family = std::find(families_with_maps.begin(), families_with_maps.end(), request.family);
    if (family == families_with_maps.end()) continue;
    const auto names = kernel_feature_names(request.family);
    const auto add = [&](const FeatureDescription& feature) {
      const auto found = std::find(names.begin(), names.end(), feature.name);
      const Wanted one{static_cast<std::size_t>(family - families_with_maps.begin()), found == names.end() ? no_slot : static_cast<std::size_t>(found - names.begin()), feature.name};
      const bool known = std::any_of(wanted.begin(), wanted.end(), [&](const Wanted& other) { return other.family == one.family && other.name == one.name; });
      if (!known) wanted.push_back(one);
    };
    if (request.names.empty()) {
      for (const FeatureDescription& feature : feature_catalogue())
        if (feature.family == request.family && feature.availability == Availability::listed) add(feature);
    } else {
      for (const std::string& name : request.names)
        if (const FeatureDescription* feature = find_feature(request.family, name)) add(*feature);
    }
  }
  return wanted;
}

/// A discretised box padded by the kernel radius, so that kernels need no bounds check.
struct RankVolume {
  std::vector<std::int32_t> ranks;    // i fastest: index into `levels`, -1 where kernels see nothing
  std::vector<int> levels;            // grey levels that occur, ascending
  int highest_level = 0;              // Ng
};

/// Strides of a padded box.
struct Padding {
  int margin = 0;
  std::ptrdiff_t row = 0;
  std::ptrdiff_t slice = 0;
  std::size_t voxels = 0;

  Padding(const Index3& size, int radius)
      : margin(radius), row(size[0] + 2 * radius), slice(row * (size[1] + 2 * radius)), voxels(static_cast<std::size_t>(slice) * static_cast<std::size_t>(size[2] + 2 * radius)) {}
  [[nodiscard]] std::size_t at(int i, int j, int k) const { return static_cast<std::size_t>((k + margin) * slice + (j + margin) * row + i + margin); }
  [[nodiscard]] std::ptrdiff_t offset(const Index3& step) const { return step[2] * slice + step[1] * row + step[0]; }
};

/// `discretisation` lists the visible voxels of the box in raster order.
RankVolume make_rank_volume(const Index3& size, const std::vector<std::uint8_t>& visible, const Discretisation& discretisation, const Padding& padding) {
  RankVolume volume{std::vector<std::int32_t>(padding.voxels, -1), discretisation.present, discretisation.highest};
  std::size_t voxel = 0;
  std::size_t next = 0;
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i)
        if (visible[voxel++] != 0)
          volume.ranks[padding.at(i, j, k)] = static_cast<std::int32_t>(
              std::lower_bound(volume.levels.begin(), volume.levels.end(), discretisation.levels[next++]) - volume.levels.begin());
  return volume;
}

/// The image and the region as kernels see them.
struct KernelVolume {
  Padding padding;
  Vector3 spacing_mm{1, 1, 1};
  RankVolume levels;
  std::optional<RankVolume> first_order_levels;   // where first order is discretised otherwise
  std::vector<double> values;                     // padded as `levels`
  std::vector<std::size_t> centres;               // of the region's voxels, in `levels.ranks`
  std::vector<std::size_t> centres_in_box;        // of the same in the box
};

struct Box {
  VoxelBox crop;                      // in the prepared image: the region's box and the radius
  std::vector<std::uint8_t> inside;   // the region in `crop`
  std::size_t voxels = 0;
};

Box box_around(const PreparedRegion& prepared, int radius) {
  Box box;
  const Index3& size = prepared.image->geometry.size();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    box.crop.lower[axis] = std::max(0, prepared.box.lower[axis] - radius);
    box.crop.size[axis] = std::min(size[axis], prepared.box.lower[axis] + prepared.box.size[axis] + radius) - box.crop.lower[axis];
  }
  RegionBox region = cut_region(prepared.intensity_mask(), prepared.label, box.crop);
  box.inside = std::move(region.inside);
  box.voxels = region.voxels;
  return box;
}

/// Discretise what kernels see and lay it out. Errors: those of the discretiser.
Result<KernelVolume> kernel_volume(const DerivedImage& image, const Box& box, const ExtractionSettings& settings, const VoxelSettings& voxel) {
  const Index3& size = box.crop.size;
  const VoxelBox within{{box.crop.lower[0] - image.box.lower[0], box.crop.lower[1] - image.box.lower[1], box.crop.lower[2] - image.box.lower[2]}, size};
  const std::vector<double> cropped = crop_values(image.volume->voxels, image.volume->geometry.size(), within);
  const std::vector<std::uint8_t> visible = voxel.masked_kernel ? box.inside : std::vector<std::uint8_t>(cropped.size(), 1);
  std::vector<double> seen;
  for (std::size_t at = 0; at < cropped.size(); ++at)
    if (visible[at] != 0) seen.push_back(cropped[at]);
  const bool single = image.volume->pixel_type == PixelType::float32;
  const auto discretise = [&](bool single_precision) {
    return settings.bin_count ? discretise_by_count(seen, *settings.bin_count, single_precision) : discretise_by_width(seen, settings.bin_width);
  };
  auto levels = discretise(single);
  if (!levels) return fail(levels.error());
  if (levels->highest > highest_level_max)
    return refuse(ErrorCode::limit_exceeded, "The image '" + image.name + "' has grey level " + std::to_string(levels->highest) +
                                                 " in the region, but voxel maps take at most 1048576. Choose a larger binWidth or a binCount.");
  const Padding padding(size, voxel.kernel_radius_voxels);
  KernelVolume volume{padding, image.volume->geometry.spacing_mm(), make_rank_volume(size, visible, *levels, padding), {}, {}, {}, {}};
  if (single && settings.bin_count) {
    // PyRadiomics turns the image into double for first order alone, which moves the edges of float32 bins by a rounding.
    auto other = discretise(false);
    if (!other) return fail(other.error());
    volume.first_order_levels = make_rank_volume(size, visible, *other, padding);
  }
  volume.values.assign(volume.levels.ranks.size(), 0.0);
  std::size_t at = 0;
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j) {
      const std::size_t row = padding.at(0, j, k);
      for (int i = 0; i < size[0]; ++i, ++at) {
        volume.values[row + static_cast<std::size_t>(i)] = cropped[at];
        if (box.inside[at] == 0) continue;
        volume.centres.push_back(row + static_cast<std::size_t>(i));
        volume.centres_in_box.push_back(at);
      }
    }
  return volume;
}

/// Evaluates the kernels of one image.
class ImageMaps {
 public:
  ImageMaps(const KernelVolume& volume, const KernelGeometry& geometry, const ExtractionSettings& settings, const VoxelSettings& voxel, TaskPool* pool)
      : volume_(volume), geometry_(geometry), pool_(pool) {
    context_.geometry = &geometry;
    context_.levels = &volume.levels.levels;
    context_.highest_level = volume.levels.highest_level;
    context_.first_order_levels = volume.first_order_levels ? &volume.first_order_levels->levels : &volume.levels.levels;
    context_.symmetric = settings.symmetrical_glcm;
    context_.norm = settings.weighting_norm;
    context_.gldm_alpha = settings.gldm_alpha;
    context_.voxel_array_shift = settings.voxel_array_shift;
    context_.spacing_mm = volume.spacing_mm;
    for (const Index3& step : geometry.steps) offsets_.push_back(volume.padding.offset(step));
    const std::size_t voxels = volume.centres.size();
    batch_voxels_ = voxel.voxel_batch > 0 ? std::min(static_cast<std::size_t>(voxel.voxel_batch), voxels) : voxels;
    initial_value_ = voxel.initial_value;
    evaluators_.resize(pool == nullptr ? 1 : static_cast<std::size_t>(pool->threads()) * tasks_a_thread);
  }

  /// Values of the wanted features at every voxel of the region: feature after feature.
  std::vector<double> evaluate(std::span<const Wanted> wanted) {
    const std::size_t voxels = volume_.centres.size();
    std::vector<double> values(wanted.size() * voxels, initial_value_);
    std::array<bool, families_with_maps.size()> needed{};
    for (const Wanted& one : wanted)
      if (one.feature != no_slot) needed[one.family] = true;
    for (std::size_t first = 0; first < voxels; first += batch_voxels_) evaluate_batch(wanted, needed, first, std::min(batch_voxels_, voxels - first), values);
    return values;
  }

  /// Voxels whose MCC PyRadiomics cannot compute.
  [[nodiscard]] std::size_t voxels_without_mcc() const { return voxels_without_mcc_; }

 private:
  enum Family : std::size_t { first_order, glcm, gldm, glrlm, glszm, ngtdm };

  /// What PyRadiomics sees of a whole batch: directions that no kernel has a pair in are left out, and whether any kernel has runs.
  struct BatchFacts {
    std::vector<std::uint8_t> skip;
    bool runs = false;
  };

  /// Most batches are settled by their first voxel.
  BatchFacts survey(std::size_t first, std::size_t count) {
    BatchFacts facts;
    std::vector<std::uint8_t> seen(geometry_.pairs.size(), 0);
    KernelEvaluator& kernel = evaluator(0);
    bool all = seen.empty();
    for (std::size_t at = first; at < first + count && !(all && facts.runs); ++at) {
      kernel.load(volume_.levels.ranks.data() + volume_.centres[at], offsets_);
      if (!all) all = kernel.mark_directions(seen);
      facts.runs = facts.runs || kernel.has_runs();
    }
    for (const std::uint8_t one : seen) facts.skip.push_back(one != 0 ? 0 : 1);
    // A single direction is never left out.
    if (facts.skip.size() == 1) facts.skip[0] = 0;
    return facts;
  }

  void evaluate_batch(std::span<const Wanted> wanted, const std::array<bool, families_with_maps.size()>& needed, std::size_t first, std::size_t count,
                      std::vector<double>& values) {
    const std::size_t voxels = volume_.centres.size();
    BatchFacts facts;
    if (needed[glcm] || needed[glrlm]) facts = survey(first, count);
    const std::vector<std::int32_t>& first_order_ranks = volume_.first_order_levels ? volume_.first_order_levels->ranks : volume_.levels.ranks;
    const bool single_run_matrix = context_.norm != WeightingNorm::none || geometry_.lines.size() == 1;
    const std::size_t tasks = std::min(evaluators_.size(), (count + task_voxels_min - 1) / task_voxels_min);
    std::vector<std::uint8_t> missing(tasks, 0);
    run_tasks(pool_, tasks, [&](std::size_t task) {
      KernelEvaluator& kernel = evaluator(task);
      std::array<std::array<double, glcm_kernel_features>, families_with_maps.size()> results{};
      const std::size_t end = first + (task + 1) * count / tasks;
      for (std::size_t at = first + task * count / tasks; at < end; ++at) {
        const std::size_t centre = volume_.centres[at];
        kernel.load(volume_.levels.ranks.data() + centre, offsets_);
        if (needed[first_order]) kernel.first_order(volume_.values.data() + centre, first_order_ranks.data() + centre, offsets_, results[first_order].data());
        if (needed[glcm] && kernel.glcm(facts.skip, results[glcm].data())) missing[task] = 1;
        if (needed[gldm]) kernel.gldm(results[gldm].data());
        if (needed[glrlm] && !kernel.glrlm(results[glrlm].data()) && !facts.runs && single_run_matrix) {
          // No run in the whole batch and one matrix a voxel: PyRadiomics sums nothing to 0 for these two.
          const auto names = kernel_feature_names("glrlm");
          for (const std::string_view name : {"RunEntropy", "RunVariance"})
            results[glrlm][static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin())] = 0;
        }
        if (needed[glszm]) kernel.glszm(results[glszm].data());
        if (needed[ngtdm]) kernel.ngtdm(results[ngtdm].data());
        for (std::size_t f = 0; f < wanted.size(); ++f)
          if (wanted[f].feature != no_slot) values[f * voxels + at] = results[wanted[f].family][wanted[f].feature];
      }
    });
    if (!needed[glcm] || std::find(missing.begin(), missing.end(), 1) == missing.end()) return;
    for (std::size_t f = 0; f < wanted.size(); ++f)
      if (wanted[f].family == glcm && wanted[f].name == "MCC") {
        std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(f * voxels + first), count, initial_value_);
        voxels_without_mcc_ += count;
      }
  }

  /// Each task has an evaluator of its own, kept for the next batch.
  KernelEvaluator& evaluator(std::size_t task) {
    if (!evaluators_[task]) evaluators_[task] = std::make_unique<KernelEvaluator>(context_);
    return *evaluators_[task];
  }

  const KernelVolume& volume_;
  const KernelGeometry& geometry_;
  TaskPool* pool_;
  KernelContext context_;
  std::vector<std::ptrdiff_t> offsets_;
  std::size_t batch_voxels_ = 0;
  double initial_value_ = 0;
  std::size_t voxels_without_mcc_ = 0;
  std::vector<std::unique_ptr<KernelEvaluator>> evaluators_;
};

/// Refuse kernels whose tables would not fit, before anything is made.
Status check_kernel(const VoxelSettings& voxel, const ExtractionSettings& settings) {
  const auto width = static_cast<std::size_t>(2 * voxel.kernel_radius_voxels + 1);
  const std::size_t positions = settings.force_2d ? width * width : width * width * width;
  if (voxel.kernel_radius_voxels < 1 || voxel.kernel_radius_voxels > 127 || positions > positions_max)
    return refuse(ErrorCode::limit_exceeded, "A kernelRadius of " + std::to_string(voxel.kernel_radius_voxels) +
                                                 " is too large for voxel maps: at most 19, or 127 with force2D. Resample to larger voxels instead.");
  return {};
}

Status check_tables(const KernelVolume& volume, const KernelGeometry& geometry) {
  std::size_t pairs = 0;
  for (const auto& direction : geometry.pairs) pairs += direction.size();
  const std::size_t levels = std::min(geometry.size(), volume.levels.levels.size());
  if (pairs > pairs_max || levels * std::max({levels, geometry.size() + 1, 2 * geometry.pairs.size() + 2}) > cells_max)
    return refuse(ErrorCode::limit_exceeded, "The kernel is too large for this number of grey levels or distances. Choose a smaller kernelRadius, fewer distances or larger bins.");
  return {};
}

/// One image: its maps go to the sink.
class MapWriter {
 public:
  MapWriter(const Box& box, const VolumeGeometry& geometry, double initial_value, const VoxelMapSink& sink, VoxelMapSummary& summary)
      : box_(box), geometry_(geometry), initial_value_(initial_value), sink_(sink), summary_(summary) {}

  /// values: of the region's voxels in raster order.
  Status write(const std::string& image, const Wanted& wanted, std::span<const double> values) {
    VoxelMap map{{image, std::string(families_with_maps[wanted.family]), std::string(wanted.name)},
                 {geometry_, std::vector<double>(box_.inside.size(), initial_value_), PixelType::float64}, 0};
    std::size_t next = 0;
    for (std::size_t at = 0; at < box_.inside.size(); ++at) {
      if (box_.inside[at] == 0) continue;
      const double value = values[next++];
      map.volume.voxels[at] = value;
      map.voxels_without_value += std::isnan(value) ? 1 : 0;
    }
    ++summary_.maps;
    return sink_(std::move(map));
  }

 private:
  const Box& box_;
  const VolumeGeometry& geometry_;
  double initial_value_;
  const VoxelMapSink& sink_;
  VoxelMapSummary& summary_;
};

}  // namespace

Result<VoxelMapSummary> extract_voxel_maps(const ScalarVolume& image, const MaskVolume& mask, int label, const ExtractionProfile& profile, const VoxelMapSink& sink,
                                           TaskPool* pool, const ShareDone& progress, const VoxelMapLimits& limits) {
  if (auto status = check_kernel(profile.voxel, profile.settings); !status) return fail(status.error());
  auto prepared = prepare_region(image, mask, label, profile);
  if (!prepared) return fail(prepared.error());
  VoxelMapSummary summary;
  summary.diagnostics = std::move(prepared->diagnostics);
  summary.notes = std::move(prepared->notes);
  const Box box = box_around(*prepared, profile.voxel.kernel_radius_voxels);
  summary.voxels = box.voxels;
  auto geometry = crop_geometry(prepared->image->geometry, box.crop);
  if (!geometry) return fail(geometry.error());
  summary.geometry = *geometry;
  const std::vector<Wanted> wanted = wanted_maps(profile.families);
  MapWriter writer(box, summary.geometry, profile.voxel.initial_value, sink, summary);
  const std::size_t features_at_a_time = std::max<std::size_t>(1, limits.values_bytes_max / (sizeof(double) * std::max<std::size_t>(1, box.voxels)));
  const auto tell = [&](double share) {
    if (progress) progress(std::min(1.0, share));
  };
  tell(0);

  for (std::size_t type_at = 0; type_at < profile.image_types.size(); ++type_at) {
    const ImageTypeRequest& type = profile.image_types[type_at];
    const ExtractionSettings& settings = type.settings;
    const FilterInput input{*prepared->image, prepared->intensity_mask(), prepared->label, box.crop, pool};
    auto derived = derive_images(type.name, input, settings);
    if (!derived) return fail(derived.error());
    for (std::string& note : derived->notes) summary.notes.push_back(std::move(note));
    for (MissingImage& missing : derived->missing) {
      summary.notes.push_back("The image '" + missing.name + "' has no maps: " + missing.why.text);
      summary.missing_images.push_back(std::move(missing));
    }
    const KernelGeometry kernel = make_kernel_geometry(profile.voxel.kernel_radius_voxels, box.crop.size, settings.distances_voxels,
                                                       settings.force_2d ? 2 - settings.force_2d_dimension : -1);
    for (std::size_t image_at = 0; image_at < derived->images.size(); ++image_at) {
      const DerivedImage& one = derived->images[image_at];
      const auto volume = kernel_volume(one, box, settings, profile.voxel);
      if (!volume && volume.error().code != ErrorCode::degenerate_input) return fail(volume.error());
      if (!volume) {
        // As for whole-region features: the other images are not lost.
        summary.notes.push_back("The image '" + one.name + "' has maps without values: " + volume.error().message);
        const std::vector<double> none(box.voxels, not_a_number);
        for (const Wanted& map : wanted)
          if (auto status = writer.write(one.name, map, none); !status) return fail(status.error());
        continue;
      }
      if (auto status = check_tables(*volume, kernel); !status) return fail(status.error());
      summary.levels.push_back({one.name, volume->levels.highest_level, static_cast<int>(volume->levels.levels.size())});
      ImageMaps maps(*volume, kernel, settings, profile.voxel, pool);
      for (std::size_t first = 0; first < wanted.size(); first += features_at_a_time) {
        const std::span<const Wanted> chunk(wanted.data() + first, std::min(features_at_a_time, wanted.size() - first));
        const std::vector<double> values = maps.evaluate(chunk);
        for (std::size_t f = 0; f < chunk.size(); ++f)
          if (auto status = writer.write(one.name, chunk[f], std::span<const double>(values).subspan(f * box.voxels, box.voxels)); !status) return fail(status.error());
        const double images_done = static_cast<double>(image_at) + static_cast<double>(first + chunk.size()) / static_cast<double>(wanted.size());
        tell((static_cast<double>(type_at) + images_done / static_cast<double>(derived->images.size())) / static_cast<double>(profile.image_types.size()));
      }
      if (maps.voxels_without_mcc() > 0)
        summary.notes.push_back("The map " + one.name + "_glcm_MCC keeps initValue in " + std::to_string(maps.voxels_without_mcc()) +
                                " voxels: PyRadiomics has no MCC for a batch of voxels when one of them has a direction without pairs.");
    }
  }
  tell(1);
  return summary;
}

}  // namespace choana::processing
