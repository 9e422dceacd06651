#include "processing/volume/volume_builder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <numeric>
#include <tuple>

namespace choana::processing {
namespace {

constexpr const char* step = "build_volumes";
constexpr std::size_t voxels_max = std::size_t{512} << 20;

using Slices = std::vector<AcquiredSlice>;

std::string text_of(double value, const char* format = "%.3g") {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string slices_text(std::size_t count) { return std::to_string(count) + (count == 1 ? " slice" : " slices"); }

Vector3 normal_of(const AcquiredSlice& slice) { return cross(slice.row_direction, slice.column_direction); }
double height_of(const AcquiredSlice& slice) { return dot(slice.position_mm, normal_of(slice)); }

bool has_image_type(const AcquiredSlice& slice, const char* value) {
  const auto& types = slice.acquisition.image_type;
  return std::find(types.begin(), types.end(), value) != types.end();
}

/// Same matrix, pixel spacing (0.01 %) and orientation (0.06 degrees): parts of one stack.
bool same_grid(const AcquiredSlice& a, const AcquiredSlice& b) {
  const auto close = [](double x, double y) { return std::abs(x - y) <= 1e-4 * std::max(x, y); };
  return a.columns == b.columns && a.rows == b.rows && close(a.row_spacing_mm, b.row_spacing_mm) && close(a.column_spacing_mm, b.column_spacing_mm) &&
         norm(a.row_direction - b.row_direction) < 1e-3 && norm(a.column_direction - b.column_direction) < 1e-3;
}

std::vector<Slices> part_by_grid(Slices slices) {
  std::vector<Slices> groups;
  for (AcquiredSlice& slice : slices) {
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const Slices& group) { return same_grid(group.front(), slice); });
    if (found == groups.end()) groups.push_back({std::move(slice)});
    else found->push_back(std::move(slice));
  }
  return groups;
}

/// Slices whose b-values differ by less than 4 s/mm2 or 3 % are of one shell: scanners write what the gradients really
/// gave. Slices without a b-value form a group of their own.
std::vector<Slices> part_by_b_value(Slices slices) {
  std::stable_sort(slices.begin(), slices.end(), [](const AcquiredSlice& a, const AcquiredSlice& b) {
    return a.acquisition.b_value_s_per_mm2.value_or(-1) < b.acquisition.b_value_s_per_mm2.value_or(-1);
  });
  std::vector<Slices> groups;
  for (AcquiredSlice& slice : slices) {
    const auto b = slice.acquisition.b_value_s_per_mm2;
    bool joins = false;
    if (!groups.empty()) {
      const auto first = groups.back().front().acquisition.b_value_s_per_mm2;
      joins = b.has_value() == first.has_value() && (!b || *b - *first < std::max(4.0, 0.03 * *first));
    }
    if (joins) groups.back().push_back(std::move(slice));
    else groups.push_back({std::move(slice)});
  }
  return groups;
}

/// How often each position along the normal occurs.
struct Occupancy {
  std::size_t positions = 0;
  std::size_t most_at_one = 0;
};

Occupancy occupancy(const Slices& slices) {
  std::vector<double> heights;
  for (const AcquiredSlice& slice : slices) heights.push_back(height_of(slice));
  std::sort(heights.begin(), heights.end());
  Occupancy result;
  for (std::size_t i = 0, here = 0; i < heights.size(); ++i) {
    const bool same = i > 0 && heights[i] - heights[i - 1] < 0.01;
    here = same ? here + 1 : 1;
    if (!same) ++result.positions;
    result.most_at_one = std::max(result.most_at_one, here);
  }
  return result;
}

/// What may tell volumes apart that share positions. `stated` indices split even into incomplete volumes; the others
/// only when each value covers every position, because they may just as well count slices.
struct IndexKey {
  const char* name;
  bool stated;
  std::function<std::string(const AcquiredSlice&)> value;
};

template <typename T>
std::string optional_text(const std::optional<T>& value) {
  return value ? text_of(static_cast<double>(*value), "%.6g") : std::string{};
}

std::string joined(const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += value + "\\";
  return text;
}

const std::vector<IndexKey>& index_keys() {
  static const std::vector<IndexKey> keys{
      {"image type", true, [](const AcquiredSlice& s) { return joined(s.acquisition.image_type); }},
      {"complex component", true, [](const AcquiredSlice& s) { return s.acquisition.complex_component; }},
      {"echo", true, [](const AcquiredSlice& s) { return optional_text(s.acquisition.echo_number) + "/" + optional_text(s.acquisition.echo_time_ms); }},
      {"inversion time", true, [](const AcquiredSlice& s) { return optional_text(s.acquisition.inversion_time_ms); }},
      {"temporal position", true, [](const AcquiredSlice& s) { return optional_text(s.acquisition.temporal_position); }},
      {"stack", true, [](const AcquiredSlice& s) { return s.acquisition.stack_id; }},
      {"object", true, [](const AcquiredSlice& s) { return s.frame_number > 0 ? s.sop_instance_uid : std::string{}; }},
      {"diffusion direction", true,
       [](const AcquiredSlice& s) {
         if (!s.acquisition.diffusion_direction) return std::string{};
         const Vector3& d = *s.acquisition.diffusion_direction;
         return text_of(d[0], "%.4f") + "," + text_of(d[1], "%.4f") + "," + text_of(d[2], "%.4f");
       }},
      {"trigger time", false, [](const AcquiredSlice& s) { return optional_text(s.acquisition.trigger_time_ms); }},
      {"acquisition", false, [](const AcquiredSlice& s) { return optional_text(s.acquisition.acquisition_number); }},
      {"acquisition time", false, [](const AcquiredSlice& s) { return s.acquisition.acquisition_time; }},
      {"content time", false, [](const AcquiredSlice& s) { return s.acquisition.content_time; }},
  };
  return keys;
}

bool earlier(const Slices& a, const Slices& b) {
  const auto key = [](const Slices& slices) {
    const AcquiredSlice& s = *std::min_element(slices.begin(), slices.end(), [](const AcquiredSlice& x, const AcquiredSlice& y) {
      return std::tie(x.instance_number, x.frame_number) < std::tie(y.instance_number, y.frame_number);
    });
    return std::tuple(s.acquisition.acquisition_date + s.acquisition.acquisition_time, s.instance_number, s.frame_number);
  };
  return key(a) < key(b);
}

struct Part {
  Slices slices;
  std::vector<std::string> notes;
};

/// Part slices that share positions by the first index that does it, until no position repeats or nothing helps.
std::vector<Part> part_by_indices(Part whole, std::size_t first_key = 0) {
  const Occupancy all = occupancy(whole.slices);
  if (all.most_at_one <= 1) return {std::move(whole)};
  const auto& keys = index_keys();
  for (std::size_t key = first_key; key < keys.size(); ++key) {
    std::map<std::string, Slices> by_value;
    for (const AcquiredSlice& slice : whole.slices) by_value[keys[key].value(slice)].push_back(slice);
    if (by_value.size() < 2) continue;
    bool useful = true;
    if (keys[key].stated) {
      // More values than any position has slices, twice over: the index counts something else.
      useful = by_value.size() <= 2 * all.most_at_one;
    } else {
      for (const auto& [value, slices] : by_value) useful = useful && occupancy(slices).positions == all.positions;
    }
    if (!useful) continue;
    std::vector<Slices> ordered;
    for (auto& [value, slices] : by_value) ordered.push_back(std::move(slices));
    std::sort(ordered.begin(), ordered.end(), earlier);
    std::vector<Part> parts;
    for (std::size_t n = 0; n < ordered.size(); ++n) {
      Part part{std::move(ordered[n]), whole.notes};
      part.notes.push_back("Volume " + std::to_string(n + 1) + " of " + std::to_string(ordered.size()) + " that share slice positions, told apart by " +
                           keys[key].name + ".");
      for (Part& finer : part_by_indices(std::move(part), key + 1)) parts.push_back(std::move(finer));
    }
    return parts;
  }
  return {std::move(whole)};
}

bool same_pixels(const AcquiredSlice& a, const AcquiredSlice& b) { return a.pixels == b.pixels || *a.pixels == *b.pixels; }

/// Instances of one position with the same pixels were sent twice under two names; the first is kept.
void drop_copies(Part& part) {
  std::vector<AcquiredSlice> kept;
  std::size_t dropped = 0;
  for (AcquiredSlice& slice : part.slices) {
    const bool copy = std::any_of(kept.begin(), kept.end(), [&](const AcquiredSlice& other) {
      return std::abs(height_of(other) - height_of(slice)) < 0.01 && norm(other.position_mm - slice.position_mm) < 0.01 && same_pixels(other, slice);
    });
    if (copy) ++dropped;
    else kept.push_back(std::move(slice));
  }
  part.slices = std::move(kept);
  if (dropped > 0) part.notes.push_back(slices_text(dropped) + " of the same position and pixels were left out as copies.");
}

std::string describe(const Part& part) {
  std::string text = slices_text(part.slices.size());
  if (const auto b = part.slices.front().acquisition.b_value_s_per_mm2) text += " of b-value " + text_of(*b, "%.0f");
  return text;
}

PixelType common_type(const Slices& slices) {
  const PixelType first = slices.front().pixel_type;
  bool same = true, integers = true;
  for (const AcquiredSlice& slice : slices) {
    same = same && slice.pixel_type == first;
    integers = integers && is_integer(slice.pixel_type);
  }
  return same ? first : integers ? PixelType::int32 : PixelType::float32;
}

/// The volume, or the sentence why it is none.
tl::expected<BuiltVolume, std::string> stack(Part part, const VolumeTolerance& tolerance) {
  Slices& slices = part.slices;
  std::sort(slices.begin(), slices.end(), [](const AcquiredSlice& a, const AcquiredSlice& b) { return height_of(a) < height_of(b); });
  const std::string what = describe(part);
  const AcquiredSlice& first = slices.front();
  const Vector3 normal = normal_of(first);
  const auto count = slices.size();
  double spacing = first.acquisition.slice_thickness_mm.value_or(0);
  if (count == 1) {
    if (!(spacing > 0)) spacing = 1;
    part.notes.emplace_back("A single slice: its thickness stands for the slice distance.");
  } else {
    const double extent = height_of(slices.back()) - height_of(first);
    std::vector<double> distances;
    for (std::size_t i = 1; i < count; ++i) distances.push_back(height_of(slices[i]) - height_of(slices[i - 1]));
    std::vector<double> sorted = distances;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2), sorted.end());
    const double typical = sorted[sorted.size() / 2];
    const auto at_one = static_cast<std::size_t>(std::count_if(distances.begin(), distances.end(), [](double d) { return d < 0.01; }));
    if (at_one > 0)
      return tl::unexpected(what + ": different slices lie at one position and nothing in them tells volumes apart.");
    const double allowed = std::max(tolerance.absolute_mm, tolerance.fraction_of_spacing * typical);
    int missing = 0;
    for (const double distance : distances) {
      const double steps = distance / typical;
      if (steps > 1.5 && steps < 10'000 && std::abs(steps - std::round(steps)) * typical <= 2 * allowed) missing += static_cast<int>(std::lround(steps)) - 1;
    }
    if (missing > 0 && missing < static_cast<int>(10 * count))
      return tl::unexpected(what + ": " + slices_text(static_cast<std::size_t>(missing)) + (missing == 1 ? " is" : " are") + " missing between them (slice distance " +
                            text_of(typical) + " mm); send the series again.");
    spacing = extent / static_cast<double>(count - 1);
    double worst = 0, worst_aside = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Vector3 off = slices[i].position_mm - (first.position_mm + (static_cast<double>(i) * spacing) * normal);
      const double along = dot(off, normal);
      worst = std::max(worst, std::abs(along));
      worst_aside = std::max(worst_aside, norm(off - along * normal));
    }
    if (worst > allowed)
      return tl::unexpected(what + ": unevenly spaced, up to " + text_of(worst) + " mm from an even stack of " + text_of(spacing) + " mm (" + text_of(allowed) +
                            " mm are tolerated).");
    // Sideways a tenth of a pixel is what rounded coordinates give; more is a sheared (tilted gantry) or moving stack.
    const double aside_allowed = std::max(tolerance.absolute_mm, 0.1 * std::min(first.row_spacing_mm, first.column_spacing_mm));
    if (worst_aside > aside_allowed)
      return tl::unexpected(what + ": the slices do not lie above each other, up to " + text_of(worst_aside) + " mm sideways (a tilted gantry or a moved table).");
    if (worst > 1e-3) part.notes.push_back("Slice positions stray up to " + text_of(worst) + " mm from an even stack; tolerated up to " + text_of(allowed) + " mm.");
  }

  const std::size_t slice_size = static_cast<std::size_t>(first.columns) * static_cast<std::size_t>(first.rows);
  if (slice_size * count > voxels_max) return tl::unexpected(what + ": more voxels than can be processed.");
  const Vector3& r = first.row_direction;
  const Vector3& c = first.column_direction;
  auto geometry = VolumeGeometry::make({first.columns, first.rows, static_cast<int>(count)}, {first.column_spacing_mm, first.row_spacing_mm, spacing},
                                       first.position_mm, {r[0], c[0], normal[0], r[1], c[1], normal[1], r[2], c[2], normal[2]}, first.frame_of_reference_uid);
  if (!geometry) return tl::unexpected(what + ": " + geometry.error().message);

  std::vector<float> voxels;
  voxels.reserve(slice_size * count);
  SeriesReference reference;
  const AcquiredSlice& middle = slices[count / 2];
  reference.study_instance_uid = first.study_instance_uid;
  reference.series_instance_uid = first.series_instance_uid;
  reference.series_number = first.series_number;
  reference.description = middle.acquisition.series_description;
  AcquisitionFacts acquisition = middle.acquisition;
  for (const AcquiredSlice& slice : slices) {
    if (slice.frame_of_reference_uid != first.frame_of_reference_uid) return tl::unexpected(what + ": the slices have different frames of reference.");
    voxels.insert(voxels.end(), slice.pixels->begin(), slice.pixels->end());
    reference.slices.push_back({slice.sop_class_uid, slice.sop_instance_uid, slice.frame_number, slice.file});
    acquisition.lossy_compressed = acquisition.lossy_compressed || slice.acquisition.lossy_compressed;
    for (const std::string& note : slice.notes)
      if (std::find(part.notes.begin(), part.notes.end(), note) == part.notes.end() && part.notes.size() < 32) part.notes.push_back(note);
  }
  if (acquisition.lossy_compressed) part.notes.emplace_back("The pixels were compressed with loss; values differ from what the scanner measured.");
  const PixelType type = common_type(slices);
  const auto b = middle.acquisition.b_value_s_per_mm2;
  auto volume = SeriesVolume::make(std::move(*geometry), std::move(voxels), type, std::move(reference), std::move(acquisition));
  if (!volume) return tl::unexpected(what + ": " + volume.error().message);
  return BuiltVolume{std::move(*volume), b, std::move(part.notes)};
}

}  // namespace

