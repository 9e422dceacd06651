#include "processing/itk/image_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "tests/support/volumes.h"

namespace choana::processing {
namespace {

class ImageFile : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(testing::TempDir()) / (std::string("choana_image_file_") + info->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_F(ImageFile, KeepsVoxelsTypeAndObliqueGeometryInEveryFormat) {
  test::RandomCase one = test::random_case(5, {7, 6, 5});
  const double c = std::cos(0.3);
  const double s = std::sin(0.3);
  one.image.geometry = *VolumeGeometry::make({7, 6, 5}, {0.8, 0.9, 2.5}, {-20.5, 31.25, 5}, {c, -s, 0, s, c, 0, 0, 0, -1});
  for (const PixelType type : {PixelType::int16, PixelType::uint8, PixelType::float32, PixelType::uint16, PixelType::int32, PixelType::float64}) {
    one.image.pixel_type = type;
    for (const char* name : {"a.nrrd", "a.nii.gz", "a.mha", "a.nii"}) {
      ASSERT_TRUE(write_image_file(one.image, folder_ / name)) << name;
      const auto back = read_image_file(folder_ / name);
      ASSERT_TRUE(back) << name << ": " << back.error().message;
      EXPECT_EQ(back->voxels, one.image.voxels) << name;
      EXPECT_EQ(back->pixel_type, type) << name;
      EXPECT_TRUE(back->geometry.matches(one.image.geometry, 1e-3)) << name;
    }
  }
}

TEST_F(ImageFile, TruncatesFloatingMasksAndRefusesNegativeLabels) {
  ScalarVolume image{test::grid({2, 2, 1}), {0, 1.9, 2, 3.2}, PixelType::float32};
  ASSERT_TRUE(write_image_file(image, folder_ / "m.nrrd"));
  EXPECT_EQ(read_mask_file(folder_ / "m.nrrd")->labels, (std::vector<std::uint32_t>{0, 1, 2, 3}));
  image.voxels[0] = -2;
  ASSERT_TRUE(write_image_file(image, folder_ / "m.nrrd"));
  EXPECT_EQ(read_mask_file(folder_ / "m.nrrd").error().code, ErrorCode::invalid_attribute);
}

TEST_F(ImageFile, SaysWhatIsWrongWithAFile) {
  EXPECT_EQ(read_image_file(folder_ / "none.nrrd").error().code, ErrorCode::not_found);
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  };
  EXPECT_EQ(read_image_file(write("a.txt", "text")).error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(read_image_file(write("a.nrrd", "no header")));
  EXPECT_FALSE(read_image_file(write("b.nrrd", "")));
  EXPECT_FALSE(read_image_file(write("a.nii", std::string(400, 'x'))));
  EXPECT_FALSE(read_image_file(write("a.mha", "ObjectType = Image\nNDims = 3\n")));
  // Claims 64 GiB of voxels, holds none.
  EXPECT_FALSE(read_image_file(write("c.nrrd", "NRRD0004\ntype: short\ndimension: 3\nsizes: 4096 4096 2048\nencoding: raw\nendian: little\n\n")));
  EXPECT_FALSE(read_image_file(write("d.nrrd", "NRRD0004\ntype: short\ndimension: 3\nsizes: 100 100 100\nencoding: raw\nendian: little\n\nabc")));
  // Axes in one direction.
  EXPECT_FALSE(read_image_file(write("e.nrrd", "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 1 1 1\nspace: left-posterior-superior\nspace directions: (1,0,0) "
                                               "(1,0,0) (0,0,1)\nspace origin: (0,0,0)\nencoding: raw\n\nA")));
}

TEST_F(ImageFile, RefusesHeadersThatTheLibrariesNeverFinish) {
  // A NaN in the affine of a NIfTI header: ITK's singular value decomposition does not end.
  const test::RandomCase one = test::random_case(5, {3, 3, 3});
  ASSERT_TRUE(write_image_file(one.image, folder_ / "a.nii"));
  std::fstream file(folder_ / "a.nii", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(280);
  file.write("\xFF\xFF\xFF\xFF", 4);
  file.close();
  const auto nifti = read_image_file(folder_ / "a.nii");
  ASSERT_FALSE(nifti);
  EXPECT_EQ(nifti.error().code, ErrorCode::invalid_attribute);
  // MetaIO loops over the number of dimensions before it looks at it.
  std::ofstream(folder_ / "b.mha") << "ObjectType = Image\nNDims =\n 1000000000 2\nDimSize = 3 2 2\nElementType = MET_SHORT\nElementDataFile = LOCAL\n1234";
  const auto meta = read_image_file(folder_ / "b.mha");
  ASSERT_FALSE(meta);
  EXPECT_EQ(meta.error().code, ErrorCode::invalid_attribute);
  std::ofstream(folder_ / "c.mhd") << "NDims = 3\nDimSize = 3 2 2\nElementType = MET_SHORT\nElementDataFile = %s%s%n.raw 1 2 1\n";
  EXPECT_FALSE(read_image_file(folder_ / "c.mhd"));
}

}  // namespace
}  // namespace choana::processing
