#include "processing/roi/roi_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <random>
#include <tuple>

namespace choana::processing {
namespace {

constexpr Matrix3 straight{1, 0, 0, 0, 1, 0, 0, 0, 1};

/// Rotation about z then x, so that no axis is a patient axis.
Matrix3 tilted() {
  const double a = 0.4, b = -0.3;
  return {std::cos(a), -std::sin(a) * std::cos(b), std::sin(a) * std::sin(b), std::sin(a), std::cos(a) * std::cos(b), -std::cos(a) * std::sin(b), 0, std::sin(b), std::cos(b)};
}

VolumeGeometry grid(Index3 size, Vector3 spacing = {1, 1, 1}, Vector3 origin = {0, 0, 0}, const Matrix3& direction = straight, const std::string& frame = "1.9") {
  return *VolumeGeometry::make(size, spacing, origin, direction, frame);
}

/// A contour given in voxel index, put into the patient by the grid.
PlanarContour contour(const VolumeGeometry& geometry, const std::vector<std::array<double, 2>>& points, double slice, const std::string& type = "CLOSED_PLANAR") {
  PlanarContour made;
  made.geometric_type = type;
  for (const auto& p : points) made.points_mm.push_back(geometry.index_to_patient({p[0], p[1], slice}));
  return made;
}

std::vector<std::array<double, 2>> box(double left, double top, double right, double bottom) { return {{left, top}, {right, top}, {right, bottom}, {left, bottom}}; }

StructureSetRoi region(std::vector<PlanarContour> contours) {
  StructureSetRoi roi;
  roi.number = 3;
  roi.name = "GTVp";
  roi.generation_algorithm = "MANUAL";
  roi.frame_of_reference_uid = "1.9";
  roi.contours = std::move(contours);
  return roi;
}

RegionOfInterest rasterised(const StructureSetRoi& roi, const VolumeGeometry& geometry) {
  auto made = rasterise_roi(roi, {}, geometry);
  if (!made) {
    ADD_FAILURE() << to_string(made.error());
    return {};
  }
  return *made;
}

TEST(Rasteriser, FillsVoxelsWhoseCentresAreInside) {
  for (const Matrix3& direction : {straight, tilted()}) {
    const VolumeGeometry geometry = grid({10, 9, 4}, {0.7, 1.3, 5}, {-30, 12, 8}, direction);
    const RegionOfInterest roi = rasterised(region({contour(geometry, box(1.6, 2.6, 5.4, 4.4), 2)}), geometry);
    EXPECT_EQ(roi.voxels(), 8U);  // columns 2..5, rows 3..4
    for (int j = 3; j <= 4; ++j)
      for (int i = 2; i <= 5; ++i) EXPECT_EQ(roi.mask()[geometry.offset(i, j, 2)], 1);
    EXPECT_NEAR(roi.origin().contour_volume_ml, 3.8 * 1.8 * 0.7 * 1.3 * 5 / 1000, 1e-9);
    EXPECT_EQ(roi.origin().contours_used, 1);
    EXPECT_EQ(roi.origin().number, 3);
    EXPECT_EQ(roi.origin().algorithm_type, "MANUAL");
    EXPECT_EQ(roi.origin().kind, RoiOrigin::Kind::structure_set);
  }
}

TEST(Rasteriser, CutsHolesNestedOrAsKeyholes) {
  const VolumeGeometry geometry = grid({20, 20, 1});
  const auto outer = box(1.5, 1.5, 15.5, 15.5), hole = box(4.5, 4.5, 10.5, 10.5), island = box(6.5, 6.5, 8.5, 8.5);
  const RegionOfInterest nested = rasterised(region({contour(geometry, outer, 0), contour(geometry, hole, 0), contour(geometry, island, 0, "CLOSEDPLANAR_XOR")}), geometry);
  EXPECT_EQ(nested.voxels(), 14U * 14 - 6 * 6 + 2 * 2);
  EXPECT_NEAR(nested.origin().contour_volume_ml, (14 * 14 - 6 * 6 + 2 * 2) / 1000.0, 1e-12);
  std::vector<std::array<double, 2>> keyhole = outer;
  keyhole.push_back(outer.front());
  for (const std::size_t n : {0, 3, 2, 1, 0}) keyhole.push_back(hole[n]);  // back round the hole, other way about
  const RegionOfInterest one = rasterised(region({contour(geometry, keyhole, 0)}), geometry);
  EXPECT_EQ(one.voxels(), 14U * 14 - 6 * 6);
  EXPECT_NEAR(one.origin().contour_volume_ml, (14 * 14 - 6 * 6) / 1000.0, 1e-12);
}

TEST(Rasteriser, CountsATangentCentreOnceWhereRegionsTouch) {
  // Two boxes that share an edge through voxel centres: together they are one box, no voxel twice (XOR) and none lost.
  const VolumeGeometry geometry = grid({12, 12, 1});
  const RegionOfInterest roi = rasterised(region({contour(geometry, box(1, 1, 5, 9), 0), contour(geometry, box(5, 1, 10, 9), 0)}), geometry);
  EXPECT_EQ(roi.voxels(), 9U * 8);
}

TEST(Rasteriser, DoesNotDependOnTheOrderOrDirectionOfPoints) {
  const VolumeGeometry geometry = grid({40, 40, 3}, {0.9, 1.1, 3}, {5, -7, 2}, tilted());
  std::mt19937 random(20261121);  // seed
  std::uniform_real_distribution<double> radius(5, 17);
  for (int round = 0; round < 30; ++round) {
    std::vector<std::array<double, 2>> star;
    for (int n = 0; n < 60; ++n) {
      const double angle = 2 * std::numbers::pi * n / 60, r = radius(random);
      star.push_back({20 + r * std::cos(angle), 19 + r * std::sin(angle)});
    }
    const auto mask = rasterised(region({contour(geometry, star, 1)}), geometry).mask();
    std::rotate(star.begin(), star.begin() + 17, star.end());
    std::reverse(star.begin(), star.end());
    EXPECT_EQ(rasterised(region({contour(geometry, star, 1)}), geometry).mask(), mask) << "round " << round;
  }
}

TEST(Rasteriser, HoldsTheAreaOfACircle) {
  const VolumeGeometry geometry = grid({200, 200, 1}, {0.5, 0.5, 2});
  std::vector<std::array<double, 2>> circle;
  for (int n = 0; n < 720; ++n) circle.push_back({100.3 + 80 * std::cos(n * std::numbers::pi / 360), 99.7 + 80 * std::sin(n * std::numbers::pi / 360)});
  const RegionOfInterest roi = rasterised(region({contour(geometry, circle, 0)}), geometry);
  EXPECT_NEAR(static_cast<double>(roi.voxels()), std::numbers::pi * 80 * 80, 30);
}

TEST(Rasteriser, PutsContoursOnTheNearestSliceAndDropsThoseBeyondTheStack) {
  const VolumeGeometry geometry = grid({10, 10, 5}, {1, 1, 4}, {0, 0, 0}, tilted());
  const RegionOfInterest roi = rasterised(
      region({contour(geometry, box(1.5, 1.5, 4.5, 4.5), 0.3), contour(geometry, box(1.5, 1.5, 4.5, 4.5), 3.6), contour(geometry, box(1.5, 1.5, 4.5, 4.5), 4.7)}), geometry);
  EXPECT_EQ(roi.mask()[geometry.offset(3, 3, 0)], 1);
  EXPECT_EQ(roi.mask()[geometry.offset(3, 3, 4)], 1);
  EXPECT_EQ(roi.voxels(), 18U);
  EXPECT_EQ(roi.origin().contours_used, 2);
  EXPECT_EQ(roi.origin().contours_dropped, 1);
  EXPECT_NEAR(roi.origin().fraction_outside_image, 1 / 3.0, 1e-9);
  EXPECT_TRUE(std::any_of(roi.origin().notes.begin(), roi.origin().notes.end(), [](const std::string& n) { return n.find("3 slices between the first and the last contour have no contour") == 0; }));
}

TEST(Rasteriser, UsesOnePlaneASliceWhenTheContoursAreFinerThanTheImage) {
  const VolumeGeometry geometry = grid({10, 10, 3}, {1, 1, 6});
  std::vector<PlanarContour> contours;
  for (int n = 0; n <= 12; ++n) contours.push_back(contour(geometry, box(1.5, 1.5, 4.5, 4.5), n / 6.0));
  const RegionOfInterest roi = rasterised(region(contours), geometry);
  EXPECT_EQ(roi.voxels(), 27U) << "XOR of all planes would leave holes";
  EXPECT_EQ(roi.origin().contours_used, 3);
  EXPECT_EQ(roi.origin().contours_dropped, 10);
}

TEST(Rasteriser, UsesAContourThatIsStoredTwiceOnce) {
  const VolumeGeometry geometry = grid({10, 10, 3});
  const RegionOfInterest roi = rasterised(region({contour(geometry, box(1.5, 1.5, 4.5, 4.5), 1), contour(geometry, box(1.5, 1.5, 4.5, 4.5), 1)}), geometry);
  EXPECT_EQ(roi.voxels(), 9U);
  EXPECT_EQ(roi.origin().contours_dropped, 1);
}

TEST(ContourReferences, AreComparedWithTheGeometry) {
  const VolumeGeometry geometry = grid({10, 10, 3}, {1, 1, 4}, {0, 0, 0}, tilted());
  SeriesReference series;
  for (const char* uid : {"1.0", "1.1", "1.2"}) series.slices.push_back({"", uid, 0, ""});
  StructureSetRoi roi = region({contour(geometry, box(1, 1, 5, 5), 0), contour(geometry, box(1, 1, 5, 5), 1), contour(geometry, box(1, 1, 5, 5), 2)});
  EXPECT_TRUE(compare_references(roi, series, geometry).empty()) << "nothing is named";
  for (std::size_t n = 0; n < 3; ++n) roi.contours[n].referenced_sop_instance_uids = {series.slices[n].sop_instance_uid};
  EXPECT_TRUE(compare_references(roi, series, geometry).empty());
  roi.contours[0].referenced_sop_instance_uids = {"1.1"};
  roi.contours[2].referenced_sop_instance_uids = {"9.9"};
  EXPECT_EQ(compare_references(roi, series, geometry),
            (std::vector<std::string>{"1 of 3 contours name images that are not in the series; they were placed by their coordinates.",
                                      "1 of 3 contours name another slice than the one they lie on; they were placed by their coordinates."}));
}

TEST(Rasteriser, SaysWhatItDropped) {
  const VolumeGeometry geometry = grid({10, 10, 3});
  PlanarContour upright = contour(geometry, box(1, 1, 5, 5), 1);
  upright.points_mm[2][2] = 2.5;
  const RegionOfInterest roi = rasterised(region({contour(geometry, box(1.5, 1.5, 4.5, 4.5), 1), contour(geometry, {{5, 5}}, 1, "POINT"), contour(geometry, {{5, 5}, {6, 6}}, 1),
                                                  contour(geometry, {}, 1), upright, contour(geometry, box(1, 1, 3, 3), 1, "OPEN_PLANAR")}),
                                          geometry);
  EXPECT_EQ(roi.origin().contours_used, 1);
  EXPECT_EQ(roi.origin().contours_dropped, 5);
  EXPECT_EQ(roi.origin().notes.at(0), "2 contours are not closed and planar (points, open lines) and not used.");
  EXPECT_EQ(roi.origin().notes.at(1), "2 contours have no usable points.");
  EXPECT_EQ(roi.origin().notes.at(2), "1 contour does not lie in a plane of the image and was drawn in another orientation; not used.");
}

TEST(Rasteriser, RefusesWhatItCannotPlace) {
  const VolumeGeometry geometry = grid({10, 10, 3});
  const auto code_of = [&](const StructureSetRoi& roi) {
    auto made = rasterise_roi(roi, {}, geometry);
    return made ? std::string("made") : std::string(to_string(made.error().code));
  };
  EXPECT_EQ(code_of(region({})), "roi_empty");
  EXPECT_EQ(code_of(region({contour(geometry, {{5, 5}}, 1, "POINT")})), "roi_empty");
  EXPECT_EQ(code_of(region({contour(geometry, box(1, 1, 5, 5), 9)})), "roi_outside_image");
  EXPECT_EQ(code_of(region({contour(geometry, box(21, 1, 25, 5), 1)})), "roi_outside_image");
  EXPECT_EQ(code_of(region({contour(geometry, box(1.2, 1.2, 1.8, 1.8), 1)})), "roi_too_small");
  StructureSetRoi foreign = region({contour(geometry, box(1, 1, 5, 5), 1)});
  foreign.frame_of_reference_uid = "1.8";
  EXPECT_EQ(code_of(foreign), "geometry_mismatch");
  RoiSettings settings;
  settings.accept_other_frame_of_reference = true;
  EXPECT_TRUE(rasterise_roi(foreign, {}, geometry, settings));
  foreign.frame_of_reference_uid.clear();
  const auto without = rasterise_roi(foreign, {}, geometry);
  ASSERT_TRUE(without);
  EXPECT_NE(without->origin().notes.front().find("No frame of reference"), std::string::npos);
  StructureSetRoi absurd = region({contour(geometry, box(1, 1, 5, 5), 1)});
  absurd.contours[0].points_mm[1] = {1e300, 1e300, 1e300};
  EXPECT_EQ(code_of(absurd), "roi_empty");
  absurd.contours[0].points_mm[1] = {1e308, 1, 1};
  absurd.contours[0].points_mm[2] = {-1e308, 5, 1};
  EXPECT_EQ(code_of(absurd), "roi_empty");
}

TEST(Rasteriser, StatesThePartOutsideTheImage) {
  const VolumeGeometry geometry = grid({10, 10, 3});
  const RegionOfInterest roi = rasterised(region({contour(geometry, box(4.5, 2.5, 14.5, 6.5), 1)}), geometry);
  EXPECT_EQ(roi.voxels(), 20U);
  EXPECT_NEAR(roi.origin().fraction_outside_image, 0.5, 1e-12);
}

/// A SEG on the given grid holding the voxels that `inside` names, slice by slice.
template <typename Inside>
SegmentationObject segmentation(const VolumeGeometry& on, Inside inside, int segment = 1) {
  SegmentationObject object;
  object.sop_instance_uid = "1.6";
  object.frame_of_reference_uid = on.frame_of_reference_uid();
  object.segmentation_type = "BINARY";
  object.columns = on.size()[0];
  object.rows = on.size()[1];
  object.row_direction = on.axis(0);
  object.column_direction = on.axis(1);
  object.column_spacing_mm = on.spacing_mm()[0];
  object.row_spacing_mm = on.spacing_mm()[1];
  SegmentDescription description;
  description.number = segment;
  description.label = "Tumour";
  description.algorithm_type = "SEMIAUTOMATIC";
  description.type = {"86049000", "SCT", "Malignant neoplasm, primary"};
  object.segments.push_back(description);
  for (int k = 0; k < on.size()[2]; ++k) {
    SegmentFrame frame;
    frame.segment_number = segment;
    frame.position_mm = on.index_to_patient({0, 0, static_cast<double>(k)});
    bool any = false;
    for (int j = 0; j < on.size()[1]; ++j)
      for (int i = 0; i < on.size()[0]; ++i) {
        const bool set = inside(i, j, k);
        any = any || set;
        frame.values.push_back(set ? 1.0F : 0.0F);
      }
    if (any) object.frames.push_back(std::move(frame));
  }
  return object;
}

const auto some_voxels = [](int i, int j, int k) { return i >= 2 && i < 7 && j >= 1 && j < 5 && k >= 1 && k < 4 && (i + 2 * j + 3 * k) % 5 != 0; };

TEST(SegmentMatcher, PutsEachPixelOnItsVoxel) {
  const VolumeGeometry geometry = grid({9, 8, 6}, {0.7, 1.3, 4}, {3, -5, 2}, tilted());
  const auto roi = roi_from_segment(segmentation(geometry, some_voxels), 1, geometry);
  ASSERT_TRUE(roi) << to_string(roi.error());
  for (int k = 0; k < 6; ++k)
    for (int j = 0; j < 8; ++j)
      for (int i = 0; i < 9; ++i) ASSERT_EQ(roi->mask()[geometry.offset(i, j, k)] != 0, some_voxels(i, j, k));
  EXPECT_EQ(roi->name(), "Tumour");
  EXPECT_EQ(roi->finding().value, "86049000");
  EXPECT_EQ(roi->origin().algorithm_type, "SEMIAUTOMATIC");
  EXPECT_TRUE(roi->origin().notes.empty()) << roi->origin().notes.front();
}

TEST(SegmentMatcher, FollowsFlippedAndTransposedAxes) {
  const VolumeGeometry geometry = grid({9, 8, 6}, {0.7, 0.7, 0.7}, {3, -5, 2}, tilted());
  const Vector3 x = geometry.axis(0), y = geometry.axis(1), z = geometry.axis(2);
  const auto direction = [](const Vector3& a, const Vector3& b, const Vector3& c) { return Matrix3{a[0], b[0], c[0], a[1], b[1], c[1], a[2], b[2], c[2]}; };
  const Vector3 minus_x = -1.0 * x, minus_z = -1.0 * z;
  struct Case {
    Index3 size;
    Vector3 first_voxel;
    Matrix3 direction;
    std::function<Index3(int, int, int)> to_image;
  };
  const std::vector<Case> cases{
      {{9, 8, 6}, {8, 0, 5}, direction(minus_x, y, minus_z), [](int i, int j, int k) { return Index3{8 - i, j, 5 - k}; }},
      {{8, 9, 6}, {0, 0, 5}, direction(y, x, minus_z), [](int i, int j, int k) { return Index3{j, i, 5 - k}; }},
      {{6, 9, 8}, {0, 0, 0}, direction(z, x, y), [](int i, int j, int k) { return Index3{j, k, i}; }},
  };
  for (const Case& one : cases) {
    const VolumeGeometry other = grid(one.size, {0.7, 0.7, 0.7}, geometry.index_to_patient(one.first_voxel), one.direction);
    const auto roi = roi_from_segment(segmentation(other, [&](int i, int j, int k) {
                                        const Index3 v = one.to_image(i, j, k);
                                        return some_voxels(v[0], v[1], v[2]);
                                      }), 1, geometry);
    ASSERT_TRUE(roi) << to_string(roi.error());
    for (int k = 0; k < 6; ++k)
      for (int j = 0; j < 8; ++j)
        for (int i = 0; i < 9; ++i) ASSERT_EQ(roi->mask()[geometry.offset(i, j, k)] != 0, some_voxels(i, j, k)) << i << " " << j << " " << k;
  }
}

TEST(SegmentMatcher, NotesAShiftAndRefusesHalfAVoxel) {
  const VolumeGeometry geometry = grid({9, 8, 6}, {0.7, 0.7, 4});
  const auto shifted = [&](double mm) { return roi_from_segment(segmentation(grid({9, 8, 6}, {0.7, 0.7, 4}, {mm, 0, 0}), some_voxels), 1, geometry); };
  const auto small = shifted(0.045);  // spec/inputs.md 4
  ASSERT_TRUE(small);
  ASSERT_EQ(small->origin().notes.size(), 1U);
  EXPECT_EQ(small->origin().notes.front(), "The grid of the segmentation is off the image by up to 0.045 mm; each pixel went to the nearest voxel.");
  EXPECT_TRUE(shifted(0.005)->origin().notes.empty());
  ASSERT_FALSE(shifted(0.35));
  EXPECT_EQ(shifted(0.35).error().code, ErrorCode::geometry_mismatch);
  const auto whole = shifted(0.7);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->mask()[geometry.offset(3, 1, 1)] != 0, some_voxels(2, 1, 1));
}

TEST(SegmentMatcher, PlacesAGridThatIsAPartOfTheImageOrReachesBeyond) {
  const VolumeGeometry geometry = grid({9, 8, 6}, {0.7, 0.7, 4});
  const VolumeGeometry part = grid({5, 4, 3}, {0.7, 0.7, 4}, geometry.index_to_patient({2, 1, 1}));
  const auto inside = roi_from_segment(segmentation(part, [](int, int, int) { return true; }), 1, geometry);
  ASSERT_TRUE(inside);
  EXPECT_EQ(inside->voxels(), 60U);
  EXPECT_EQ(inside->mask()[geometry.offset(2, 1, 1)], 1);
  const VolumeGeometry beyond = grid({5, 4, 3}, {0.7, 0.7, 4}, geometry.index_to_patient({7, 1, 4}));
  const auto cut = roi_from_segment(segmentation(beyond, [](int, int, int) { return true; }), 1, geometry);
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->voxels(), 16U);
  EXPECT_NEAR(cut->origin().fraction_outside_image, 1 - 16 / 60.0, 1e-12);
  const VolumeGeometry elsewhere = grid({5, 4, 3}, {0.7, 0.7, 4}, {500, 0, 0});
  EXPECT_EQ(roi_from_segment(segmentation(elsewhere, [](int, int, int) { return true; }), 1, geometry).error().code, ErrorCode::roi_outside_image);
}

