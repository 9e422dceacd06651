#include "dicom-fixtures/synthetic/npc_study.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>
#include <set>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include "core/geometry.h"
#include "core/unique_identifier.h"
#include "dicom-fixtures/synthetic/npc_phantom.h"
#include "dicom-fixtures/synthetic/plane_section.h"

namespace choana::fixtures {
namespace {

constexpr const char* study_date = "20260105";
constexpr std::array bad_names{std::pair{BadCase::none, std::string_view("none")},
                               std::pair{BadCase::not_dicom, std::string_view("not-dicom")},
                               std::pair{BadCase::truncated, std::string_view("truncated")},
                               std::pair{BadCase::missing_pixel_data, std::string_view("missing-pixel-data")},
                               std::pair{BadCase::rtstruct_series_missing, std::string_view("rtstruct-series-missing")},
                               std::pair{BadCase::roi_outside, std::string_view("roi-outside")},
                               std::pair{BadCase::roi_one_voxel, std::string_view("roi-one-voxel")},
                               std::pair{BadCase::duplicate_uid, std::string_view("duplicate-uid")}};

struct SequenceFacts {
  std::string_view sequence, role, folder, description, description_zh, scanning, variant, scan_options, sequence_name;
  int series_number;
  const char* time;
  int echo_train;
};
constexpr std::array sequence_table{
    SequenceFacts{"t1", "T1", "T1", "Ax T1 TSE", "T1 \xE6\xA8\xAA\xE6\x96\xAD\xE4\xBD\x8D", "SE", "SK", "", "*tse2d1_3", 3, "093012", 3},
    SequenceFacts{"t2", "T2", "T2", "Ax T2 TSE", "T2 \xE6\xA8\xAA\xE6\x96\xAD\xE4\xBD\x8D", "SE", "SK", "", "*tse2d1_17", 4, "093455", 17},
    SequenceFacts{"dwi", "DWI", "DWI", "Ax DWI b0 b800", "\xE5\xBC\xA5\xE6\x95\xA3\xE5\x8A\xA0\xE6\x9D\x83 b0 b800", "EP", "SK", "FS\\PFP", "*ep_b", 5, "093930", 1},
    SequenceFacts{"adc", "ADC", "ADC", "Ax ADC map", "ADC \xE5\x9B\xBE", "EP", "SK", "FS\\PFP", "*ep_b0_800", 6, "093930", 1},
    SequenceFacts{"t1c", "T1C", "T1C", "Ax T1 TSE +C", "\xE5\xA2\x9E\xE5\xBC\xBA T1 \xE6\xA8\xAA\xE6\x96\xAD\xE4\xBD\x8D", "SE", "SK", "", "*tse2d1_3", 7, "094540", 3},
    SequenceFacts{"t1cfs", "T1C-FS", "T1CFS", "Ax T1 FS +C", "\xE5\xA2\x9E\xE5\xBC\xBA T1 \xE5\x8E\x8B\xE8\x84\x82", "SE", "SK", "FS", "*tse2d1_3", 8, "094955", 3},
};

struct SiteFacts {
  const char *model, *field_t, *frequency_mhz, *serial;
  double gain_t1, gain_t2, gain_diffusion, noise, echo_factor;
  float blur;  // more of it, in the plane
};
constexpr SiteFacts site_table[] = {{"Choana phantom", "3", "123.2", "0", 1, 1, 1, 1, 1, 0},
                                    {"Choana phantom B", "1.5", "63.9", "1", 0.78, 0.85, 0.9, 1.35, 1.08, 0.05f},
                                    {"Choana phantom C", "3", "127.7", "2", 1.15, 1.1, 1.12, 0.8, 0.94, 0.02f}};

const SequenceFacts* find_sequence(std::string_view name) {
  for (const auto& facts : sequence_table)
    if (facts.sequence == name) return &facts;
  return nullptr;
}

std::string decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.8g", std::abs(value) < 1e-9 ? 0.0 : value);
  return text;
}
std::string join(std::initializer_list<double> values) {
  std::string text;
  for (const double v : values) text += (text.empty() ? "" : "\\") + decimal(v);
  return text;
}
std::string join(const Vector3& v) { return join({v[0], v[1], v[2]}); }

void put(DcmItem& item, const DcmTagKey& tag, std::string_view text) { item.putAndInsertString(tag, std::string(text).c_str()); }
DcmItem& append(DcmItem& item, const DcmTagKey& tag) {
  DcmItem* made = nullptr;
  item.findOrCreateSequenceItem(tag, made, -2);
  return *made;
}
void put_code(DcmItem& item, const DcmTagKey& tag, std::string_view value, std::string_view scheme, std::string_view meaning) {
  DcmItem& code = append(item, tag);
  put(code, DCM_CodeValue, value);
  put(code, DCM_CodingSchemeDesignator, scheme);
  put(code, DCM_CodeMeaning, meaning);
}

void put_numbers(DcmItem& item, const DcmTagKey& tag, const std::array<Uint32, 2>& values) {
  auto* element = new DcmUnsignedLong(tag);
  element->putUint32Array(values.data(), 2);
  item.insert(element, OFTrue);
}

// One stored slice.
struct StoredSlice {
  std::string sop_instance_uid;
  int k = 0;
  int b_value = -1;
};
struct StoredSeries {
  const SequenceFacts* facts = nullptr;
  std::string series_instance_uid;
  VolumeGeometry grid;
  std::vector<std::vector<std::uint16_t>> volumes;  // one, or one for each b-value
  std::vector<int> b_values;
  double slope = 1;
  std::vector<StoredSlice> slices;
};

class StudyWriter {
 public:
  StudyWriter(const NpcStudyOptions& options, std::filesystem::path folder)
      : options_(options), folder_(std::move(folder)), site_(site_table[static_cast<std::size_t>(options.site)]),
        phantom_({options.seed, options.tumour_ml, options.response, site_.echo_factor}) {}

  Result<NpcStudy> write();

 private:
  [[nodiscard]] std::string uid(std::string_view role, const std::string& name = {}) const { return derive_uid("fixture-" + std::string(role), key_ + "|" + name); }
  [[nodiscard]] VolumeGeometry grid_of(bool diffusion) const;
  [[nodiscard]] VolumeGeometry moved(const VolumeGeometry& grid, std::uint64_t stream) const;
  [[nodiscard]] double drawn_distance_mm(const Vector3& point_mm) const;
  [[nodiscard]] double drawn_reach_mm() const { return phantom_.tumour_reach_mm() + (options_.reader == 0 ? 0 : 2); }
  [[nodiscard]] std::string text_of(std::string_view ascii, std::string_view chinese) const {
    return std::string(options_.charset == Charset::ascii ? ascii : chinese);
  }
  Status make_series();
  void common_modules(DcmItem& data, std::string_view sop_class, std::string_view sop_instance, std::string_view modality, int series_number,
                      std::string_view series_uid, std::string_view description, std::string_view time) const;
  void acquisition_modules(DcmItem& data, const StoredSeries& series) const;
  Status write_series(StoredSeries& series);
  Status write_enhanced(StoredSeries& series);
  Status write_rtstruct(const StoredSeries& on);
  Status write_seg(const StoredSeries& on);
  Status save(DcmFileFormat& file, const std::filesystem::path& path);
  Status spoil(const StoredSeries& on);

