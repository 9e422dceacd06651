#include "node/commands/n4_command.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "processing/itk/image_file.h"
#include "tests/support/head_phantom.h"

namespace choana::node {
namespace {

namespace fs = std::filesystem;
using processing::ScalarVolume;

class N4Command : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / (std::string("choana_n4_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    image_ = processing::to_scalar_volume(test::head_phantom({48, 44, 12}, 5));
    ASSERT_TRUE(processing::write_image_file(image_, path("head.nrrd")));
    mask_ = {image_.geometry, {}};
    for (const double voxel : image_.voxels) mask_.labels.push_back(voxel > 100 ? 255 : 0);
    ASSERT_TRUE(processing::write_mask_file(mask_, path("mask.nrrd")));
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }

  /// Runs `choana n4` and keeps what it says and prints.
  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "choana n4");
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = run_n4(static_cast<int>(pointers.size()), pointers.data());
    printed_ = testing::internal::GetCapturedStdout();
    said_ = testing::internal::GetCapturedStderr();
    return code;
  }
  [[nodiscard]] std::vector<double> voxels(const std::string& name) const {
    const auto image = processing::read_image_file(path(name));
    if (!image) ADD_FAILURE() << image.error().message;
    return image ? image->voxels : std::vector<double>();
  }

  fs::path folder_;
  ScalarVolume image_;
  processing::MaskVolume mask_;
  std::string printed_, said_;
};

TEST_F(N4Command, WritesTheCorrectedImageAndTheFieldThatWasDividedOut) {
  ASSERT_EQ(run({path("head.nrrd"), "--out", path("out.nrrd"), "--field", path("field.nii.gz"), "--shrink", "2", "--iterations", "6,6", "--threshold", "0",
                 "--mask-rule", "otsu"}), 0) << said_;
  EXPECT_NE(printed_.find("level 1  6 of 6 iterations  convergence 0.0"), std::string::npos) << printed_;
  EXPECT_NE(printed_.find("level 2  "), std::string::npos);
  const auto corrected = processing::read_image_file(path("out.nrrd"));
  ASSERT_TRUE(corrected);
  EXPECT_EQ(corrected->pixel_type, PixelType::float32);
  EXPECT_TRUE(corrected->geometry.matches(image_.geometry));
  const auto field = voxels("field.nii.gz");
  ASSERT_EQ(field.size(), image_.voxels.size());
  double reach = 0;
  for (std::size_t n = 0; n < field.size(); ++n) {
    ASSERT_NEAR(corrected->voxels[n], image_.voxels[n] / std::exp(field[n]), 1e-3);
    reach = std::max(reach, std::abs(field[n]));
  }
  EXPECT_GT(reach, 0.05);
}

TEST_F(N4Command, PrintsJsonWithSettingsAndLevels) {
  ASSERT_EQ(run({path("head.nrrd"), "--out", path("out.mha"), "--mask", path("mask.nrrd"), "--label", "255", "--shrink", "4,4,1", "--iterations", "3,2,1", "--threshold", "0",
                 "--fwhm", "0.2", "--noise", "0.02", "--bins", "100", "--control-points", "5,5,4", "--threads", "2", "--json"}), 0) << said_;
  const auto json = nlohmann::json::parse(printed_);
  ASSERT_EQ(json["levels"].size(), 3U);
  EXPECT_EQ(json["levels"][0]["iterations"], 3);
  EXPECT_EQ(json["levels"][2]["iterations"], 1);
  EXPECT_GT(json["levels"][2]["convergence"], 0);
  EXPECT_EQ(json["settings"]["engine"], "choana");
  EXPECT_EQ(json["settings"]["field"], "stretched");
  EXPECT_EQ(json["settings"]["fwhm"], 0.2);
  EXPECT_EQ(json["settings"]["control_points"], (std::vector<int>{5, 5, 4}));
  EXPECT_EQ(json["settings"]["mask"], "file");
  EXPECT_EQ(json["settings"]["label"], 255);
  EXPECT_EQ(json["shrink_used"], (std::vector<int>{4, 4, 1}));
  EXPECT_EQ(json["mask_voxels"], std::count(mask_.labels.begin(), mask_.labels.end(), 255U));
}

TEST_F(N4Command, GivesItksFieldByEitherEngineAndTheSameAtAnyNumberOfThreads) {
  const std::vector<std::string> common{path("head.nrrd"), "--mask", path("mask.nrrd"), "--shrink", "2,2,2", "--iterations", "8,8", "--json"};
  const auto field_with = [&](std::vector<std::string> more, const std::string& name) {
    more.insert(more.begin(), common.begin(), common.end());
    more.insert(more.end(), {"--out", path("out.nrrd"), "--field", path(name)});
    EXPECT_EQ(run(more), 0) << said_;
    return voxels(name);
  };
  const auto ours = field_with({}, "ours.nrrd");
  const auto levels = nlohmann::json::parse(printed_)["levels"];
  EXPECT_EQ(field_with({"--threads", "3"}, "threads.nrrd"), ours);
  const auto theirs = field_with({"--engine", "itk"}, "theirs.nrrd");
  const auto itk_levels = nlohmann::json::parse(printed_)["levels"];
  ASSERT_EQ(levels.size(), itk_levels.size());
  for (std::size_t level = 0; level < levels.size(); ++level) EXPECT_EQ(levels[level]["iterations"], itk_levels[level]["iterations"]);
  for (std::size_t n = 0; n < ours.size(); ++n) ASSERT_NEAR(ours[n], theirs[n], 5e-5);
  EXPECT_NE(field_with({"--aligned"}, "aligned.nrrd"), ours);
}

