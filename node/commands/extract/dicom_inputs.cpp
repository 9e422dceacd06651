#include "node/commands/extract/dicom_inputs.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "core/near_match.h"
#include "core/sha256.h"
#include "dicom/dicom_reader.h"
#include "processing/prediction/roi_name_pattern.h"
#include "processing/roi/roi_builder.h"
#include "processing/volume/volume_builder.h"

namespace choana::node::extract {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t files_max = 200'000;
constexpr std::size_t named_max = 20;   // in messages

bool is_structure_set(const std::string& sop_class_uid) { return sop_class_uid == "1.2.840.10008.5.1.4.1.1.481.3"; }
bool is_segmentation(const std::string& sop_class_uid) {
  return sop_class_uid == "1.2.840.10008.5.1.4.1.1.66.4" || sop_class_uid == "1.2.840.10008.5.1.4.1.1.66.7";
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return c < 128 ? static_cast<char>(std::tolower(c)) : static_cast<char>(c); });
  return text;
}

std::string trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return std::string(text);
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t n = 0; n < names.size() && n < named_max; ++n) text += (n == 0 ? "" : ", ") + names[n];
  if (names.size() > named_max) text += ", and " + std::to_string(names.size() - named_max) + " more";
  return text;
}

std::string quoted(const std::string& text) { return "'" + text + "'"; }

std::vector<std::string> quoted(std::vector<std::string> names) {
  for (std::string& name : names) name = "'" + name + "'";
  return names;
}

std::string describe(const SeriesFiles& series) {
  return "series " + std::to_string(series.number) + (series.description.empty() ? "" : " " + quoted(series.description)) + " (" + series.modality + ", " +
         std::to_string(series.files.size()) + (series.files.size() == 1 ? " file)" : " files)");
}

std::string describe(const processing::BuiltVolume& volume, std::size_t number) {
  std::string text = "volume " + std::to_string(number);
  if (volume.b_value_s_per_mm2) text += " (b" + std::to_string(std::lround(*volume.b_value_s_per_mm2)) + ")";
  return text;
}

Result<std::size_t> choose_series(const DicomScan& scan, const std::string& wish, const DicomMask* mask, std::vector<std::string>& notes) {
  const std::string where = scan.place.filename().string();
  std::vector<std::string> all;
  for (const SeriesFiles& series : scan.series) all.push_back(describe(series));
  if (!wish.empty()) {
    std::vector<std::size_t> found;
    std::vector<std::string> names;
    for (std::size_t n = 0; n < scan.series.size(); ++n) {
      const SeriesFiles& series = scan.series[n];
      if (wish == series.uid || wish == std::to_string(series.number) || lower(trimmed(wish)) == lower(series.description)) found.push_back(n);
      names.push_back(series.description);
    }
    if (found.size() == 1) return found.front();
    return fail(found.empty() ? ErrorCode::not_found : ErrorCode::invalid_argument, "choose_series",
                where + (found.empty() ? " holds no series " + quoted(wish) + "." + did_you_mean(wish, names) : " holds several series " + quoted(wish) + ": name one by its UID.") +
                    " There are: " + list_of(all) + ".");
  }
  if (scan.series.size() == 1) return 0U;
  if (mask != nullptr) {
    const auto instances = mask->referenced_instances();
    const std::set<std::string> named(instances.begin(), instances.end());
    const auto referenced = mask->referenced_series();
    const std::set<std::string> series_named(referenced.begin(), referenced.end());
    // Each kind of evidence decides only if it points to one series.
    std::vector<std::vector<std::size_t>> evidence(3);
    std::size_t most = 1;
    for (std::size_t n = 0; n < scan.series.size(); ++n) {
      const auto& uids = scan.series[n].sop_instance_uids;
      const auto hits = static_cast<std::size_t>(std::count_if(uids.begin(), uids.end(), [&](const std::string& uid) { return named.contains(uid); }));
      if (hits > most) evidence[0].clear();
      if (hits >= most) evidence[0].push_back(n);
      most = std::max(most, hits);
      if (series_named.contains(scan.series[n].uid)) evidence[1].push_back(n);
    }
    if (evidence[0].size() != 1 && evidence[1].size() != 1 && !mask->frame_of_reference_uid().empty())
      for (std::size_t n = 0; n < scan.series.size(); ++n)
        if (auto slices = dicom::read_slices(scan.series[n].files.front(), false); slices && !slices->empty() && slices->front().frame_of_reference_uid == mask->frame_of_reference_uid())
          evidence[2].push_back(n);
    const char* words[] = {"images", "series", "frame of reference"};
    for (std::size_t kind = 0; kind < evidence.size(); ++kind)
      if (evidence[kind].size() == 1) {
        notes.push_back("Of " + std::to_string(scan.series.size()) + " series, " + describe(scan.series[evidence[kind].front()]) + " was taken: the " + mask->kind() + " refers to its " + words[kind] + ".");
        return evidence[kind].front();
      }
  }
  return fail(ErrorCode::invalid_argument, "choose_series",
              where + " holds " + std::to_string(scan.series.size()) + " series, and the mask does not say which one is meant: " + list_of(all) +
                  ". Name one with --series or in a column Series.");
}