  const NpcStudyOptions& options_;
  std::filesystem::path folder_;
  const SiteFacts& site_;
  NpcPhantom phantom_;
  std::string key_;
  std::vector<StoredSeries> series_;
  NpcStudy study_;
};

VolumeGeometry StudyWriter::grid_of(bool diffusion) const {
  const Index3 size = options_.small ? (diffusion ? Index3{48, 48, 12} : Index3{64, 64, 12}) : (diffusion ? Index3{128, 128, 24} : Index3{256, 256, 32});
  const double field_mm = 232, slab_mm = options_.small ? 72 : diffusion ? 120 : 128;
  const Vector3 spacing{field_mm / size[0], field_mm / size[1], slab_mm / size[2]};
  Matrix3 direction{1, 0, 0, 0, 1, 0, 0, 0, 1};
  if (options_.oblique) {
    const double a = 11 * std::numbers::pi / 180, c = 6 * std::numbers::pi / 180;
    const double ca = std::cos(a), sa = std::sin(a), cc = std::cos(c), sc = std::sin(c);
    direction = {cc, -sc * ca, sc * sa, sc, cc * ca, -cc * sa, 0, sa, ca};
  }
  auto at_zero = VolumeGeometry::make(size, spacing, {0, 0, 0}, direction).value();
  const Vector3 centre = at_zero.index_to_patient({(size[0] - 1) / 2.0, (size[1] - 1) / 2.0, (size[2] - 1) / 2.0});
  const Vector3 wanted{0, options_.small ? -2.0 : 0.0, -2};
  return VolumeGeometry::make(size, spacing, wanted - centre, direction, study_.frame_of_reference_uid).value();
}

// Where the anatomy lies for a series during which the patient had moved: the same voxels, seen from elsewhere.
VolumeGeometry StudyWriter::moved(const VolumeGeometry& grid, std::uint64_t stream) const {
  const auto number = [&](std::uint64_t n) { return 2 * uniform_number(options_.seed ^ 0x30710 ^ stream, n) - 1; };
  Vector3 shift{number(0), number(1), number(2)};
  shift = options_.motion_mm / std::max(norm(shift), 1e-3) * shift;
  const double a = options_.motion_mm / 2 * number(3) * std::numbers::pi / 180, c = std::cos(a), s = std::sin(a);
  const Matrix3& d = grid.direction();
  const Matrix3 turned{c * d[0] - s * d[3], c * d[1] - s * d[4], c * d[2] - s * d[5], s * d[0] + c * d[3], s * d[1] + c * d[4], s * d[2] + c * d[5], d[6], d[7], d[8]};
  const Vector3 o = grid.origin_mm();
  const Vector3 origin{c * o[0] - s * o[1] + shift[0], s * o[0] + c * o[1] + shift[1], o[2] + shift[2]};
  return VolumeGeometry::make(grid.size(), grid.spacing_mm(), origin, turned).value();
}

// What a reader takes for the surface: negative inside.
double StudyWriter::drawn_distance_mm(const Vector3& point_mm) const {
  const double distance = phantom_.tumour_distance_mm(point_mm);
  if (options_.reader == 0) return distance;
  const auto stream = static_cast<std::uint64_t>(options_.reader) * 0x9E3779B97F4A7C15ull ^ options_.seed;
  return distance + 0.9 * smooth_field(point_mm, 9, stream) + 0.3 * (2 * uniform_number(stream, 1) - 1);
}

// Three-tap blur in the plane: the point spread of an MR image.
void blur(std::vector<float>& voxels, const Index3& size, float side) {
  const auto columns = static_cast<std::size_t>(size[0]), rows = static_cast<std::size_t>(size[1]);
  std::vector<float> line(std::max(columns, rows));
  const auto pass = [&](std::size_t first, std::size_t stride, std::size_t count) {
    for (std::size_t n = 0; n < count; ++n) line[n] = voxels[first + n * stride];
    for (std::size_t n = 0; n < count; ++n)
      voxels[first + n * stride] = (1 - 2 * side) * line[n] + side * (line[n == 0 ? 0 : n - 1] + line[std::min(n + 1, count - 1)]);
  };
  for (std::size_t k = 0; k < static_cast<std::size_t>(size[2]); ++k) {
    for (std::size_t j = 0; j < rows; ++j) pass((k * rows + j) * columns, 1, columns);
    for (std::size_t i = 0; i < columns; ++i) pass(k * rows * columns + i, columns, rows);
  }
}

void scale(std::vector<float>& voxels, double gain) {
  if (gain == 1) return;
  for (float& voxel : voxels) voxel *= static_cast<float>(gain);
}

// Magnitude of a signal with complex Gaussian noise.
std::vector<std::uint16_t> with_rician_noise(const std::vector<float>& signal, float sigma, std::uint64_t stream) {
  std::vector<std::uint16_t> stored(signal.size());
  for (std::size_t n = 0; n < signal.size(); ++n) {
    const float real = signal[n] + sigma * gaussian_noise(stream, 2 * n), imaginary = sigma * gaussian_noise(stream, 2 * n + 1);
    stored[n] = static_cast<std::uint16_t>(std::clamp(std::sqrt(real * real + imaginary * imaginary) + 0.5f, 0.0f, 4095.0f));
  }
  return stored;
}


Status StudyWriter::make_series() {
  const auto wants = [&](std::string_view name) { return std::find(options_.sequences.begin(), options_.sequences.end(), name) != options_.sequences.end(); };
  const std::uint64_t noise = options_.seed * 0x9E3779B97F4A7C15ull;
  // One walk over the grid paints all anatomical contrasts.
  std::vector<Contrast> contrasts;
  std::vector<const SequenceFacts*> painted;
  for (const auto& [name, contrast] : {std::pair{"t1", Contrast::t1}, std::pair{"t2", Contrast::t2}, std::pair{"t1c", Contrast::t1c}, std::pair{"t1cfs", Contrast::t1c_fs}})
    if (wants(name)) {
      contrasts.push_back(contrast);
      painted.push_back(find_sequence(name));
    }
  if (!contrasts.empty()) {
    const VolumeGeometry grid = grid_of(false);
    auto images = phantom_.paint(grid, contrasts);
    for (std::size_t c = 0; c < contrasts.size(); ++c)
      if (options_.motion_mm > 0 && (contrasts[c] == Contrast::t1c || contrasts[c] == Contrast::t1c_fs))
        images[c] = std::move(phantom_.paint(moved(grid, static_cast<std::uint64_t>(contrasts[c])), {contrasts[c]}).front());
    for (std::size_t c = 0; c < contrasts.size(); ++c) {
      StoredSeries series;
      series.facts = painted[c];
      series.grid = grid;
      blur(images[c], grid.size(), (options_.small ? 0.06f : 0.14f) + site_.blur);
      scale(images[c], contrasts[c] == Contrast::t2 ? site_.gain_t2 : site_.gain_t1);
      series.volumes.push_back(with_rician_noise(images[c], (contrasts[c] == Contrast::t2 ? 13.0f : 15.0f) * static_cast<float>(site_.noise), noise + 11 * (c + 1)));
      series_.push_back(std::move(series));
    }
  }
  if (wants("dwi") || wants("adc")) {
    const VolumeGeometry grid = grid_of(true);
    auto images = phantom_.paint(grid, {Contrast::dwi_b0, Contrast::dwi_b800});
    std::vector<std::vector<std::uint16_t>> stored;
    for (std::size_t b = 0; b < 2; ++b) {
      blur(images[b], grid.size(), (options_.small ? 0.08f : 0.2f) + site_.blur);
      scale(images[b], site_.gain_diffusion);
      stored.push_back(with_rician_noise(images[b], 9.0f * static_cast<float>(site_.noise), noise + 101 + b));
    }
    if (wants("adc")) {
      // From the stored pixels, as a scanner does; stored in units of 0.5e-6 mm2/s so that a rescale slope must be applied.
      StoredSeries series;
      series.facts = find_sequence("adc");
      series.grid = grid;
      series.slope = 0.5;
      std::vector<std::uint16_t> map(grid.voxel_count(), 0);
      for (std::size_t n = 0; n < map.size(); ++n) {
        if (stored[0][n] < 45) continue;
        const double adc = std::log(static_cast<double>(stored[0][n]) / std::max<double>(1.0, stored[1][n])) / 800 * 1e6;
        map[n] = static_cast<std::uint16_t>(std::lround(std::clamp(adc, 0.0, 2047.0 * 2) / 0.5));
      }
      series.volumes.push_back(std::move(map));
      series_.push_back(std::move(series));
    }
    if (wants("dwi")) {
      StoredSeries series;
      series.facts = find_sequence("dwi");
      series.grid = grid;
      series.volumes = std::move(stored);
      series.b_values = {0, 800};
      series_.push_back(std::move(series));
    }
  }
  std::sort(series_.begin(), series_.end(), [](const auto& a, const auto& b) { return a.facts->series_number < b.facts->series_number; });
  for (auto& series : series_) {
    const std::string name(series.facts->sequence);
    series.series_instance_uid = uid("series", name);
    for (std::size_t v = 0; v < series.volumes.size(); ++v)
      for (int k = 0; k < series.grid.size()[2]; ++k)
        series.slices.push_back({options_.enhanced && series.b_values.empty() && name != "adc" ? uid("object", name) : uid("object", name + "|" + std::to_string(v) + "|" + std::to_string(k)), k,
                                 series.b_values.empty() ? -1 : series.b_values[v]});
  }
  return {};
}

void StudyWriter::common_modules(DcmItem& data, std::string_view sop_class, std::string_view sop_instance, std::string_view modality, int series_number,
                                 std::string_view series_uid, std::string_view description, std::string_view time) const {
  if (options_.charset != Charset::ascii) put(data, DCM_SpecificCharacterSet, "ISO_IR 192");
  put(data, DCM_SOPClassUID, sop_class);
  put(data, DCM_SOPInstanceUID, sop_instance);
  put(data, DCM_InstanceCreationDate, study_date);
  put(data, DCM_InstanceCreationTime, time);
  put(data, DCM_StudyDate, study_date);
  put(data, DCM_SeriesDate, study_date);
  put(data, DCM_StudyTime, "092500");
  put(data, DCM_SeriesTime, time);
  put(data, DCM_AccessionNumber, "TEST" + std::to_string(options_.seed % 1000000));
  put(data, DCM_Modality, modality);
  put(data, DCM_Manufacturer, "SYNTHETIC");
  put(data, DCM_InstitutionName, "SYNTHETIC");
  put(data, DCM_ReferringPhysicianName, "");
  put(data, DCM_StudyDescription, text_of("MR nasopharynx (synthetic)", "\xE9\xBC\xBB\xE5\x92\xBD\xE9\x83\xA8 MR (\xE5\x90\x88\xE6\x88\x90)"));
  put(data, DCM_SeriesDescription, description);
  put(data, DCM_ManufacturerModelName, site_.model);
  put(data, DCM_PatientName, text_of("Test^Patient", "\xE6\xB5\x8B\xE8\xAF\x95^\xE7\x97\x85\xE4\xBA\xBA"));
  put(data, DCM_PatientID, study_.patient_id);
  // Born on 1 January: the age at the study's date in January is the difference of the years.
  put(data, DCM_PatientBirthDate, std::to_string(2026 - options_.age_years) + "0101");
  put(data, DCM_PatientSex, options_.seed % 2 == 0 ? "F" : "M");
  char age[8];
  std::snprintf(age, sizeof age, "%03dY", options_.age_years);
  put(data, DCM_PatientAge, age);
  put(data, DCM_DeviceSerialNumber, site_.serial);
  put(data, DCM_SoftwareVersions, "1");
  put(data, DCM_StudyInstanceUID, study_.study_instance_uid);
  put(data, DCM_SeriesInstanceUID, series_uid);
  put(data, DCM_StudyID, "1");
  put(data, DCM_SeriesNumber, std::to_string(series_number));
}

void StudyWriter::acquisition_modules(DcmItem& data, const StoredSeries& series) const {
  const auto& facts = *series.facts;
  const bool contrast = facts.sequence == "t1c" || facts.sequence == "t1cfs";
  const SequenceTimes times = sequence_times(facts.sequence == "t1"    ? Contrast::t1
                                             : facts.sequence == "t2"  ? Contrast::t2
                                             : facts.sequence == "t1c" ? Contrast::t1c
                                             : facts.sequence == "t1cfs" ? Contrast::t1c_fs
                                                                         : Contrast::dwi_b0);
  put(data, DCM_BodyPartExamined, "HEADNECK");
  put(data, DCM_ScanningSequence, facts.scanning);
  put(data, DCM_SequenceVariant, facts.variant);
  put(data, DCM_ScanOptions, facts.scan_options);
  put(data, DCM_MRAcquisitionType, "2D");
  put(data, DCM_SequenceName, facts.sequence_name);
  put(data, DCM_RepetitionTime, decimal(times.repetition_ms));
  put(data, DCM_EchoTime, decimal(times.echo_ms * site_.echo_factor));
  put(data, DCM_NumberOfAverages, "2");
  put(data, DCM_ImagingFrequency, site_.frequency_mhz);
  put(data, DCM_ImagedNucleus, "1H");
  put(data, DCM_MagneticFieldStrength, site_.field_t);
  put(data, DCM_SpacingBetweenSlices, decimal(series.grid.spacing_mm()[2]));
  put(data, DCM_EchoTrainLength, std::to_string(facts.echo_train));
  put(data, DCM_PixelBandwidth, "250");
  put(data, DCM_ProtocolName, facts.description);
  put(data, DCM_FlipAngle, facts.scanning == "SE" ? "150" : "90");
  put(data, DCM_PatientPosition, "HFS");
  put(data, DCM_SliceThickness, decimal(series.grid.spacing_mm()[2]));
  if (contrast) {
    put(data, DCM_ContrastBolusAgent, "Gadolinium chelate");
    put(data, DCM_ContrastBolusRoute, "IV");
    put(data, DCM_ContrastBolusVolume, "14");
  }
}

Status StudyWriter::save(DcmFileFormat& file, const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (options_.charset == Charset::gb18030) {
    const OFCondition converted = file.getDataset()->convertCharacterSet("ISO_IR 192", "GB18030", 0, OFTrue);
    if (converted.bad()) return fail(ErrorCode::internal, "fixtures", std::string("Text could not be converted to GB18030: ") + converted.text());
  }
  const OFCondition saved = file.saveFile(path.c_str(), EXS_LittleEndianExplicit, EET_ExplicitLength, EGL_recalcGL, EPD_withoutPadding);
  if (saved.bad()) return fail(ErrorCode::io_error, "fixtures", "Cannot write " + path.string() + ": " + saved.text());
  study_.files.push_back(path);
  return {};
}

Status StudyWriter::write_series(StoredSeries& series) {
  const auto& facts = *series.facts;
  const auto& grid = series.grid;
  const std::size_t slice_voxels = static_cast<std::size_t>(grid.size()[0]) * static_cast<std::size_t>(grid.size()[1]);
  NpcSeries told;
  told.sequence = facts.sequence;
  told.role = facts.role;
  told.series_instance_uid = series.series_instance_uid;
  told.description = text_of(facts.description, facts.description_zh);
  const auto& last = series.volumes.back();
  for (int k = 0; k < grid.size()[2]; ++k)
    for (int j = 0; j < grid.size()[1]; ++j)
      for (int i = 0; i < grid.size()[0]; ++i)
        if (const Vector3 p = grid.index_to_patient({double(i), double(j), double(k)});
            norm(p - phantom_.tumour_centre_mm()) <= phantom_.tumour_reach_mm() && phantom_.tumour_distance_mm(p) <= 0) {
          ++told.tumour_voxels;
          told.tumour_mean += series.slope * last[grid.offset(i, j, k)];
        }
  if (told.tumour_voxels > 0) told.tumour_mean /= static_cast<double>(told.tumour_voxels);

  const bool enhanced = options_.enhanced && (facts.scanning == "SE");
  if (enhanced) {
    const std::size_t before = study_.files.size();
    if (auto written = write_enhanced(series); !written) return written;
    told.files.assign(study_.files.begin() + static_cast<std::ptrdiff_t>(before), study_.files.end());
    study_.series.push_back(std::move(told));
    return {};
  }
  for (std::size_t n = 0; n < series.slices.size(); ++n) {
    const StoredSlice& slice = series.slices[n];
    DcmFileFormat file;
    DcmDataset& data = *file.getDataset();
    common_modules(data, UID_MRImageStorage, slice.sop_instance_uid, "MR", facts.series_number, series.series_instance_uid, told.description, facts.time);
    acquisition_modules(data, series);
    put(data, DCM_ImageType, facts.sequence == "adc" ? "DERIVED\\PRIMARY\\ADC" : facts.sequence == "dwi" ? "ORIGINAL\\PRIMARY\\DIFFUSION" : "ORIGINAL\\PRIMARY\\M");
    if (facts.sequence == "adc") put(data, DCM_DerivationDescription, "ADC from b = 0 and 800 s/mm2");
    put(data, DCM_AcquisitionDate, study_date);
    put(data, DCM_ContentDate, study_date);
    put(data, DCM_AcquisitionTime, facts.time);
    put(data, DCM_ContentTime, facts.time);
    put(data, DCM_AcquisitionNumber, "1");
    put(data, DCM_InstanceNumber, std::to_string(n + 1));
    if (slice.b_value >= 0) {
      data.putAndInsertFloat64(DCM_DiffusionBValue, slice.b_value);
      put(data, DCM_SequenceName, "*ep_b" + std::to_string(slice.b_value));
    }
    put(data, DCM_FrameOfReferenceUID, study_.frame_of_reference_uid);
    put(data, DCM_PositionReferenceIndicator, "");
    const Vector3 position = grid.index_to_patient({0, 0, double(slice.k)});
    put(data, DCM_ImagePositionPatient, join(position));
    const Vector3 row = grid.axis(0), column = grid.axis(1);
    put(data, DCM_ImageOrientationPatient, join(row) + "\\" + join(column));
    put(data, DCM_SliceLocation, decimal(dot(position, grid.axis(2))));
    put(data, DCM_PixelSpacing, join({grid.spacing_mm()[1], grid.spacing_mm()[0]}));
    data.putAndInsertUint16(DCM_SamplesPerPixel, 1);
    put(data, DCM_PhotometricInterpretation, "MONOCHROME2");
    data.putAndInsertUint16(DCM_Rows, static_cast<Uint16>(grid.size()[1]));
    data.putAndInsertUint16(DCM_Columns, static_cast<Uint16>(grid.size()[0]));
    const Uint16 bits = facts.sequence == "adc" ? 16 : 12;
    data.putAndInsertUint16(DCM_BitsAllocated, 16);
    data.putAndInsertUint16(DCM_BitsStored, bits);
    data.putAndInsertUint16(DCM_HighBit, static_cast<Uint16>(bits - 1));
    data.putAndInsertUint16(DCM_PixelRepresentation, 0);
    const std::size_t volume = slice.b_value < 0 ? 0 : n / static_cast<std::size_t>(grid.size()[2]);
    const std::uint16_t* pixels = series.volumes[volume].data() + static_cast<std::size_t>(slice.k) * slice_voxels;
    if (series.slope != 1) {
      put(data, DCM_RescaleIntercept, "0");
      put(data, DCM_RescaleSlope, decimal(series.slope));
      put(data, DCM_RescaleType, "US");
      put(data, DCM_WindowCenter, "1200");
      put(data, DCM_WindowWidth, "2400");
    }
    data.putAndInsertUint16Array(DCM_PixelData, pixels, static_cast<unsigned long>(slice_voxels));
    char name[32];
    std::snprintf(name, sizeof name, "IM%04zu.dcm", n + 1);
    const auto path = folder_ / facts.folder / name;
    if (auto saved = save(file, path); !saved) return saved;
    told.files.push_back(path);
  }
  study_.series.push_back(std::move(told));
  return {};
}

Status StudyWriter::write_enhanced(StoredSeries& series) {
  const auto& facts = *series.facts;
  const auto& grid = series.grid;
  const bool contrast = facts.sequence == "t1c" || facts.sequence == "t1cfs";
  const bool fat_suppressed = facts.sequence == "t1cfs";
  const SequenceTimes times = sequence_times(facts.sequence == "t1" ? Contrast::t1 : facts.sequence == "t2" ? Contrast::t2 : facts.sequence == "t1c" ? Contrast::t1c : Contrast::t1c_fs);
  DcmFileFormat file;
  DcmDataset& data = *file.getDataset();
  common_modules(data, UID_EnhancedMRImageStorage, series.slices.front().sop_instance_uid, "MR", facts.series_number, series.series_instance_uid,
                 text_of(facts.description, facts.description_zh), facts.time);
  const std::string moment = std::string(study_date) + facts.time;
  const char* type = "ORIGINAL\\PRIMARY\\T1\\NONE";
  if (facts.sequence == "t2") type = "ORIGINAL\\PRIMARY\\T2\\NONE";
  put(data, DCM_ImageType, type);
  put(data, DCM_PixelPresentation, "MONOCHROME");
  put(data, DCM_VolumetricProperties, "VOLUME");
  put(data, DCM_VolumeBasedCalculationTechnique, "NONE");
  put(data, DCM_ComplexImageComponent, "MAGNITUDE");
  put(data, DCM_AcquisitionContrast, facts.sequence == "t2" ? "T2" : "T1");
  put(data, DCM_ContentDate, study_date);
  put(data, DCM_ContentTime, facts.time);
  put(data, DCM_AcquisitionDateTime, moment);
  put(data, DCM_AcquisitionNumber, "1");
  data.putAndInsertFloat64(DCM_AcquisitionDuration, 180);
  put(data, DCM_InstanceNumber, "1");
  put(data, DCM_ContentQualification, "RESEARCH");
  put(data, DCM_ResonantNucleus, "1H");
  put(data, DCM_PulseSequenceName, facts.sequence_name);
  put(data, DCM_MRAcquisitionType, "2D");
  put(data, DCM_EchoPulseSequence, "SPIN");
  put(data, DCM_MultipleSpinEcho, "YES");
  put(data, DCM_MultiPlanarExcitation, "NO");
  put(data, DCM_PhaseContrast, "NO");
  put(data, DCM_TimeOfFlightContrast, "NO");
  put(data, DCM_SteadyStatePulseSequence, "NONE");
  put(data, DCM_EchoPlanarPulseSequence, "NO");
  put(data, DCM_SaturationRecovery, "NO");
  put(data, DCM_SpectrallySelectedSuppression, fat_suppressed ? "FAT" : "NONE");
  put(data, DCM_GeometryOfKSpaceTraversal, "RECTILINEAR");
  put(data, DCM_RectilinearPhaseEncodeReordering, "LINEAR");
  put(data, DCM_SegmentedKSpaceTraversal, "PARTIAL");
  put(data, DCM_OversamplingPhase, "NONE");
  data.putAndInsertUint16(DCM_NumberOfKSpaceTrajectories, 1);
  put(data, DCM_KSpaceFiltering, "NONE");
  data.putAndInsertFloat64(DCM_MagneticFieldStrength, std::strtod(site_.field_t, nullptr));
  put(data, DCM_ApplicableSafetyStandardAgency, "IEC");
  put(data, DCM_BodyPartExamined, "HEADNECK");
  put(data, DCM_PatientPosition, "HFS");
  put(data, DCM_BurnedInAnnotation, "NO");
  put(data, DCM_LossyImageCompression, "00");
  put(data, DCM_PresentationLUTShape, "IDENTITY");
  put(data, DCM_FrameOfReferenceUID, study_.frame_of_reference_uid);
  put(data, DCM_PositionReferenceIndicator, "");
  data.insert(new DcmSequenceOfItems(DCM_AcquisitionContextSequence), OFTrue);
  if (contrast) {
    DcmItem& agent = append(data, DCM_ContrastBolusAgentSequence);
    put(agent, DCM_CodeValue, "7140000");
    put(agent, DCM_CodingSchemeDesignator, "SCT");
    put(agent, DCM_CodeMeaning, "Contrast media");
    agent.putAndInsertUint16(DCM_ContrastBolusAgentNumber, 1);
    put_code(agent, DCM_ContrastBolusAdministrationRouteSequence, "47625008", "SCT", "Intravenous route");
    put_code(agent, DCM_ContrastBolusIngredientCodeSequence, "18220004", "SCT", "Gadolinium");
    put(agent, DCM_ContrastBolusVolume, "14");
    put(agent, DCM_ContrastBolusIngredientConcentration, "0.5");
  }
  data.putAndInsertUint16(DCM_SamplesPerPixel, 1);
  put(data, DCM_PhotometricInterpretation, "MONOCHROME2");
  put(data, DCM_NumberOfFrames, std::to_string(grid.size()[2]));
  data.putAndInsertUint16(DCM_Rows, static_cast<Uint16>(grid.size()[1]));
  data.putAndInsertUint16(DCM_Columns, static_cast<Uint16>(grid.size()[0]));
  data.putAndInsertUint16(DCM_BitsAllocated, 16);
  data.putAndInsertUint16(DCM_BitsStored, 12);
  data.putAndInsertUint16(DCM_HighBit, 11);
  data.putAndInsertUint16(DCM_PixelRepresentation, 0);
  const std::string organisation = uid("dimension", std::string(facts.sequence));
  put(append(data, DCM_DimensionOrganizationSequence), DCM_DimensionOrganizationUID, organisation);
  for (const auto& [pointer, group] : {std::pair{DCM_StackID, DCM_FrameContentSequence}, std::pair{DCM_InStackPositionNumber, DCM_FrameContentSequence}}) {
    DcmItem& index = append(data, DCM_DimensionIndexSequence);
    index.putAndInsertTagKey(DCM_DimensionIndexPointer, pointer);
    index.putAndInsertTagKey(DCM_FunctionalGroupPointer, group);
    put(index, DCM_DimensionOrganizationUID, organisation);
  }
  DcmItem& shared = append(data, DCM_SharedFunctionalGroupsSequence);
  DcmItem& measures = append(shared, DCM_PixelMeasuresSequence);
  put(measures, DCM_SliceThickness, decimal(grid.spacing_mm()[2]));
  put(measures, DCM_SpacingBetweenSlices, decimal(grid.spacing_mm()[2]));
  put(measures, DCM_PixelSpacing, join({grid.spacing_mm()[1], grid.spacing_mm()[0]}));
  put(append(shared, DCM_PlaneOrientationSequence), DCM_ImageOrientationPatient, join(grid.axis(0)) + "\\" + join(grid.axis(1)));
  DcmItem& frame_type = append(shared, DCM_MRImageFrameTypeSequence);
  put(frame_type, DCM_FrameType, type);
  put(frame_type, DCM_PixelPresentation, "MONOCHROME");
  put(frame_type, DCM_VolumetricProperties, "VOLUME");
  put(frame_type, DCM_VolumeBasedCalculationTechnique, "NONE");
  put(frame_type, DCM_ComplexImageComponent, "MAGNITUDE");
  put(frame_type, DCM_AcquisitionContrast, facts.sequence == "t2" ? "T2" : "T1");
  DcmItem& timing = append(shared, DCM_MRTimingAndRelatedParametersSequence);
  put(timing, DCM_RepetitionTime, decimal(times.repetition_ms));
  put(timing, DCM_FlipAngle, "90");
  put(timing, DCM_EchoTrainLength, std::to_string(facts.echo_train));
  timing.putAndInsertUint16(DCM_RFEchoTrainLength, static_cast<Uint16>(facts.echo_train));
  timing.putAndInsertUint16(DCM_GradientEchoTrainLength, 0);
  DcmItem& sar = append(timing, DCM_SpecificAbsorptionRateSequence);
  put(sar, DCM_SpecificAbsorptionRateDefinition, "IEC_HEAD");
  sar.putAndInsertFloat64(DCM_SpecificAbsorptionRateValue, 0.5);
  for (const auto& [kind, mode] : {std::pair{"STATIC FIELD", "IEC_NORMAL"}, std::pair{"RF", "IEC_NORMAL"}, std::pair{"GRADIENT", "IEC_NORMAL"}}) {
    DcmItem& operating = append(timing, DCM_OperatingModeSequence);
    put(operating, DCM_OperatingModeType, kind);
    put(operating, DCM_OperatingMode, mode);
  }
  append(shared, DCM_MREchoSequence).putAndInsertFloat64(DCM_EffectiveEchoTime, times.echo_ms * site_.echo_factor);
  DcmItem& modifier = append(shared, DCM_MRModifierSequence);
  put(modifier, DCM_InversionRecovery, "NO");
  put(modifier, DCM_FlowCompensation, "NONE");
  put(modifier, DCM_Spoiling, "NONE");
  put(modifier, DCM_T2Preparation, "NO");
  put(modifier, DCM_SpectrallySelectedExcitation, "NONE");
  put(modifier, DCM_SpatialPresaturation, "NONE");
  put(modifier, DCM_PartialFourier, "NO");
  put(modifier, DCM_ParallelAcquisition, "NO");
  DcmItem& averages = append(shared, DCM_MRAveragesSequence);
  averages.putAndInsertFloat64(DCM_NumberOfAverages, 2);
  DcmItem& geometry = append(shared, DCM_MRFOVGeometrySequence);
  put(geometry, DCM_InPlanePhaseEncodingDirection, "ROW");
  geometry.putAndInsertUint16(DCM_MRAcquisitionFrequencyEncodingSteps, static_cast<Uint16>(grid.size()[0]));
  geometry.putAndInsertUint16(DCM_MRAcquisitionPhaseEncodingStepsInPlane, static_cast<Uint16>(grid.size()[1]));
  geometry.putAndInsertUint16(DCM_MRAcquisitionPhaseEncodingStepsOutOfPlane, 1);
  put(geometry, DCM_PercentSampling, "100");
  put(geometry, DCM_PercentPhaseFieldOfView, "100");
  DcmItem& imaging = append(shared, DCM_MRImagingModifierSequence);
  put(imaging, DCM_MagnetizationTransfer, "NONE");
  put(imaging, DCM_BloodSignalNulling, "NO");
  put(imaging, DCM_Tagging, "NONE");
  imaging.putAndInsertFloat64(DCM_TransmitterFrequency, std::strtod(site_.frequency_mhz, nullptr));
  put(imaging, DCM_PixelBandwidth, "250");
  DcmItem& receive = append(shared, DCM_MRReceiveCoilSequence);
  put(receive, DCM_ReceiveCoilName, "HEADNECK");
  put(receive, DCM_ReceiveCoilManufacturerName, "SYNTHETIC");
  put(receive, DCM_ReceiveCoilType, "VOLUME");
  put(receive, DCM_QuadratureReceiveCoil, "NO");
  DcmItem& transmit = append(shared, DCM_MRTransmitCoilSequence);
  put(transmit, DCM_TransmitCoilName, "BODY");
  put(transmit, DCM_TransmitCoilManufacturerName, "SYNTHETIC");
  put(transmit, DCM_TransmitCoilType, "BODY");
  DcmItem& anatomy = append(shared, DCM_FrameAnatomySequence);
  put(anatomy, DCM_FrameLaterality, "U");
  put_code(anatomy, DCM_AnatomicRegionSequence, "774007", "SCT", "Head and Neck");
  DcmItem& lut = append(shared, DCM_PixelValueTransformationSequence);
  put(lut, DCM_RescaleIntercept, "0");
  put(lut, DCM_RescaleSlope, "1");
  put(lut, DCM_RescaleType, "US");
  DcmItem& window = append(shared, DCM_FrameVOILUTSequence);
  put(window, DCM_WindowCenter, "600");
  put(window, DCM_WindowWidth, "1200");
  if (contrast) {
    DcmItem& use = append(shared, DCM_ContrastBolusUsageSequence);
    use.putAndInsertUint16(DCM_ContrastBolusAgentNumber, 1);
    put(use, DCM_ContrastBolusAgentAdministered, "YES");
    put(use, DCM_ContrastBolusAgentDetected, "YES");
    put(use, DCM_ContrastBolusAgentPhase, "POST_CONTRAST");
  }
  for (int k = 0; k < grid.size()[2]; ++k) {
    DcmItem& frame = append(data, DCM_PerFrameFunctionalGroupsSequence);
    DcmItem& content = append(frame, DCM_FrameContentSequence);
    content.putAndInsertUint16(DCM_FrameAcquisitionNumber, 1);
    put(content, DCM_FrameReferenceDateTime, moment);
    put(content, DCM_FrameAcquisitionDateTime, moment);
    content.putAndInsertFloat64(DCM_FrameAcquisitionDuration, 180);
    put(content, DCM_StackID, "1");
    content.putAndInsertUint32(DCM_InStackPositionNumber, static_cast<Uint32>(k + 1));
    put_numbers(content, DCM_DimensionIndexValues, {1, static_cast<Uint32>(k + 1)});
    put(append(frame, DCM_PlanePositionSequence), DCM_ImagePositionPatient, join(grid.index_to_patient({0, 0, double(k)})));
  }
  data.putAndInsertUint16Array(DCM_PixelData, series.volumes[0].data(), static_cast<unsigned long>(series.volumes[0].size()));
  return save(file, folder_ / facts.folder / "IM0001.dcm");
}

Status StudyWriter::write_rtstruct(const StoredSeries& on) {
  const auto& grid = on.grid;
  DcmFileFormat file;
  DcmDataset& data = *file.getDataset();
  const bool unresolved = options_.bad == BadCase::rtstruct_series_missing;
  const std::string frame = unresolved ? uid("frame", "missing") : study_.frame_of_reference_uid;
  const std::string series_uid = unresolved ? uid("series", "missing") : on.series_instance_uid;
  const char* image_class = options_.enhanced && on.facts->scanning == "SE" ? UID_EnhancedMRImageStorage : UID_MRImageStorage;
  const auto object_of = [&](int k) { return unresolved ? uid("object", "missing|" + std::to_string(k)) : on.slices[static_cast<std::size_t>(k)].sop_instance_uid; };
  common_modules(data, UID_RTStructureSetStorage, uid("object", "rtstruct"), "RTSTRUCT", 20, uid("series", "rtstruct"),
                 text_of("Tumour contours", "\xE8\x82\xBF\xE7\x98\xA4\xE5\x8B\xBE\xE7\x94\xBB"), "101500");
  put(data, DCM_OperatorsName, "");
  put(data, DCM_FrameOfReferenceUID, frame);
  put(data, DCM_PositionReferenceIndicator, "");
  put(data, DCM_StructureSetLabel, "NPC GTV");
  put(data, DCM_StructureSetDate, study_date);
  put(data, DCM_StructureSetTime, "101500");
  put(data, DCM_ApprovalStatus, "UNAPPROVED");
  DcmItem& reference = append(data, DCM_ReferencedFrameOfReferenceSequence);
  put(reference, DCM_FrameOfReferenceUID, frame);
  DcmItem& study = append(reference, DCM_RTReferencedStudySequence);
  put(study, DCM_ReferencedSOPClassUID, "1.2.840.10008.3.1.2.3.1");
  put(study, DCM_ReferencedSOPInstanceUID, study_.study_instance_uid);
  DcmItem& referenced_series = append(study, DCM_RTReferencedSeriesSequence);
  put(referenced_series, DCM_SeriesInstanceUID, series_uid);
  std::set<std::string> referenced;
  for (int k = 0; k < grid.size()[2]; ++k)
    if (referenced.insert(object_of(k)).second) {
      DcmItem& image = append(referenced_series, DCM_ContourImageSequence);
      put(image, DCM_ReferencedSOPClassUID, image_class);
      put(image, DCM_ReferencedSOPInstanceUID, object_of(k));
    }

  struct Roi {
    const char* name;
    const char* colour;
    Vector3 centre;
    double reach;
    std::function<double(const Vector3&)> distance;
  };
  std::vector<Roi> rois{{"GTVp", "255\\96\\64", phantom_.tumour_centre_mm(), drawn_reach_mm(), [&](const Vector3& p) { return drawn_distance_mm(p); }}};
  if (options_.node) rois.push_back({"GTVnd", "64\\192\\255", phantom_.node_centre_mm(), phantom_.node_reach_mm(), [&](const Vector3& p) { return phantom_.node_distance_mm(p); }});
  int number = 0;
  for (const Roi& roi : rois) {
    ++number;
    DcmItem& definition = append(data, DCM_StructureSetROISequence);
    put(definition, DCM_ROINumber, std::to_string(number));
    put(definition, DCM_ReferencedFrameOfReferenceUID, frame);
    put(definition, DCM_ROIName, roi.name);
    put(definition, DCM_ROIGenerationAlgorithm, "MANUAL");
    DcmItem& contours = append(data, DCM_ROIContourSequence);
    put(contours, DCM_ROIDisplayColor, roi.colour);
    put(contours, DCM_ReferencedROINumber, std::to_string(number));
    double area_mm2 = 0;
    int count = 0;
    for (int k = 0; k < grid.size()[2]; ++k) {
      std::vector<SectionLoop> loops;
      if (options_.bad == BadCase::roi_one_voxel) {
        // A square of 0.6 pixel around one pixel centre near the middle of the region.
        Vector3 index = grid.patient_to_index(roi.centre);
        for (double& x : index) x = std::round(x);
        if (k != static_cast<int>(index[2])) continue;
        loops.push_back({});
        for (const auto& [di, dj] : {std::pair{-0.3, -0.3}, std::pair{0.3, -0.3}, std::pair{0.3, 0.3}, std::pair{-0.3, 0.3}})
          loops.back().points_mm.push_back(grid.index_to_patient({index[0] + di, index[1] + dj, index[2]}));
        loops.back().area_mm2 = 0.36 * grid.spacing_mm()[0] * grid.spacing_mm()[1];
      } else {
        loops = plane_section(grid, k, roi.centre, roi.reach, roi.distance);
      }
      for (const SectionLoop& loop : loops) {
        DcmItem& contour = append(contours, DCM_ContourSequence);
        DcmItem& image = append(contour, DCM_ContourImageSequence);
        put(image, DCM_ReferencedSOPClassUID, image_class);
        put(image, DCM_ReferencedSOPInstanceUID, object_of(k));
        if (image_class == std::string_view(UID_EnhancedMRImageStorage)) put(image, DCM_ReferencedFrameNumber, std::to_string(k + 1));
        put(contour, DCM_ContourGeometricType, "CLOSED_PLANAR");
        put(contour, DCM_NumberOfContourPoints, std::to_string(loop.points_mm.size()));
        put(contour, DCM_ContourNumber, std::to_string(++count));
        std::string text;
        for (Vector3 point : loop.points_mm) {
          if (options_.bad == BadCase::roi_outside) point[0] += 400;
          char triple[96];
          std::snprintf(triple, sizeof triple, "%s%.4f\\%.4f\\%.4f", text.empty() ? "" : "\\", point[0], point[1], point[2]);
          text += triple;
        }
        put(contour, DCM_ContourData, text);
        area_mm2 += loop.area_mm2;
      }
    }
    if (number == 1) {
      study_.contours = count;
      study_.contour_volume_ml = area_mm2 * grid.spacing_mm()[2] / 1000;
    }
    DcmItem& observation = append(data, DCM_RTROIObservationsSequence);
    put(observation, DCM_ObservationNumber, std::to_string(number));
    put(observation, DCM_ReferencedROINumber, std::to_string(number));
    put(observation, DCM_RTROIInterpretedType, "GTV");
    put(observation, DCM_ROIInterpreter, "");
  }
  study_.rtstruct_file = folder_ / "RS" / "RS0001.dcm";
  return save(file, study_.rtstruct_file);
}

Status StudyWriter::write_seg(const StoredSeries& on) {
  const auto& grid = on.grid;
  const bool enhanced = options_.enhanced && on.facts->scanning == "SE";
  const char* image_class = enhanced ? UID_EnhancedMRImageStorage : UID_MRImageStorage;
  DcmFileFormat file;
  DcmDataset& data = *file.getDataset();
  common_modules(data, UID_SegmentationStorage, uid("object", "seg"), "SEG", 21, uid("series", "seg"),
                 text_of("Tumour segmentation", "\xE8\x82\xBF\xE7\x98\xA4\xE5\x88\x86\xE5\x89\xB2"), "101600");
  put(data, DCM_ImageType, "DERIVED\\PRIMARY");
  put(data, DCM_BodyPartExamined, "HEADNECK");
  put(data, DCM_ContentDate, study_date);
  put(data, DCM_ContentTime, "101600");
  put(data, DCM_InstanceNumber, "1");
  put(data, DCM_ContentLabel, "ROI");
  put(data, DCM_ContentDescription, "Synthetic tumour");
  put(data, DCM_ContentCreatorName, "Choana^Fixtures");
  put(data, DCM_FrameOfReferenceUID, study_.frame_of_reference_uid);
  put(data, DCM_PositionReferenceIndicator, "");
  data.putAndInsertUint16(DCM_SamplesPerPixel, 1);
  put(data, DCM_PhotometricInterpretation, "MONOCHROME2");
  data.putAndInsertUint16(DCM_Rows, static_cast<Uint16>(grid.size()[1]));
  data.putAndInsertUint16(DCM_Columns, static_cast<Uint16>(grid.size()[0]));
  data.putAndInsertUint16(DCM_BitsAllocated, 1);
  data.putAndInsertUint16(DCM_BitsStored, 1);
  data.putAndInsertUint16(DCM_HighBit, 0);
  data.putAndInsertUint16(DCM_PixelRepresentation, 0);
  put(data, DCM_LossyImageCompression, "00");
  put(data, DCM_SegmentationType, "BINARY");
  const std::string organisation = uid("dimension", "seg");
  put(append(data, DCM_DimensionOrganizationSequence), DCM_DimensionOrganizationUID, organisation);
  for (const auto& [pointer, group] : {std::pair{DCM_ReferencedSegmentNumber, DCM_SegmentIdentificationSequence}, std::pair{DCM_ImagePositionPatient, DCM_PlanePositionSequence}}) {
    DcmItem& index = append(data, DCM_DimensionIndexSequence);
    index.putAndInsertTagKey(DCM_DimensionIndexPointer, pointer);
    index.putAndInsertTagKey(DCM_FunctionalGroupPointer, group);
    put(index, DCM_DimensionOrganizationUID, organisation);
  }
  DcmItem& shared = append(data, DCM_SharedFunctionalGroupsSequence);
  DcmItem& measures = append(shared, DCM_PixelMeasuresSequence);
  put(measures, DCM_SliceThickness, decimal(grid.spacing_mm()[2]));
  put(measures, DCM_SpacingBetweenSlices, decimal(grid.spacing_mm()[2]));
  put(measures, DCM_PixelSpacing, join({grid.spacing_mm()[1], grid.spacing_mm()[0]}));
  put(append(shared, DCM_PlaneOrientationSequence), DCM_ImageOrientationPatient, join(grid.axis(0)) + "\\" + join(grid.axis(1)));

  std::vector<std::uint8_t> bits;
  std::size_t bit = 0;
  int frames = 0;
  std::set<std::string> referenced;
  const int segments = options_.node ? 2 : 1;
  for (int segment = 1; segment <= segments; ++segment) {
    DcmItem& description = append(data, DCM_SegmentSequence);
    description.putAndInsertUint16(DCM_SegmentNumber, static_cast<Uint16>(segment));
    put(description, DCM_SegmentLabel, segment == 1 ? "GTVp" : "GTVnd");
    put(description, DCM_SegmentAlgorithmType, "MANUAL");
    put_code(description, DCM_SegmentedPropertyCategoryCodeSequence, "49755003", "SCT", "Morphologically Abnormal Structure");
    put_code(description, DCM_SegmentedPropertyTypeCodeSequence, segment == 1 ? "86049000" : "14799000", "SCT", segment == 1 ? "Neoplasm, Primary" : "Neoplasm, Secondary");
    const Uint16 colours[2][3] = {{42000, 46000, 42000}, {48000, 30000, 24000}};
    description.putAndInsertUint16Array(DCM_RecommendedDisplayCIELabValue, colours[segment - 1], 3);
    Uint32 position_index = 0;
    for (int k = 0; k < grid.size()[2]; ++k) {
      std::vector<std::size_t> set;
      for (int j = 0; j < grid.size()[1]; ++j)
        for (int i = 0; i < grid.size()[0]; ++i) {
          const Vector3 p = grid.index_to_patient({double(i), double(j), double(k)});
          const bool inside = segment == 1 ? norm(p - phantom_.tumour_centre_mm()) <= drawn_reach_mm() && drawn_distance_mm(p) <= 0
                                           : norm(p - phantom_.node_centre_mm()) <= phantom_.node_reach_mm() && phantom_.node_distance_mm(p) <= 0;
          if (inside) set.push_back(static_cast<std::size_t>(j) * static_cast<std::size_t>(grid.size()[0]) + static_cast<std::size_t>(i));
        }
      if (set.empty()) continue;
      // Frames follow each other without padding (PS3.5 8.1.1).
      const std::size_t frame_bits = static_cast<std::size_t>(grid.size()[0]) * static_cast<std::size_t>(grid.size()[1]);
      bits.resize((bit + frame_bits + 7) / 8, 0);
      for (const std::size_t n : set) bits[(bit + n) / 8] = static_cast<std::uint8_t>(bits[(bit + n) / 8] | 1u << ((bit + n) % 8));
      bit += frame_bits;
      ++frames;
      ++position_index;
      const std::string& object = on.slices[static_cast<std::size_t>(k)].sop_instance_uid;
      referenced.insert(object);
      DcmItem& frame = append(data, DCM_PerFrameFunctionalGroupsSequence);
      DcmItem& content = append(frame, DCM_FrameContentSequence);
      put_numbers(content, DCM_DimensionIndexValues, {static_cast<Uint32>(segment), position_index});
      put(append(frame, DCM_PlanePositionSequence), DCM_ImagePositionPatient, join(grid.index_to_patient({0, 0, double(k)})));
      append(frame, DCM_SegmentIdentificationSequence).putAndInsertUint16(DCM_ReferencedSegmentNumber, static_cast<Uint16>(segment));
      DcmItem& derivation = append(frame, DCM_DerivationImageSequence);
      put_code(derivation, DCM_DerivationCodeSequence, "113076", "DCM", "Segmentation");
      DcmItem& source = append(derivation, DCM_SourceImageSequence);
      put(source, DCM_ReferencedSOPClassUID, image_class);
      put(source, DCM_ReferencedSOPInstanceUID, object);
      if (enhanced) put(source, DCM_ReferencedFrameNumber, std::to_string(k + 1));
      put_code(source, DCM_PurposeOfReferenceCodeSequence, "121322", "DCM", "Source image for image processing operation");
    }
  }
  put(data, DCM_NumberOfFrames, std::to_string(frames));
  DcmItem& series = append(data, DCM_ReferencedSeriesSequence);
  put(series, DCM_SeriesInstanceUID, on.series_instance_uid);
  for (const std::string& object : referenced) {
    DcmItem& instance = append(series, DCM_ReferencedInstanceSequence);
    put(instance, DCM_ReferencedSOPClassUID, image_class);
    put(instance, DCM_ReferencedSOPInstanceUID, object);
  }
  if (bits.size() % 2 != 0) bits.push_back(0);
  data.putAndInsertUint8Array(DCM_PixelData, bits.data(), static_cast<unsigned long>(bits.size()));
  study_.seg_file = folder_ / "SEG" / "SEG0001.dcm";
  return save(file, study_.seg_file);
}

Status StudyWriter::spoil(const StoredSeries& on) {
  const auto told = std::find_if(study_.series.begin(), study_.series.end(), [&](const NpcSeries& s) { return s.series_instance_uid == on.series_instance_uid; });
  const std::filesystem::path middle = told->files[told->files.size() / 2];
  std::error_code error;
  if (options_.bad == BadCase::truncated) {
    std::filesystem::resize_file(middle, std::filesystem::file_size(middle, error) / 2, error);
  } else if (options_.bad == BadCase::missing_pixel_data || options_.bad == BadCase::duplicate_uid) {
    DcmFileFormat file;
    file.loadFile(middle.c_str());
    if (options_.bad == BadCase::missing_pixel_data) {
      delete file.getDataset()->remove(DCM_PixelData);
      study_.files.erase(std::find(study_.files.begin(), study_.files.end(), middle));
      return save(file, middle);
    }
    const Uint16* pixels = nullptr;
    unsigned long count = 0;
    file.getDataset()->findAndGetUint16Array(DCM_PixelData, pixels, &count);
    std::vector<Uint16> other(pixels, pixels + count);
    for (Uint16& value : other) value = static_cast<Uint16>(std::min(4095, value + 100));
    file.getDataset()->putAndInsertUint16Array(DCM_PixelData, other.data(), count);
    auto path = middle;
    path.replace_filename("IM9001.dcm");
    told->files.push_back(path);
    return save(file, path);
  }
  if (error) return fail(ErrorCode::io_error, "fixtures", "Cannot change " + middle.string() + ": " + error.message());
  return {};
}

Result<NpcStudy> StudyWriter::write() {
  if (!(options_.tumour_ml >= 0.5 && options_.tumour_ml <= 120)) return fail(ErrorCode::invalid_argument, "fixtures", "The tumour volume must be 0.5 to 120 ml.");
  if (!(options_.response >= 0 && options_.response <= 1)) return fail(ErrorCode::invalid_argument, "fixtures", "The response must be 0 to 1.");
  if (options_.age_years < 0 || options_.age_years > 120) return fail(ErrorCode::invalid_argument, "fixtures", "The age must be 0 to 120 years.");
  if (!(options_.motion_mm >= 0 && options_.motion_mm <= 10)) return fail(ErrorCode::invalid_argument, "fixtures", "The motion must be 0 to 10 mm.");
  if (options_.sequences.empty()) return fail(ErrorCode::invalid_argument, "fixtures", "At least one sequence is needed.");
  std::string sequences;
  for (const auto& sequence : options_.sequences) {
    if (find_sequence(sequence) == nullptr)
      return fail(ErrorCode::invalid_argument, "fixtures", "The sequence '" + sequence + "' is not one of t1, t2, t1c, t1cfs, dwi, adc.");
    sequences += sequence + ",";
  }
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) return fail(ErrorCode::io_error, "fixtures", "Cannot create " + folder_.string() + ": " + error.message());
  if (!std::filesystem::is_empty(folder_, error)) return fail(ErrorCode::invalid_argument, "fixtures", "The folder " + folder_.string() + " is not empty.");