TEST(SegmentMatcher, ResamplesAnotherSpacing) {
  const VolumeGeometry geometry = grid({20, 20, 8}, {1, 1, 3});
  const VolumeGeometry fine = grid({40, 40, 24}, {0.5, 0.5, 1}, {-0.25, -0.25, -1});
  const auto roi = roi_from_segment(segmentation(fine, [](int i, int j, int k) { return i >= 10 && i < 20 && j >= 10 && j < 30 && k >= 6 && k < 12; }), 1, geometry);
  ASSERT_TRUE(roi) << to_string(roi.error());
  EXPECT_EQ(roi->voxels(), 5U * 10 * 2);
  EXPECT_EQ(roi->origin().notes.back(), "The segmentation has another pixel spacing or orientation than the image and was resampled.");
  // Same pixels, but frames 2 mm apart on slices 3 mm apart.
  const VolumeGeometry other_step = grid({20, 20, 12}, {1, 1, 2}, {0, 0, -0.5});
  const auto stepped = roi_from_segment(segmentation(other_step, [](int i, int j, int k) { return i < 5 && j < 5 && k < 6; }), 1, geometry);
  ASSERT_TRUE(stepped) << to_string(stepped.error());
  EXPECT_EQ(stepped->voxels(), 5U * 5 * 4);  // -1.5 to 10.5 mm: slices at 0, 3, 6, 9
}