Result<std::size_t> choose_volume(const std::vector<processing::BuiltVolume>& volumes, const std::string& series, const std::string& wish, const DicomMask* mask,
                                  std::vector<std::string>& notes) {
  std::vector<std::string> all;
  for (std::size_t n = 0; n < volumes.size(); ++n) all.push_back(describe(volumes[n], n + 1));
  if (!wish.empty()) {
    std::vector<std::size_t> found;
    for (std::size_t n = 0; n < volumes.size(); ++n) {
      const auto b_value = volumes[n].b_value_s_per_mm2;
      if (wish == std::to_string(n + 1) || (b_value && lower(wish) == "b" + std::to_string(std::lround(*b_value)))) found.push_back(n);
    }
    if (found.size() == 1) return found.front();
    return fail(found.empty() ? ErrorCode::not_found : ErrorCode::invalid_argument, "choose_volume",
                "In " + series + (found.empty() ? " there is no volume " : " there are several volumes ") + quoted(wish) + ". There are: " + list_of(all) + ".");
  }
  if (volumes.size() == 1) return 0U;
  if (mask != nullptr) {
    const auto instances = mask->referenced_instances();
    const std::set<std::string> named(instances.begin(), instances.end());
    std::vector<std::size_t> best;
    std::size_t most = 1;
    for (std::size_t n = 0; n < volumes.size(); ++n) {
      const auto& slices = volumes[n].volume.reference().slices;
      // One object with all frames names every volume alike and so decides nothing.
      const auto hits = static_cast<std::size_t>(std::count_if(slices.begin(), slices.end(), [&](const SliceReference& slice) { return named.contains(slice.sop_instance_uid); }));
      if (hits > most) best.clear();
      if (hits >= most) best.push_back(n);
      most = std::max(most, hits);
    }
    if (best.size() == 1) {
      notes.push_back("Of " + std::to_string(volumes.size()) + " volumes, " + all[best.front()] + " was taken: the " + mask->kind() + " refers to its images.");
      return best.front();
    }
  }
  return fail(ErrorCode::invalid_argument, "choose_volume",
              "Of " + series + " there are " + std::to_string(volumes.size()) + " volumes: " + list_of(all) + ". Name one with --volume or in a column Volume.");
}

}  // namespace

bool is_dicom_place(const fs::path& path) {
  std::error_code problem;
  if (fs::is_directory(path, problem)) return true;
  if (lower(path.extension().string()) == ".dcm") return true;
  std::ifstream file(path, std::ios::binary);
  char mark[4] = {};
  file.seekg(128);
  file.read(mark, sizeof mark);
  return file && std::string_view(mark, sizeof mark) == "DICM";
}