  // Everything that changes bytes is in the key, so that one UID never names two contents.
  char shape[64];
  std::snprintf(shape, sizeof shape, "%.17g|%.17g", options_.tumour_ml, options_.response);
  key_ = std::to_string(options_.seed) + "|" + (options_.small ? "small" : "full") + "|" + shape + "|" + (options_.oblique ? "oblique" : "straight") + "|" +
         (options_.enhanced ? "enhanced" : "classic") + "|" + std::to_string(static_cast<int>(options_.charset)) + "|" + options_.patient_id + "|" + (options_.node ? "node" : "") + "|" + sequences +
         "|" + std::string(to_string(options_.bad)) + "|" + options_.roi_on;
  if (options_.site != Site::a) key_ += std::string("|site ") + site_.model;
  if (options_.age_years != NpcStudyOptions{}.age_years) key_ += "|age " + std::to_string(options_.age_years);
  if (options_.reader != 0) key_ += "|reader " + std::to_string(options_.reader);
  if (options_.motion_mm != 0) key_ += "|motion " + decimal(options_.motion_mm);
  study_.patient_id = options_.patient_id.empty() ? "TEST-" + std::to_string(options_.seed) : options_.patient_id;
  study_.study_instance_uid = uid("study");
  study_.frame_of_reference_uid = uid("frame");
  study_.tumour_volume_ml = phantom_.tumour_volume_ml();
  study_.node_volume_ml = options_.node ? phantom_.node_volume_ml() : 0;
  if (options_.bad == BadCase::not_dicom) {
    const auto path = folder_ / "IM0001.dcm";
    std::ofstream(path) << "This is not a DICOM file.\n";
    study_.files.push_back(path);
    return std::move(study_);
  }
  if (auto made = make_series(); !made) return fail(made.error());
  const StoredSeries* on = nullptr;
  for (const std::string& wanted : {options_.roi_on, std::string("t2"), std::string("t1c")})
    for (const auto& series : series_)
      if (on == nullptr && series.facts->sequence == wanted) on = &series;
  if (on == nullptr) on = &series_.front();
  if (!options_.roi_on.empty() && on->facts->sequence != options_.roi_on)
    return fail(ErrorCode::invalid_argument, "fixtures", "The ROI is to be drawn on '" + options_.roi_on + "', which is not among the sequences.");
  study_.roi_series_instance_uid = on->series_instance_uid;
  for (auto& series : series_)
    if (auto written = write_series(series); !written) return fail(written.error());
  if (options_.roi == RoiObject::rtstruct || options_.roi == RoiObject::both)
    if (auto written = write_rtstruct(*on); !written) return fail(written.error());
  if (options_.roi == RoiObject::seg || options_.roi == RoiObject::both)
    if (auto written = write_seg(*on); !written) return fail(written.error());
  if (auto spoilt = spoil(*on); !spoilt) return fail(spoilt.error());
  return std::move(study_);
}

}  // namespace