TEST(SegmentMatcher, CountsAFractionOfAHalfAsInsideAndReadsLabels) {
  const VolumeGeometry geometry = grid({4, 1, 1});
  SegmentationObject object = segmentation(geometry, [](int, int, int) { return true; });
  object.segmentation_type = "FRACTIONAL";
  object.frames[0].values = {0.2F, 0.5F, 0.9F, 0};
  const auto fraction = roi_from_segment(object, 1, geometry);
  ASSERT_TRUE(fraction);
  EXPECT_EQ(fraction->mask(), (std::vector<std::uint8_t>{0, 1, 1, 0}));
  EXPECT_EQ(fraction->origin().notes.size(), 1U);
  object.segmentation_type = "LABELMAP";
  object.frames[0].segment_number = 0;
  object.frames[0].values = {0, 1, 2, 1};
  const auto label = roi_from_segment(object, 1, geometry);
  ASSERT_TRUE(label);
  EXPECT_EQ(label->mask(), (std::vector<std::uint8_t>{0, 1, 0, 1}));
}

TEST(SegmentMatcher, RefusesWhatIsNotThere) {
  const VolumeGeometry geometry = grid({9, 8, 6});
  SegmentationObject object = segmentation(geometry, some_voxels);
  EXPECT_EQ(roi_from_segment(object, 2, geometry).error().code, ErrorCode::roi_missing);
  object.frames.clear();
  EXPECT_EQ(roi_from_segment(object, 1, geometry).error().code, ErrorCode::roi_empty);
  object = segmentation(geometry, some_voxels);
  object.frame_of_reference_uid = "1.8";
  EXPECT_EQ(roi_from_segment(object, 1, geometry).error().code, ErrorCode::geometry_mismatch);
}