Result<DicomScan> scan_dicom(const fs::path& place) {
  std::error_code problem;
  std::vector<fs::path> files;
  if (fs::is_regular_file(place, problem)) {
    files.push_back(place);
  } else {
    if (!fs::is_directory(place, problem)) return fail(ErrorCode::not_found, "scan_dicom", "There is no file or folder " + place.filename().string() + ".");
    auto entry = fs::recursive_directory_iterator(place, fs::directory_options::skip_permission_denied, problem);
    for (; !problem && entry != fs::recursive_directory_iterator(); entry.increment(problem)) {
      std::error_code unreadable;
      if (!entry->is_regular_file(unreadable)) continue;
      files.push_back(entry->path());
      if (files.size() > files_max) return fail(ErrorCode::limit_exceeded, "scan_dicom", "The folder " + place.filename().string() + " holds more than 200,000 files; name one study.");
    }
  }
  std::sort(files.begin(), files.end());
  DicomScan scan;
  scan.place = place;
  std::map<std::string, SeriesFiles> series;
  std::map<std::string, fs::path> first_of_uid;
  for (const fs::path& file : files) {
    auto facts = dicom::read_instance_facts(file);
    if (!facts) {
      if (facts.error().code == ErrorCode::not_dicom) ++scan.other_files;
      else scan.notes.push_back(facts.error().message);
      continue;
    }
    const auto [known, is_new] = first_of_uid.emplace(facts->sop_instance_uid, file);
    if (!is_new) {
      const auto first = sha256_hex_of_file(known->second), second = sha256_hex_of_file(file);
      if (!first || !second || *first != *second)
        scan.notes.push_back("Two files with different content carry the same SOP Instance UID; the first was used, " + file.filename().string() + " was set aside.");
      continue;
    }
    const std::string& modality = facts->acquisition.modality;
    if (is_structure_set(facts->sop_class_uid) || is_segmentation(facts->sop_class_uid)) {
      scan.masks.push_back(file);
    } else if (modality == "MR" || modality == "CT" || modality == "PT") {
      SeriesFiles& found = series[facts->series_instance_uid];
      if (found.files.empty()) {
        found.uid = facts->series_instance_uid;
        found.number = facts->series_number;
        found.description = trimmed(facts->acquisition.series_description);
        found.modality = modality;
      }
      found.files.push_back(file);
      found.sop_instance_uids.push_back(facts->sop_instance_uid);
    } else {
      ++scan.other_files;
    }
  }
  for (auto& [uid, found] : series) scan.series.push_back(std::move(found));
  std::stable_sort(scan.series.begin(), scan.series.end(), [](const SeriesFiles& a, const SeriesFiles& b) { return a.number < b.number; });
  return scan;
}

Result<DicomMask> DicomMask::load(const DicomScan& scan, const std::vector<std::string>& rois) {
  const std::string where = scan.place.filename().string();
  if (scan.masks.empty()) {
    std::string message = where + " holds no RTSTRUCT and no SEG.";
    if (!scan.notes.empty()) message += " " + scan.notes.front();
    return fail(ErrorCode::roi_missing, "read_mask", message);
  }
  const auto read = [](const fs::path& file) -> Result<DicomMask> {
    auto facts = dicom::read_instance_facts(file);
    if (!facts) return fail(facts.error());
    DicomMask mask;
    mask.structure_set_ = extract::is_structure_set(facts->sop_class_uid);
    if (mask.structure_set_) {
      auto set = dicom::read_structure_set(file);
      if (!set) return fail(set.error());
      mask.set_ = std::move(*set);
      for (const StructureSetRoi& roi : mask.set_.rois) mask.names_.push_back(roi.name);
    } else {
      auto segmentation = dicom::read_segmentation(file);
      if (!segmentation) return fail(segmentation.error());
      mask.segmentation_ = std::move(*segmentation);
      for (const SegmentDescription& segment : mask.segmentation_.segments) mask.names_.push_back(segment.label);
    }
    return mask;
  };
  if (scan.masks.size() == 1) return read(scan.masks.front());
  std::vector<std::string> there;
  std::optional<DicomMask> fitting;
  std::size_t fitting_count = 0;
  for (const fs::path& file : scan.masks) {
    auto mask = read(file);
    there.push_back(file.filename().string() + " (" + (mask ? std::string(mask->kind()) + ": " + list_of(quoted(mask->names_)) : "not readable") + ")");
    if (!mask || rois.empty() || !mask->choose(rois)) continue;
    ++fitting_count;
    fitting = std::move(*mask);
  }
  if (fitting_count == 1) return std::move(*fitting);
  return fail(ErrorCode::roi_missing, "read_mask",
              where + " holds " + std::to_string(scan.masks.size()) + " RTSTRUCT or SEG objects" +
                  (rois.empty() ? "" : fitting_count == 0 ? ", and none has the region that is wanted" : ", and several have the region that is wanted") + ": " + list_of(there) +
                  ". Name one file as the mask" + (rois.empty() ? ", or a region with --roi or in a column ROI." : "."));
}