TEST_F(N4Command, SaysWhichLabelsThereAreWhenTheWantedOneIsNot) {
  // spec/n4.md: a mask of 0 and 255 with label 1 includes nothing, and SimpleITK returns the image unchanged.
  EXPECT_EQ(run({path("head.nrrd"), "--out", path("out.nrrd"), "--mask", path("mask.nrrd"), "--label", "1"}), 1);
  EXPECT_NE(said_.find("no voxel of label 1; it holds 255"), std::string::npos) << said_;
  EXPECT_FALSE(fs::exists(path("out.nrrd")));
  EXPECT_EQ(run({path("head.nrrd"), "--out", path("out.nrrd"), "--mask", path("mask.nrrd"), "--iterations", "2"}), 0) << said_;
  processing::MaskVolume empty{image_.geometry, std::vector<std::uint32_t>(image_.voxels.size(), 0)};
  ASSERT_TRUE(processing::write_mask_file(empty, path("empty.nrrd")));
  EXPECT_EQ(run({path("head.nrrd"), "--out", path("out.nrrd"), "--mask", path("empty.nrrd")}), 1);
  EXPECT_NE(said_.find("mask is empty"), std::string::npos) << said_;
}

TEST_F(N4Command, ReadsAFolderOfDicom) {
  const fs::path sample = fs::path(CHOANA_SOURCE_DIR) / "dicom-fixtures/samples/npc-small/T2";
  ASSERT_EQ(run({sample.string(), "--out", path("t2.nii.gz"), "--mask-rule", "otsu", "--iterations", "3,3", "--json"}), 0) << said_;
  const auto image = processing::read_image_file(path("t2.nii.gz"));
  ASSERT_TRUE(image);
  EXPECT_EQ(image->geometry.size()[2], 12);
  EXPECT_EQ(nlohmann::json::parse(printed_)["settings"]["mask"], "otsu");
}

TEST_F(N4Command, RefusesWhatItCannotDoWithAReason) {
  const std::string image = path("head.nrrd"), out = path("out.nrrd");
  const auto code = [&](std::vector<std::string> arguments) { return run(std::move(arguments)); };
  // Wrong usage and settings.
  EXPECT_EQ(code({image}), 2);
  EXPECT_EQ(code({image, "--out", path("out.png")}), 2);
  EXPECT_NE(said_.find(".nrrd, .nii, .nii.gz and .mha"), std::string::npos);
  EXPECT_EQ(code({image, "--out", out, "--field", out}), 2);
  EXPECT_EQ(code({image, "--out", out, "--shrink", "4,4"}), 2);
  EXPECT_EQ(code({image, "--out", out, "--shrink", "0"}), 2);
  EXPECT_EQ(code({image, "--out", out, "--control-points", "3"}), 2);
  EXPECT_NE(said_.find("control points"), std::string::npos) << said_;
  EXPECT_EQ(code({image, "--out", out, "--threshold", "nan"}), 2);
  EXPECT_EQ(code({image, "--out", out, "--engine", "ants"}), 2);
  EXPECT_EQ(code({image, "--out", out, "--engine", "itk", "--aligned"}), 2);
  EXPECT_EQ(code({image, "--out", out, "--label", "1"}), 2);
  EXPECT_EQ(code({image, "--out", out, "--mask", path("mask.nrrd"), "--label", "0"}), 2);
  EXPECT_EQ(code({image, "--out", out, "--shrnk", "2"}), 2);
  EXPECT_NE(said_.find("Did you mean --shrink"), std::string::npos) << said_;
  EXPECT_EQ(code({"--shrink", "4,4,1", "--iterations", "2,2", image, "--out", out, "--threshold", "-1"}), 2) << "lists end before the image";
  EXPECT_NE(said_.find("threshold"), std::string::npos) << said_;
  // Input that cannot be corrected.
  EXPECT_EQ(code({path("gone.nrrd"), "--out", out}), 1);
  ScalarVolume constant = image_;
  constant.voxels.assign(constant.voxels.size(), 100);
  ASSERT_TRUE(processing::write_image_file(constant, path("constant.nrrd")));
  EXPECT_EQ(code({path("constant.nrrd"), "--out", out}), 1);
  EXPECT_NE(said_.find("one value"), std::string::npos) << said_;
  ScalarVolume odd = image_;
  odd.pixel_type = PixelType::float32;
  odd.voxels[17] = NAN;
  ASSERT_TRUE(processing::write_image_file(odd, path("odd.nrrd")));
  EXPECT_EQ(code({path("odd.nrrd"), "--out", out}), 1);
  EXPECT_NE(said_.find("not a number"), std::string::npos) << said_;
  processing::MaskVolume shifted{*VolumeGeometry::make({48, 44, 12}, {0.75, 0.75, 4}, {5, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0, 1}), mask_.labels};
  ASSERT_TRUE(processing::write_mask_file(shifted, path("shifted.nrrd")));
  EXPECT_EQ(code({image, "--out", out, "--mask", path("shifted.nrrd")}), 1);
  EXPECT_NE(said_.find("lies elsewhere"), std::string::npos) << said_;
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace choana::node