Result<VolumeSet> build_volumes(std::vector<AcquiredSlice> slices, const VolumeTolerance& tolerance) {
  if (slices.empty()) return fail(ErrorCode::no_image_series, step, "The series holds no image that could be read.");
  VolumeSet set;
  Slices usable;
  std::size_t without_geometry = 0, mosaics = 0, localisers = 0;
  for (AcquiredSlice& slice : slices) {
    if (slice.series_instance_uid != slices.front().series_instance_uid && !slice.series_instance_uid.empty() && !usable.empty() &&
        slice.series_instance_uid != usable.front().series_instance_uid)
      return fail(ErrorCode::invalid_argument, step, "The slices belong to several series.");
    if (has_image_type(slice, "MOSAIC") || has_image_type(slice, "VFRAME")) ++mosaics;
    else if (has_image_type(slice, "LOCALIZER")) ++localisers;
    else if (!slice.has_geometry) ++without_geometry;
    else {
      if (slice.pixels == nullptr || slice.pixels->size() != static_cast<std::size_t>(slice.columns) * static_cast<std::size_t>(slice.rows))
        return fail(ErrorCode::invalid_argument, step, "A slice comes without its pixels.");
      usable.push_back(std::move(slice));
    }
  }
  if (mosaics > 0) set.rejected.push_back(slices_text(mosaics) + ": several slices tiled into one image (mosaic), which cannot be placed in space.");
  if (localisers > 0) set.rejected.push_back(slices_text(localisers) + ": localiser images.");
  if (without_geometry > 0)
    set.rejected.push_back(slices_text(without_geometry) + ": position, orientation or pixel spacing is missing or impossible.");

  std::vector<Slices> grids = part_by_grid(std::move(usable));
  std::size_t orientations = 0;
  for (std::size_t a = 0; a < grids.size(); ++a) {
    bool repeated = false;
    for (std::size_t b = 0; b < a; ++b) repeated = repeated || std::abs(dot(normal_of(grids[a].front()), normal_of(grids[b].front()))) > 0.97;
    if (!repeated) ++orientations;
  }
  for (Slices& grid : grids) {
    if (orientations > 1 && occupancy(grid).positions < 10) {
      set.rejected.push_back(slices_text(grid.size()) + ": one of several orientations in one series, too few for a volume (a localiser?).");
      continue;
    }
    for (Slices& shell : part_by_b_value(std::move(grid))) {
      Part whole{std::move(shell), {}};
      std::vector<Part> parts = part_by_indices(std::move(whole));
      for (Part& part : parts) {
        if (occupancy(part.slices).most_at_one > 1) drop_copies(part);
        auto built = stack(std::move(part), tolerance);
        if (built) set.volumes.push_back(std::move(*built));
        else set.rejected.push_back(built.error());
      }
    }
  }
  return set;
}