std::vector<std::string> DicomMask::referenced_instances() const {
  if (!structure_set_) return segmentation_.referenced_sop_instance_uids;
  std::vector<std::string> uids;
  for (const StructureSetRoi& roi : set_.rois)
    for (const PlanarContour& contour : roi.contours) uids.insert(uids.end(), contour.referenced_sop_instance_uids.begin(), contour.referenced_sop_instance_uids.end());
  if (uids.empty()) uids = set_.referenced_sop_instance_uids;
  return uids;
}

std::vector<std::string> DicomMask::referenced_series() const { return structure_set_ ? set_.referenced_series_uids : segmentation_.referenced_series_uids; }

std::string DicomMask::frame_of_reference_uid() const {
  if (!structure_set_) return segmentation_.frame_of_reference_uid;
  return set_.rois.empty() ? std::string() : set_.rois.front().frame_of_reference_uid;
}

Result<std::vector<std::size_t>> DicomMask::choose(const std::vector<std::string>& rois) const {
  std::vector<std::size_t> chosen;
  if (rois.empty()) {
    for (std::size_t n = 0; n < names_.size(); ++n)
      if (!structure_set_ || !set_.rois[n].contours.empty()) chosen.push_back(n);
    if (chosen.empty()) return fail(ErrorCode::roi_missing, "choose_roi", std::string("The ") + kind() + " holds no region that was drawn.");
    return chosen;
  }
  for (const std::string& wish : rois) {
    std::vector<std::size_t> found;
    for (std::size_t n = 0; n < names_.size(); ++n)
      if (trimmed(names_[n]) == trimmed(wish)) found.push_back(n);
    if (found.empty() && processing::check_roi_name_pattern(wish))
      for (std::size_t n = 0; n < names_.size(); ++n)
        if (processing::matches_roi_name(wish, names_[n])) found.push_back(n);
    if (found.empty())
      return fail(ErrorCode::roi_missing, "choose_roi",
                  std::string("The ") + kind() + " has no region " + quoted(wish) + "." + did_you_mean(wish, names_) +
                      (names_.empty() ? " It holds no region at all." : " There are: " + list_of(quoted(names_)) + "."));
    for (const std::size_t n : found)
      if (std::find(chosen.begin(), chosen.end(), n) == chosen.end()) chosen.push_back(n);
  }
  return chosen;
}