std::string_view to_string(BadCase bad) {
  for (const auto& [value, name] : bad_names)
    if (value == bad) return name;
  return "none";
}

Result<BadCase> parse_bad_case(std::string_view text) {
  std::string known;
  for (const auto& [value, name] : bad_names) {
    if (name == text) return value;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  return fail(ErrorCode::invalid_argument, "fixtures", "'" + std::string(text) + "' is not a bad case; there are " + known + ".");
}

Result<NpcStudy> write_npc_study(const NpcStudyOptions& options, const std::filesystem::path& folder) { return StudyWriter(options, folder).write(); }

std::string manifest_json(const NpcStudyOptions& options, const NpcStudy& study, const std::filesystem::path& folder) {
  const auto relative = [&](const std::filesystem::path& file) { return file.empty() ? std::string() : file.lexically_relative(folder).generic_string(); };
  nlohmann::ordered_json json{{"format", "choana-fixture/1"},
                              {"seed", options.seed},
                              {"response", options.response},
                              {"bad", to_string(options.bad)},
                              {"study_instance_uid", study.study_instance_uid},
                              {"frame_of_reference_uid", study.frame_of_reference_uid},
                              {"patient_id", study.patient_id},
                              {"tumour_volume_ml", study.tumour_volume_ml},
                              {"contour_volume_ml", study.contour_volume_ml},
                              {"contours", study.contours},
                              {"node_volume_ml", study.node_volume_ml},
                              {"rtstruct", relative(study.rtstruct_file)},
                              {"seg", relative(study.seg_file)},
                              {"roi_series_instance_uid", study.roi_series_instance_uid}};
  for (const NpcSeries& series : study.series) {
    nlohmann::ordered_json entry{{"role", series.role},
                                 {"series_instance_uid", series.series_instance_uid},
                                 {"description", series.description},
                                 {"files", series.files.size()},
                                 {"tumour_voxels", series.tumour_voxels},
                                 {"tumour_mean", series.tumour_mean}};
    json["series"].push_back(std::move(entry));
  }
  return json.dump(1) + "\n";
}

}  // namespace choana::fixtures
