#include "dicom-fixtures/synthetic/npc_study.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <unistd.h>

#include "core/sha256.h"

namespace choana::fixtures {
namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "choana-fixtures-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

NpcStudyOptions small_study(std::uint64_t seed = 1) {
  NpcStudyOptions options;
  options.seed = seed;
  options.small = true;
  return options;
}

std::string text_of(const std::filesystem::path& file, const DcmTagKey& tag) {
  DcmFileFormat format;
  OFString value;
  if (format.loadFile(file.c_str()).good()) format.getDataset()->findAndGetOFStringArray(tag, value);
  return value.c_str();
}

const NpcSeries& series_of(const NpcStudy& study, std::string_view role) {
  for (const auto& series : study.series)
    if (series.role == role) return series;
  throw std::out_of_range("no such series");
}

std::vector<std::uint16_t> pixels_of(const std::filesystem::path& file) {
  DcmFileFormat format;
  const Uint16* pixels = nullptr;
  unsigned long count = 0;
  if (format.loadFile(file.c_str()).bad() || format.getDataset()->findAndGetUint16Array(DCM_PixelData, pixels, &count).bad()) return {};
  return {pixels, pixels + count};
}

TEST(NpcStudy, IsEqualByteForByteForEqualOptions) {
  const Folder folder;
  const auto first = write_npc_study(small_study(), folder / "a");
  const auto second = write_npc_study(small_study(), folder / "b");
  ASSERT_TRUE(first && second);
  ASSERT_EQ(first->files.size(), second->files.size());
  for (std::size_t n = 0; n < first->files.size(); ++n) EXPECT_EQ(*sha256_hex_of_file(first->files[n]), *sha256_hex_of_file(second->files[n]));
  const auto other = write_npc_study(small_study(2), folder / "c");
  ASSERT_TRUE(other);
  EXPECT_NE(other->study_instance_uid, first->study_instance_uid);
}

TEST(NpcStudy, HasATumourOfTheVolumeAskedFor) {
  const Folder folder;
  for (const double wanted_ml : {8.0, 25.0, 60.0}) {
    NpcStudyOptions options;
    options.tumour_ml = wanted_ml;
    options.sequences = {"t2"};
    const auto study = write_npc_study(options, folder / std::to_string(wanted_ml));
    ASSERT_TRUE(study);
    // Sections every 4 mm of an analytic body.
    EXPECT_NEAR(study->contour_volume_ml / wanted_ml, 1, 0.02);
    const double voxel_ml = (232.0 / 256) * (232.0 / 256) * 4 / 1000;
    EXPECT_NEAR(static_cast<double>(study->series[0].tumour_voxels) * voxel_ml / wanted_ml, 1, 0.03);
  }
}

TEST(NpcStudy, HasAnAdcMapThatFollowsFromTheDiffusionImages) {
  const Folder folder;
  const auto study = write_npc_study(small_study(), folder / "a");
  ASSERT_TRUE(study);
  const auto &dwi = series_of(*study, "DWI"), &adc = series_of(*study, "ADC");
  const std::size_t slices = adc.files.size(), k = slices / 2;
  const auto b0 = pixels_of(dwi.files[k]), b800 = pixels_of(dwi.files[slices + k]), map = pixels_of(adc.files[k]);
  EXPECT_EQ(text_of(adc.files[k], DCM_RescaleSlope), "0.5");
  ASSERT_EQ(b0.size(), map.size());
  std::size_t checked = 0;
  for (std::size_t n = 0; n < map.size(); ++n) {
    if (b0[n] < 200 || b800[n] < 50 || b800[n] >= b0[n]) continue;
    // Stejskal and Tanner: S(b) = S(0) exp(-b D), in 1e-6 mm2/s.
    EXPECT_NEAR(0.5 * map[n], std::log(double(b0[n]) / b800[n]) / 800 * 1e6, 0.5);
    ++checked;
  }
  EXPECT_GT(checked, 200u);
}

TEST(NpcStudy, ShowsTheResponseInTheTexture) {
  const Folder folder;
  NpcStudyOptions poor = small_study(), good = small_study();
  poor.response = 0;
  good.response = 1;
  const auto a = write_npc_study(poor, folder / "a"), b = write_npc_study(good, folder / "b");
  ASSERT_TRUE(a && b);
  EXPECT_GT(series_of(*a, "ADC").tumour_mean, series_of(*b, "ADC").tumour_mean + 100);
  EXPECT_LT(series_of(*a, "T1C").tumour_mean, series_of(*b, "T1C").tumour_mean * 1.3);
}

TEST(NpcStudy, ComesFromTheSiteAskedForAndDiffersInHeaderAndSignal) {
  const Folder folder;
  auto options = small_study();
  options.sequences = {"t2"};
  options.age_years = 41;
  const auto a = write_npc_study(options, folder / "a");
  options.site = Site::b;
  const auto b = write_npc_study(options, folder / "b");
  ASSERT_TRUE(a && b);
  const auto &from_a = series_of(*a, "T2").files[6], &from_b = series_of(*b, "T2").files[6];
  EXPECT_EQ(text_of(from_a, DCM_ManufacturerModelName), "Choana phantom");
  EXPECT_EQ(text_of(from_b, DCM_ManufacturerModelName), "Choana phantom B");
  EXPECT_EQ(text_of(from_a, DCM_MagneticFieldStrength), "3");
  EXPECT_EQ(text_of(from_b, DCM_MagneticFieldStrength), "1.5");
  EXPECT_EQ(text_of(from_b, DCM_PatientAge), "041Y");
  EXPECT_EQ(text_of(from_b, DCM_PatientBirthDate), "19850101");
  EXPECT_NE(text_of(from_a, DCM_EchoTime), text_of(from_b, DCM_EchoTime));
  EXPECT_LT(series_of(*b, "T2").tumour_mean, 0.95 * series_of(*a, "T2").tumour_mean);
  EXPECT_NE(a->study_instance_uid, b->study_instance_uid);
}

TEST(NpcStudy, IsDrawnBySeveralReadersWhoNearlyAgree) {
  const Folder folder;
  auto options = small_study();
  options.sequences = {"t2"};
  const auto exact = write_npc_study(options, folder / "0");
  ASSERT_TRUE(exact);
  for (const int reader : {1, 2}) {
    options.reader = reader;
    const auto drawn = write_npc_study(options, folder / std::to_string(reader));
    ASSERT_TRUE(drawn);
    EXPECT_NE(drawn->contour_volume_ml, exact->contour_volume_ml);
    EXPECT_NEAR(drawn->contour_volume_ml / exact->contour_volume_ml, 1, 0.12);
    EXPECT_EQ(pixels_of(series_of(*drawn, "T2").files[6]), pixels_of(series_of(*exact, "T2").files[6])) << "only the contours differ";
  }
}

TEST(NpcStudy, MovesThePatientBeforeTheContrastSeriesAlone) {
  const Folder folder;
  auto options = small_study();
  options.sequences = {"t2", "t1c", "t1cfs"};
  const auto still = write_npc_study(options, folder / "still");
  options.motion_mm = 4;
  const auto moved = write_npc_study(options, folder / "moved");
  ASSERT_TRUE(still && moved);
  EXPECT_EQ(pixels_of(series_of(*still, "T2").files[6]), pixels_of(series_of(*moved, "T2").files[6]));
  for (const char* role : {"T1C", "T1C-FS"}) {
    EXPECT_NE(pixels_of(series_of(*still, role).files[6]), pixels_of(series_of(*moved, role).files[6]));
    EXPECT_EQ(text_of(series_of(*still, role).files[6], DCM_ImagePositionPatient), text_of(series_of(*moved, role).files[6], DCM_ImagePositionPatient)) << "headers do not tell";
  }
}

TEST(NpcStudy, WritesChineseNamesInBothEncodings) {
  const Folder folder;
  for (const auto& [charset, name] : {std::pair{Charset::utf8, "ISO_IR 192"}, std::pair{Charset::gb18030, "GB18030"}}) {
    auto options = small_study();
    options.charset = charset;
    options.sequences = {"t2"};
    const auto study = write_npc_study(options, folder / name);
    ASSERT_TRUE(study) << study.error().message;
    EXPECT_EQ(text_of(study->rtstruct_file, DCM_SpecificCharacterSet), name);
    DcmFileFormat format;
    ASSERT_TRUE(format.loadFile(study->series[0].files[0].c_str()).good());
    if (charset == Charset::gb18030) {
      OFString raw;
      format.getDataset()->findAndGetOFString(DCM_PatientName, raw);
      EXPECT_EQ(std::string(raw.c_str()), "\xB2\xE2\xCA\xD4^\xB2\xA1\xC8\xCB");  // GBK code points of the four characters
      ASSERT_TRUE(format.getDataset()->convertToUTF8().good());
    }
    OFString patient;
    format.getDataset()->findAndGetOFString(DCM_PatientName, patient);
    EXPECT_EQ(std::string(patient.c_str()), "\xE6\xB5\x8B\xE8\xAF\x95^\xE7\x97\x85\xE4\xBA\xBA");
  }
}

TEST(NpcStudy, SpoilsWhatEachBadCaseNames) {
  const Folder folder;
  const auto write = [&](BadCase bad) {
    auto options = small_study();
    options.bad = bad;
    options.sequences = {"t2", "t1c"};
    return write_npc_study(options, folder / to_string(bad)).value();
  };
  const auto middle = [](const NpcStudy& study) { return series_of(study, "T2").files[6]; };
  DcmFileFormat format;
  EXPECT_TRUE(format.loadFile(write(BadCase::not_dicom).files.at(0).c_str()).bad());
  EXPECT_TRUE(format.loadFile(middle(write(BadCase::truncated)).c_str()).bad());
  EXPECT_TRUE(pixels_of(middle(write(BadCase::missing_pixel_data))).empty());

  const auto unresolved = write(BadCase::rtstruct_series_missing);
  ASSERT_TRUE(format.loadFile(unresolved.rtstruct_file.c_str()).good());
  OFString series;
  format.getDataset()->findAndGetOFString(DCM_SeriesInstanceUID, series, 0, OFTrue);
  DcmStack stack;
  std::set<std::string> named;
  while (format.getDataset()->search(DCM_SeriesInstanceUID, stack, ESM_afterStackTop, OFTrue).good()) {
    OFString uid;
    static_cast<DcmElement*>(stack.top())->getOFString(uid, 0);
    named.insert(uid.c_str());
  }
  EXPECT_FALSE(named.contains(unresolved.series[0].series_instance_uid));
  EXPECT_FALSE(named.contains(unresolved.series[1].series_instance_uid));

  const auto duplicate = write(BadCase::duplicate_uid);
  std::map<std::string, std::set<std::string>> contents;
  for (const auto& file : duplicate.files) contents[text_of(file, DCM_SOPInstanceUID)].insert(*sha256_hex_of_file(file));
  EXPECT_EQ(std::count_if(contents.begin(), contents.end(), [](const auto& entry) { return entry.second.size() == 2; }), 1);

  EXPECT_EQ(write(BadCase::roi_one_voxel).contours, 1);
  EXPECT_GT(write(BadCase::roi_outside).contours, 1);
}

TEST(NpcStudy, RefusesWhatMakesNoStudy) {
  const Folder folder;
  auto options = small_study();
  options.sequences = {"t9"};
  EXPECT_EQ(write_npc_study(options, folder / "a").error().code, ErrorCode::invalid_argument);
  options = small_study();
  options.tumour_ml = 500;
  EXPECT_EQ(write_npc_study(options, folder / "b").error().code, ErrorCode::invalid_argument);
  options = small_study();
  options.motion_mm = -1;
  EXPECT_EQ(write_npc_study(options, folder / "d").error().code, ErrorCode::invalid_argument);
  options = small_study();
  options.age_years = 200;
  EXPECT_EQ(write_npc_study(options, folder / "d").error().code, ErrorCode::invalid_argument);
  ASSERT_TRUE(write_npc_study(small_study(), folder / "c"));
  EXPECT_EQ(write_npc_study(small_study(), folder / "c").error().code, ErrorCode::invalid_argument);
}

// dciodvfy of dicom3tools is an independent judge of the standard.
TEST(NpcStudy, PassesDciodvfyWithoutErrors) {
  if (std::system("command -v dciodvfy >/dev/null 2>&1") != 0) GTEST_SKIP() << "dciodvfy is not installed";
  const Folder folder;
  for (const bool enhanced : {false, true}) {
    auto options = small_study();
    options.roi = RoiObject::both;
    options.enhanced = enhanced;
    options.oblique = enhanced;
    options.sequences = {"t1", "t2", "t1c", "t1cfs", "dwi", "adc"};
    const auto study = write_npc_study(options, folder / (enhanced ? "enhanced" : "classic"));
    ASSERT_TRUE(study);
    std::vector<std::filesystem::path> files{study->rtstruct_file, study->seg_file};
    for (const auto& series : study->series) {
      files.push_back(series.files.front());
      files.push_back(series.files.back());
    }
    for (const auto& file : files) {
      const auto log = folder / "log";
      EXPECT_EQ(std::system(("dciodvfy -new '" + file.string() + "' >'" + log.string() + "' 2>&1").c_str()), 0) << file;
      std::ifstream in(log);
      std::string line;
      while (std::getline(in, line)) EXPECT_FALSE(line.starts_with("Error")) << file << ": " << line;
    }
  }
}

TEST(Samples, AreThoseOfTheManifest) {
  const std::filesystem::path root = std::filesystem::path(CHOANA_SOURCE_DIR) / "dicom-fixtures";
  std::ifstream in(root / "MANIFEST.csv");
  std::string line;
  std::getline(in, line);
  std::set<std::string> listed;
  while (std::getline(in, line)) {
    const auto first = line.find(','), second = line.find(',', first + 1);
    const std::string path = line.substr(0, first);
    listed.insert(path);
    EXPECT_EQ(*sha256_hex_of_file(root / path), line.substr(first + 1, second - first - 1)) << path;
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "samples"))
    if (entry.is_regular_file()) {
      EXPECT_TRUE(listed.contains(entry.path().lexically_relative(root).generic_string())) << entry.path();
    }
}

}  // namespace
}  // namespace choana::fixtures