Result<RegionOfInterest> DicomMask::region(std::size_t index, const VolumeGeometry& geometry, const SeriesReference* image) const {
  processing::RoiSettings how;
  std::vector<std::string> notes;
  const std::string& frame = structure_set_ ? set_.rois[index].frame_of_reference_uid : segmentation_.frame_of_reference_uid;
  if (image == nullptr) {
    how.accept_other_frame_of_reference = true;
    notes.push_back(std::string("The image file names no frame of reference: the ") + kind() + " was placed by its coordinates alone.");
  } else {
    // Its own images are evidence enough, even when the frame of reference was lost or differs.
    const auto series = referenced_series();
    const auto instances = referenced_instances();
    const std::set<std::string> named(instances.begin(), instances.end());
    how.accept_other_frame_of_reference =
        std::find(series.begin(), series.end(), image->series_instance_uid) != series.end() ||
        std::any_of(image->slices.begin(), image->slices.end(), [&](const SliceReference& slice) { return named.contains(slice.sop_instance_uid); });
    if (how.accept_other_frame_of_reference && !frame.empty() && frame != geometry.frame_of_reference_uid())
      notes.push_back("The region names another frame of reference than the images it refers to; it was placed by its references.");
  }
  RoiOrigin origin;
  if (structure_set_) {
    origin.kind = RoiOrigin::Kind::structure_set;
    origin.sop_class_uid = set_.sop_class_uid;
    origin.sop_instance_uid = set_.sop_instance_uid;
    origin.series_instance_uid = set_.series_instance_uid;
    origin.number = set_.rois[index].number;
    origin.notes = std::move(notes);
    if (image != nullptr)
      for (std::string& sentence : processing::compare_references(set_.rois[index], *image, geometry)) origin.notes.push_back(std::move(sentence));
    return processing::rasterise_roi(set_.rois[index], origin, geometry, how);
  }
  auto roi = processing::roi_from_segment(segmentation_, segmentation_.segments[index].number, geometry, how);
  if (!roi || notes.empty()) return roi;
  RoiOrigin with_notes = roi->origin();
  with_notes.notes.insert(with_notes.notes.begin(), notes.begin(), notes.end());
  return RegionOfInterest::make(roi->name(), roi->geometry(), roi->mask(), std::move(with_notes), roi->finding());
}

Result<DicomVolume> load_volume(const DicomScan& scan, const std::string& series_wish, const std::string& volume_wish, const DicomMask* mask) {
  if (scan.series.empty()) {
    std::string message = scan.place.filename().string() + " holds no MR, CT or PET image (" + std::to_string(scan.other_files) + " other files).";
    if (!scan.notes.empty()) message += " " + scan.notes.front();
    return fail(ErrorCode::no_image_series, "read_image", message);
  }
  DicomVolume result;
  result.notes = scan.notes;
  const auto chosen = choose_series(scan, series_wish, mask, result.notes);
  if (!chosen) return fail(chosen.error());
  const SeriesFiles& series = scan.series[*chosen];
  std::vector<AcquiredSlice> slices;
  for (const fs::path& file : series.files) {
    auto read = dicom::read_slices(file, true);
    if (!read) return fail(read.error());
    for (AcquiredSlice& slice : *read) slices.push_back(std::move(slice));
  }
  std::sort(slices.begin(), slices.end(), [](const AcquiredSlice& a, const AcquiredSlice& b) {
    return std::tie(a.instance_number, a.sop_instance_uid, a.frame_number) < std::tie(b.instance_number, b.sop_instance_uid, b.frame_number);
  });
  auto built = processing::build_volumes(std::move(slices));
  if (!built) return fail(built.error());
  if (built->volumes.empty())
    return fail(ErrorCode::irregular_slices, "read_image", built->rejected.empty() ? "No volume could be built from " + describe(series) + "." : built->rejected.front());
  result.notes.insert(result.notes.end(), built->rejected.begin(), built->rejected.end());
  const auto which = choose_volume(built->volumes, describe(series), volume_wish, mask, result.notes);
  if (!which) return fail(which.error());
  processing::BuiltVolume& volume = built->volumes[*which];
  result.notes.insert(result.notes.end(), volume.notes.begin(), volume.notes.end());
  if (volume.volume.acquisition().lossy_compressed) result.notes.push_back("The series is lossy compressed; its feature values differ from those of the original.");
  result.volume = std::move(volume.volume);
  return result;
}

}  // namespace choana::node::extract
