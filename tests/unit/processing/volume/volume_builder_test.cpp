#include "processing/volume/volume_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

namespace choana::processing {
namespace {

AcquiredSlice slice_at(double height_mm, int instance, float value = 1) {
  AcquiredSlice slice;
  slice.study_instance_uid = "1.1";
  slice.series_instance_uid = "1.2";
  slice.sop_instance_uid = "1.2." + std::to_string(instance);
  slice.frame_of_reference_uid = "1.9";
  slice.instance_number = instance;
  slice.columns = 3;
  slice.rows = 2;
  slice.column_spacing_mm = 0.5;
  slice.row_spacing_mm = 0.75;
  slice.position_mm = {1, 2, height_mm};
  slice.has_geometry = true;
  slice.acquisition.slice_thickness_mm = 3;
  slice.pixels = std::make_shared<const std::vector<float>>(6, value);
  return slice;
}

std::vector<AcquiredSlice> stack(int count, double spacing_mm, int first_instance = 1) {
  std::vector<AcquiredSlice> slices;
  for (int n = 0; n < count; ++n) slices.push_back(slice_at(spacing_mm * n, first_instance + n, static_cast<float>(n)));
  return slices;
}

VolumeSet built(std::vector<AcquiredSlice> slices) {
  auto set = build_volumes(std::move(slices));
  if (!set) {
    ADD_FAILURE() << to_string(set.error());
    return {};
  }
  return *set;
}

std::string only_rejection(std::vector<AcquiredSlice> slices) {
  const VolumeSet set = built(std::move(slices));
  EXPECT_TRUE(set.volumes.empty());
  return set.rejected.size() == 1 ? set.rejected.front() : std::to_string(set.rejected.size()) + " rejections";
}

TEST(VolumeBuilder, OrdersSlicesAlongTheNormalWhateverTheirNumbers) {
  std::vector<AcquiredSlice> slices = stack(8, 3);
  std::mt19937 random(7);  // seed 7
  std::shuffle(slices.begin(), slices.end(), random);
  const VolumeSet set = built(slices);
  ASSERT_EQ(set.volumes.size(), 1U);
  const SeriesVolume& volume = set.volumes.front().volume;
  EXPECT_EQ(volume.geometry().size(), (Index3{3, 2, 8}));
  EXPECT_EQ(volume.geometry().spacing_mm(), (Vector3{0.5, 0.75, 3}));
  EXPECT_EQ(volume.geometry().origin_mm(), (Vector3{1, 2, 0}));
  EXPECT_EQ(volume.geometry().frame_of_reference_uid(), "1.9");
  for (int k = 0; k < 8; ++k) {
    EXPECT_EQ(volume.voxels()[volume.geometry().offset(0, 0, k)], static_cast<float>(k));
    EXPECT_EQ(volume.reference().slices[static_cast<std::size_t>(k)].sop_instance_uid, "1.2." + std::to_string(k + 1));
  }
}

TEST(VolumeBuilder, BuildsRightHandedObliqueVolumesForEveryPatientPosition) {
  // A coronal stack read from behind: the normal points to the front, whatever the instance order.
  std::vector<AcquiredSlice> slices = stack(4, 0);
  for (int n = 0; n < 4; ++n) {
    AcquiredSlice& slice = slices[static_cast<std::size_t>(n)];
    const double c = std::cos(0.3), s = std::sin(0.3);
    slice.row_direction = {-c, -s, 0};
    slice.column_direction = {0, 0, -1};
    const Vector3 normal = cross(slice.row_direction, slice.column_direction);
    slice.position_mm = Vector3{5, 6, 7} + (-4.0 * n) * normal;
  }
  const VolumeSet set = built(slices);
  ASSERT_EQ(set.volumes.size(), 1U) << (set.rejected.empty() ? "" : set.rejected.front());
  const VolumeGeometry& geometry = set.volumes.front().volume.geometry();
  EXPECT_NEAR(dot(cross(geometry.axis(0), geometry.axis(1)), geometry.axis(2)), 1, 1e-12);
  EXPECT_NEAR(geometry.spacing_mm()[2], 4, 1e-12);
  EXPECT_EQ(set.volumes.front().volume.reference().slices.back().sop_instance_uid, "1.2.1");
  EXPECT_EQ(plane_of(geometry), "coronal");
}

TEST(VolumeBuilder, SplitsByBValueAndThenByWhatElseIsStated) {
  std::vector<AcquiredSlice> slices;
  int instance = 0;
  for (const double b : {800.0, 0.0})
    for (int direction = 0; direction < (b > 0 ? 3 : 1); ++direction)
      for (int n = 0; n < 5; ++n) {
        ++instance;
        AcquiredSlice slice = slice_at(3.0 * n, instance, static_cast<float>(instance));
        slice.acquisition.b_value_s_per_mm2 = b + (b > 0 ? direction : 0);  // what the gradients really gave
        if (b > 0) slice.acquisition.diffusion_direction = Vector3{direction == 0 ? 1.0 : 0.0, direction == 1 ? 1.0 : 0.0, direction == 2 ? 1.0 : 0.0};
        slices.push_back(slice);
      }
  const VolumeSet set = built(slices);
  EXPECT_TRUE(set.rejected.empty()) << set.rejected.front();
  ASSERT_EQ(set.volumes.size(), 4U);
  EXPECT_EQ(set.volumes[0].b_value_s_per_mm2, 0);
  for (std::size_t n = 1; n < 4; ++n) {
    EXPECT_NEAR(*set.volumes[n].b_value_s_per_mm2, 801, 1.1);
    ASSERT_FALSE(set.volumes[n].notes.empty());
    EXPECT_NE(set.volumes[n].notes.front().find("told apart by diffusion direction"), std::string::npos);
  }
  EXPECT_EQ(set.volumes[1].volume.voxels().front(), 1) << "in order of acquisition";
  EXPECT_EQ(summarise(set).b_values_s_per_mm2.front(), 0);
}

TEST(VolumeBuilder, SplitsEchoesPhasesAndTimes) {
  const auto two = [](const std::function<void(AcquiredSlice&, int)>& mark) {
    std::vector<AcquiredSlice> slices;
    for (int copy = 0; copy < 2; ++copy)
      for (int n = 0; n < 6; ++n) {
        AcquiredSlice slice = slice_at(3.0 * n, 1 + copy * 6 + n, static_cast<float>(copy));
        mark(slice, copy);
        slices.push_back(slice);
      }
    return built(slices).volumes.size();
  };
  EXPECT_EQ(two([](AcquiredSlice& s, int copy) { s.acquisition.echo_number = copy; }), 2U);
  EXPECT_EQ(two([](AcquiredSlice& s, int copy) { s.acquisition.temporal_position = copy; }), 2U);
  EXPECT_EQ(two([](AcquiredSlice& s, int copy) { s.acquisition.image_type = {"ORIGINAL", "PRIMARY", copy == 0 ? "M" : "P"}; }), 2U);
  EXPECT_EQ(two([](AcquiredSlice& s, int copy) { s.acquisition.acquisition_number = copy; }), 2U);
  EXPECT_EQ(two([](AcquiredSlice& s, int copy) { s.acquisition.content_time = copy == 0 ? "103200" : "103300"; }), 2U) << "UCSF: only the content time tells the phases";
  EXPECT_EQ(two([](AcquiredSlice&, int) {}), 0U) << "nothing tells them apart";
}

TEST(VolumeBuilder, DoesNotShredAVolumeByTimesThatDifferFromSliceToSlice) {
  std::vector<AcquiredSlice> slices = stack(6, 3);
  for (AcquiredSlice& slice : slices) slice.acquisition.acquisition_time = "1000" + std::to_string(10 + slice.instance_number);
  EXPECT_EQ(built(slices).volumes.size(), 1U);
}

TEST(VolumeBuilder, LeavesOutCopiesButRefusesDifferentSlicesAtOnePosition) {
  std::vector<AcquiredSlice> slices = stack(4, 3);
  AcquiredSlice copy = slice_at(3, 20, 1);
  slices.push_back(copy);
  const VolumeSet set = built(slices);
  ASSERT_EQ(set.volumes.size(), 1U);
  EXPECT_EQ(set.volumes.front().volume.geometry().size()[2], 4);
  EXPECT_NE(set.volumes.front().notes.front().find("as copies"), std::string::npos);
  copy.pixels = std::make_shared<const std::vector<float>>(6, 99.0F);
  slices.back() = copy;
  EXPECT_NE(only_rejection(slices).find("different slices lie at one position"), std::string::npos);
}

TEST(VolumeBuilder, NamesMissingSlicesAndUnevenSpacing) {
  std::vector<AcquiredSlice> gap = stack(9, 3);
  gap.erase(gap.begin() + 4);
  EXPECT_EQ(only_rejection(gap), "8 slices: 1 slice is missing between them (slice distance 3 mm); send the series again.");
  std::vector<AcquiredSlice> uneven = stack(9, 3);
  uneven[4].position_mm[2] += 0.4;
  EXPECT_NE(only_rejection(uneven).find("unevenly spaced, up to 0.4 mm"), std::string::npos) << only_rejection(uneven);
  std::vector<AcquiredSlice> rounded = stack(9, 3);
  for (AcquiredSlice& slice : rounded) slice.position_mm[2] = std::round(slice.position_mm[2] * 1.001 * 100) / 100;
  EXPECT_EQ(built(rounded).volumes.size(), 1U) << "coordinates rounded to 0.01 mm are tolerated";
  std::vector<AcquiredSlice> sheared = stack(9, 3);
  for (AcquiredSlice& slice : sheared) slice.position_mm[1] += 0.3 * slice.position_mm[2];
  EXPECT_NE(only_rejection(sheared).find("do not lie above each other"), std::string::npos);
}

TEST(VolumeBuilder, RejectsLocalisersMosaicsAndSlicesWithoutGeometry) {
  std::vector<AcquiredSlice> planes;
  int instance = 0;
  for (int plane = 0; plane < 3; ++plane)
    for (int n = 0; n < 5; ++n) {
      AcquiredSlice slice = slice_at(10.0 * n, ++instance);
      if (plane == 1) {
        slice.row_direction = {0, 1, 0};
        slice.column_direction = {0, 0, -1};
        slice.position_mm = {10.0 * n, 0, 0};
      } else if (plane == 2) {
        slice.column_direction = {0, 0, -1};
        slice.position_mm = {0, 10.0 * n, 0};
      }
      planes.push_back(slice);
    }
  const VolumeSet set = built(planes);
  EXPECT_TRUE(set.volumes.empty());
  EXPECT_EQ(set.rejected.size(), 3U);
  std::vector<AcquiredSlice> localiser = stack(3, 3);
  for (AcquiredSlice& slice : localiser) slice.acquisition.image_type = {"ORIGINAL", "PRIMARY", "LOCALIZER"};
  EXPECT_EQ(only_rejection(localiser), "3 slices: localiser images.");
  std::vector<AcquiredSlice> mosaic = stack(3, 3);
  for (AcquiredSlice& slice : mosaic) slice.acquisition.image_type = {"ORIGINAL", "PRIMARY", "M", "MOSAIC"};
  EXPECT_NE(only_rejection(mosaic).find("mosaic"), std::string::npos);
  std::vector<AcquiredSlice> lost = stack(3, 3);
  for (AcquiredSlice& slice : lost) slice.has_geometry = false;
  EXPECT_NE(only_rejection(lost).find("position, orientation or pixel spacing is missing"), std::string::npos);
}

TEST(VolumeBuilder, KeepsPartsOfDifferentMatrixApart) {
  std::vector<AcquiredSlice> slices = stack(5, 3);
  for (AcquiredSlice slice : stack(4, 3, 100)) {
    slice.columns = 2;
    slice.rows = 2;
    slice.pixels = std::make_shared<const std::vector<float>>(4, 0.0F);
    slices.push_back(slice);
  }
  EXPECT_EQ(built(slices).volumes.size(), 2U);
}

TEST(VolumeBuilder, WidensThePixelTypeWhereSlicesDiffer) {
  std::vector<AcquiredSlice> slices = stack(3, 3);
  EXPECT_EQ(built(slices).volumes.front().volume.pixel_type(), PixelType::int16);
  slices[1].pixel_type = PixelType::uint16;
  EXPECT_EQ(built(slices).volumes.front().volume.pixel_type(), PixelType::int32);
  slices[2].pixel_type = PixelType::float32;
  EXPECT_EQ(built(slices).volumes.front().volume.pixel_type(), PixelType::float32);
}

TEST(VolumeBuilder, FlagsLossyPixelsEvenInOneSlice) {
  std::vector<AcquiredSlice> slices = stack(3, 3);
  slices[2].acquisition.lossy_compressed = true;
  slices[0].notes = {"odd"};
  const VolumeSet set = built(slices);
  EXPECT_TRUE(set.volumes.front().volume.acquisition().lossy_compressed);
  EXPECT_EQ(set.volumes.front().notes, (std::vector<std::string>{"odd", "The pixels were compressed with loss; values differ from what the scanner measured."}));
}

TEST(VolumeBuilder, RefusesWhatTheCallerMustNotDo) {
  EXPECT_EQ(build_volumes({}).error().code, ErrorCode::no_image_series);
  std::vector<AcquiredSlice> mixed = stack(3, 3);
  mixed[1].series_instance_uid = "1.3";
  EXPECT_EQ(build_volumes(mixed).error().code, ErrorCode::invalid_argument);
  std::vector<AcquiredSlice> undecoded = stack(3, 3);
  undecoded[1].pixels = nullptr;
  EXPECT_EQ(build_volumes(undecoded).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace choana::processing