std::string plane_of(const VolumeGeometry& geometry) {
  const Vector3 normal = geometry.axis(2);
  constexpr double cosine_of_30_deg = 0.8660254037844387;
  if (std::abs(normal[2]) >= cosine_of_30_deg) return "axial";
  if (std::abs(normal[1]) >= cosine_of_30_deg) return "coronal";
  if (std::abs(normal[0]) >= cosine_of_30_deg) return "sagittal";
  return "oblique";
}

VolumeSummary summarise(const BuiltVolume& built) {
  const VolumeGeometry& geometry = built.volume.geometry();
  VolumeSummary summary;
  summary.plane = plane_of(geometry);
  summary.slices = geometry.size()[2];
  if (built.b_value_s_per_mm2) summary.b_values_s_per_mm2.push_back(*built.b_value_s_per_mm2);
  summary.field_of_view_mm = std::max(geometry.size()[0] * geometry.spacing_mm()[0], geometry.size()[1] * geometry.spacing_mm()[1]);
  return summary;
}

VolumeSummary summarise(const VolumeSet& set) {
  VolumeSummary summary;
  for (const BuiltVolume& built : set.volumes) {
    VolumeSummary one = summarise(built);
    if (one.slices > summary.slices) {
      summary.plane = one.plane;
      summary.slices = one.slices;
      summary.field_of_view_mm = one.field_of_view_mm;
    }
    for (const double b : one.b_values_s_per_mm2)
      if (std::find(summary.b_values_s_per_mm2.begin(), summary.b_values_s_per_mm2.end(), b) == summary.b_values_s_per_mm2.end()) summary.b_values_s_per_mm2.push_back(b);
  }
  std::sort(summary.b_values_s_per_mm2.begin(), summary.b_values_s_per_mm2.end());
  return summary;
}

}  // namespace choana::processing