RegionOfInterest ball(const VolumeGeometry& geometry, Vector3 centre_mm, double radius_mm) {
  std::vector<std::uint8_t> mask(geometry.voxel_count());
  for (int k = 0; k < geometry.size()[2]; ++k)
    for (int j = 0; j < geometry.size()[1]; ++j)
      for (int i = 0; i < geometry.size()[0]; ++i)
        mask[geometry.offset(i, j, k)] = norm(geometry.index_to_patient({static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)}) - centre_mm) <= radius_mm;
  return *RegionOfInterest::make("ball", geometry, std::move(mask), {});
}

TEST(CarryRoi, KeepsAMaskOnTheSameGrid) {
  const VolumeGeometry geometry = grid({30, 30, 12}, {1, 1, 3}, {1, 2, 3}, tilted());
  const RegionOfInterest roi = ball(geometry, geometry.index_to_patient({15, 15, 6}), 9);
  const auto carried = carry_roi(roi, geometry);
  ASSERT_TRUE(carried);
  EXPECT_EQ(carried->mask(), roi.mask());
  EXPECT_TRUE(carried->origin().notes.empty());
}

TEST(CarryRoi, KeepsTheVolumeOnOtherGrids) {
  const VolumeGeometry geometry = grid({60, 60, 24}, {0.8, 0.8, 2.5});
  const Vector3 centre{24, 23, 29};
  const RegionOfInterest roi = ball(geometry, centre, 15);
  for (const auto& [size, spacing, origin, direction] : {std::tuple{Index3{20, 20, 60}, Vector3{2.4, 2.4, 1}, Vector3{0.3, -0.2, 0.4}, straight},
                                                         std::tuple{Index3{100, 100, 100}, Vector3{0.6, 0.6, 0.6}, Vector3{-8, -6, -2}, straight},
                                                         std::tuple{Index3{90, 90, 60}, Vector3{1, 1, 1.7}, Vector3{-10, -40, -10}, tilted()}}) {
    const VolumeGeometry target = grid(size, spacing, origin, direction);
    const auto carried = carry_roi(roi, target);
    ASSERT_TRUE(carried) << to_string(carried.error());
    EXPECT_NEAR(carried->volume_ml(), roi.volume_ml(), 0.03 * roi.volume_ml());
    EXPECT_LT(carried->origin().fraction_outside_image, 1e-12);
    EXPECT_EQ(carried->origin().notes.size(), 1U);
  }
}

TEST(CarryRoi, StatesWhatFallsOutside) {
  const VolumeGeometry geometry = grid({40, 40, 20}, {1, 1, 2});
  const RegionOfInterest roi = ball(geometry, {20, 20, 20}, 10);
  const VolumeGeometry half = grid({40, 20, 40}, {1, 1, 1}, {0, 20.5, 0});
  const auto carried = carry_roi(roi, half);
  ASSERT_TRUE(carried);
  EXPECT_NEAR(carried->origin().fraction_outside_image, 0.5, 0.06);
  EXPECT_EQ(carry_roi(roi, grid({10, 10, 10}, {1, 1, 1}, {100, 100, 100})).error().code, ErrorCode::roi_outside_image);
  EXPECT_EQ(carry_roi(roi, grid({40, 40, 20}, {1, 1, 2}, {0, 0, 0}, straight, "1.8")).error().code, ErrorCode::geometry_mismatch);
  const RegionOfInterest speck = ball(geometry, {20, 20, 20}, 0.5);
  EXPECT_EQ(carry_roi(speck, grid({4, 4, 4}, {10, 10, 10})).error().code, ErrorCode::roi_too_small);
}

}  // namespace
}  // namespace choana::processing
