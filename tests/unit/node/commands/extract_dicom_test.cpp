#include <nlohmann/json.hpp>

#include "tests/unit/node/commands/extract_case.h"
#include "tests/support/dicom_maker.h"
#include "tests/support/shared_data.h"

namespace choana::node {
namespace {

namespace fs = std::filesystem;

class ExtractDicom : public test::ExtractCase {
 protected:
  // Twelve slices of a synthetic T2 with an RTSTRUCT and a SEG of the same regions.
  const fs::path sample_ = fs::path(CHOANA_SOURCE_DIR) / "dicom-fixtures/samples/npc-small";

  // A series of four slices of 12 x 10 pixels; image UIDs end in 100 * series + slice.
  void write_series(const std::string& folder, int number, const std::string& description, const std::string& frame = "1.2.3.9") {
    fs::create_directories(folder_ / folder);
    for (int n = 0; n < 4; ++n) {
      test::MrSlice slice(12, 10, 100 * number + n, 3.0 * n);
      slice.put(DCM_SeriesInstanceUID, "1.2.3.4." + std::to_string(number));
      slice.put(DCM_SeriesNumber, std::to_string(number));
      slice.put(DCM_SeriesDescription, description);
      slice.put(DCM_FrameOfReferenceUID, frame);
      slice.put(DCM_PixelSpacing, "1\\1");
      slice.save(folder_ / folder / ("IM" + std::to_string(number) + "_" + std::to_string(n)));
    }
  }
};

TEST_F(ExtractDicom, MeasuresEveryRegionOfAFolder) {
  ASSERT_EQ(run({(sample_ / "T2").string(), (sample_ / "RS").string(), "-f", "csv", "-o", out_, "--details", path("details")}), 0) << said_;
  const auto names = column("ROI");
  ASSERT_GE(names.size(), 1u);
  for (const std::string& value : column("original_shape_MeshVolume")) EXPECT_GT(std::stod(value), 0);
  std::ifstream details(path("details"));
  std::string line;
  for (const std::string& name : names) {
    ASSERT_TRUE(std::getline(details, line));
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json["roi"], name);
    EXPECT_EQ(json["delineation"]["source"], "RTSTRUCT");
    EXPECT_GT(json["delineation"]["contours_used"], 0);
  }
}

TEST_F(ExtractDicom, FindsTheMaskInTheSameFolderAndAgreesBetweenRtstructAndSeg) {
  fs::create_directories(folder_ / "study");
  fs::copy(sample_ / "T2", folder_ / "study/T2");
  fs::copy(sample_ / "RS", folder_ / "study/RS");
  ASSERT_EQ(run({path("study"), "-f", "csv", "-o", out_}), 0) << said_;
  const std::string seg = path("seg");
  ASSERT_EQ(run({path("study"), (sample_ / "SEG/SEG0001.dcm").string(), "-f", "csv", "-o", seg}), 0) << said_;
  ASSERT_EQ(column("ROI"), column("ROI", seg));
  EXPECT_EQ(column("original_glcm_Contrast"), column("original_glcm_Contrast", seg));
}

TEST_F(ExtractDicom, ChoosesARegionByNameOrPattern) {
  ASSERT_EQ(run({(sample_ / "T2").string(), (sample_ / "RS").string(), "-f", "csv", "-o", out_}), 0) << said_;
  const auto names = column("ROI");
  const std::string one = path("one");
  ASSERT_EQ(run({(sample_ / "T2").string(), (sample_ / "RS").string(), "-f", "csv", "-o", one, "--roi", names[0]}), 0) << said_;
  EXPECT_EQ(column("ROI", one), (std::vector<std::string>{names[0]}));
  const std::string pattern = path("pattern");
  ASSERT_EQ(run({(sample_ / "T2").string(), (sample_ / "RS").string(), "-f", "csv", "-o", pattern, "--roi", names[0].substr(0, 2) + ".*"}), 0) << said_;
  EXPECT_EQ(column("ROI", pattern)[0], names[0]);
  EXPECT_EQ(run({(sample_ / "T2").string(), (sample_ / "RS").string(), "--roi", names[0] + "x", "-f", "csv", "-o", path("none")}), 1);
  EXPECT_NE(said_.find("Did you mean " + names[0]), std::string::npos) << said_;
  write("batch.csv", "Image,Mask,ROI\n" + (sample_ / "T2").string() + "," + (sample_ / "RS").string() + "," + names[0] + "\n");
  const std::string batch = path("batch_out");
  ASSERT_EQ(run({path("batch.csv"), "-f", "csv", "-o", batch}), 0) << said_;
  EXPECT_EQ(column("ROI", batch), (std::vector<std::string>{names[0]}));
  EXPECT_EQ(column("original_firstorder_Mean", batch)[0], column("original_firstorder_Mean", one)[0]);
}

TEST_F(ExtractDicom, TakesTheSeriesTheMaskRefersToAndListsThemOtherwise) {
  write_series("study", 4, "T1 tra");
  write_series("study", 6, "T2 tra");
  test::StructureSetFile set;  // refers to series 1.2.3.4, which is not there; frame of reference of both
  set.add_roi(1, "GTVp");
  set.add_contour("CLOSED_PLANAR", "-8\\-18\\3\\-2\\-18\\3\\-2\\-13\\3\\-8\\-13\\3");
  set.add_contour("CLOSED_PLANAR", "-8\\-18\\6\\-2\\-18\\6\\-2\\-13\\6\\-8\\-13\\6");
  set.save(folder_ / "rs.dcm");
  EXPECT_EQ(run({path("study"), path("rs.dcm"), "-f", "csv", "-o", path("listed")}), 1);
  EXPECT_NE(said_.find("series 4 'T1 tra' (MR, 4 files), series 6 'T2 tra'"), std::string::npos) << said_;
  ASSERT_EQ(run({path("study"), path("rs.dcm"), "-f", "csv", "-o", out_, "--series", "t2 tra"}), 0) << said_;
  // Pixels hold their number plus 100 times the instance: the mean tells the series.
  EXPECT_GT(std::stod(column("original_firstorder_Mean").at(0)), 60000);
  EXPECT_EQ(run({path("study"), path("rs.dcm"), "--series", "T3 tra", "-o", path("none")}), 1);
  EXPECT_NE(said_.find("Did you mean"), std::string::npos) << said_;
  write_series("pair", 4, "T1 tra");
  write_series("pair", 9, "other frame", "1.2.3.10");
  ASSERT_EQ(run({path("pair"), path("rs.dcm"), "-f", "csv", "-o", path("frame"), "-v", "4"}), 0) << said_;
  EXPECT_NE(said_.find("refers to its frame of reference"), std::string::npos) << said_;
}

TEST_F(ExtractDicom, MixesImageFilesAndDicom) {
  write_series("study", 4, "T1");
  test::StructureSetFile set;
  set.add_roi(1, "GTVp");
  set.add_contour("CLOSED_PLANAR", "-8\\-18\\3\\-2\\-18\\3\\-2\\-13\\3\\-8\\-13\\3");
  set.add_contour("CLOSED_PLANAR", "-8\\-18\\6\\-2\\-18\\6\\-2\\-13\\6\\-8\\-13\\6");
  set.save(folder_ / "rs.dcm");
  // The grid of the series as an image file, with a label map of the same rectangle.
  const VolumeGeometry grid = test::grid({12, 10, 4}, {1, 1, 3}, {-10, -20, 0});
  processing::ScalarVolume image{grid, {}, PixelType::uint16};
  processing::MaskVolume mask{grid, {}};
  for (int k = 0; k < 4; ++k)
    for (int j = 0; j < 10; ++j)
      for (int i = 0; i < 12; ++i) {
        image.voxels.push_back(i + 12 * j + (400 + k) * 100);
        mask.labels.push_back(i >= 2 && i < 8 && j >= 2 && j < 7 && (k == 1 || k == 2) ? 1 : 0);
      }
  ASSERT_TRUE(processing::write_image_file(image, folder_ / "grid.nrrd"));
  ASSERT_TRUE(processing::write_mask_file(mask, folder_ / "grid_mask.nii.gz"));
  ASSERT_EQ(run({path("study"), path("rs.dcm"), "-f", "csv", "-o", path("a")}), 0) << said_;
  ASSERT_EQ(run({path("grid.nrrd"), path("rs.dcm"), "-f", "csv", "-o", path("b")}), 0) << said_;
  ASSERT_EQ(run({path("study"), path("grid_mask.nii.gz"), "-f", "csv", "-o", path("c")}), 0) << said_;
  ASSERT_EQ(run({path("grid.nrrd"), path("grid_mask.nii.gz"), "-f", "csv", "-o", path("d")}), 0) << said_;
  for (const char* feature : {"original_shape_VoxelVolume", "original_firstorder_Mean", "original_glcm_Imc1"})
    for (const char* other : {"b", "c", "d"})
      EXPECT_NEAR(std::stod(column(feature, path("a")).at(0)), std::stod(column(feature, path(other)).at(0)), 1e-9) << feature << " " << other;
}

TEST_F(ExtractDicom, SaysWhatIsMissing) {
  fs::create_directories(folder_ / "empty");
  EXPECT_EQ(run({path("empty"), path("mask.nrrd")}), 1);
  EXPECT_NE(said_.find("holds no MR, CT or PET image"), std::string::npos) << said_;
  EXPECT_EQ(run({path("image.nrrd"), path("empty")}), 1);
  EXPECT_NE(said_.find("holds no RTSTRUCT and no SEG"), std::string::npos) << said_;
  EXPECT_EQ(run({(sample_ / "T2").string(), sample_.string()}), 1) << "an RTSTRUCT and a SEG with the same names";
  EXPECT_NE(said_.find("holds 2 RTSTRUCT or SEG objects"), std::string::npos) << said_;
}

TEST_F(ExtractDicom, ReadsRealSarcomaPairs) {
  CHOANA_NEEDS_SHARED("data/mr-t1-ibsi-sts-rtstruct");
  const fs::path data = test::shared_dir() / "data/mr-t1-ibsi-sts-rtstruct";
  int patients = 0;
  for (const auto& patient : fs::directory_iterator(data)) {
    if (!patient.is_directory()) continue;
    ASSERT_EQ(run({patient.path().string(), "-f", "csv", "-o", path("real" + std::to_string(patients)), "-s", "binCount:32"}), 0) << patient.path().filename() << ": " << said_;
    EXPECT_FALSE(column("ROI", path("real" + std::to_string(patients))).empty());
    ++patients;
  }
  EXPECT_GT(patients, 0);
}

}  // namespace
}  // namespace choana::node
