#include "processing/itk/rigid_registration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "dicom-fixtures/synthetic/npc_phantom.h"

namespace choana::processing {
namespace {

using fixtures::Contrast;
using fixtures::NpcPhantom;

Matrix3 product(const Matrix3& a, const Matrix3& b) {
  Matrix3 c{};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j)
      for (std::size_t k = 0; k < 3; ++k) c[3 * i + j] += a[3 * i + k] * b[3 * k + j];
  return c;
}

// Degrees about x, then y, then z.
Matrix3 turned(double x, double y, double z) {
  const auto radians = [](double degrees) { return degrees * std::numbers::pi / 180; };
  const double cx = std::cos(radians(x)), sx = std::sin(radians(x)), cy = std::cos(radians(y)), sy = std::sin(radians(y)), cz = std::cos(radians(z)), sz = std::sin(radians(z));
  return product({cz, -sz, 0, sz, cz, 0, 0, 0, 1}, product({cy, 0, sy, 0, 1, 0, -sy, 0, cy}, {1, 0, 0, 0, cx, -sx, 0, sx, cx}));
}

VolumeGeometry grid(int columns, int slices, double field_mm, double slab_mm, const Matrix3& direction = {1, 0, 0, 0, 1, 0, 0, 0, 1}) {
  const Vector3 spacing{field_mm / columns, field_mm / columns, slab_mm / slices};
  const auto centred = *VolumeGeometry::make({columns, columns, slices}, spacing, {0, 0, 0}, direction);
  return *VolumeGeometry::make({columns, columns, slices}, spacing, -1.0 * centred.index_to_patient({(columns - 1) / 2.0, (columns - 1) / 2.0, (slices - 1) / 2.0}), direction);
}

// The patient as a scanner sees him after he moved: image(x) = anatomy(motion^-1 x). Painted where the anatomy is, so nothing is interpolated.
SeriesVolume image_of(const NpcPhantom& patient, const VolumeGeometry& geometry, Contrast contrast, std::uint64_t noise, const RigidTransform& motion = {}) {
  const RigidTransform back = motion.inverse();
  const auto seen = VolumeGeometry::make(geometry.size(), geometry.spacing_mm(), back.apply(geometry.origin_mm()), product(back.rotation, geometry.direction()));
  std::vector<float> voxels = patient.paint(*seen, {contrast}).front();
  for (std::size_t n = 0; n < voxels.size(); ++n) voxels[n] = std::abs(voxels[n] + 15 * fixtures::gaussian_noise(noise, n));
  return *SeriesVolume::make(geometry, std::move(voxels), PixelType::float32, {}, {});
}

RegionOfInterest tumour_of(const NpcPhantom& patient, const VolumeGeometry& geometry) {
  std::vector<std::uint8_t> mask(geometry.voxel_count(), 0);
  const Index3& size = geometry.size();
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i)
        mask[geometry.offset(i, j, k)] = patient.tumour_distance_mm(geometry.index_to_patient({static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)})) < 0 ? 1 : 0;
  return *RegionOfInterest::make("GTVp", geometry, std::move(mask), {});
}

// Up to 10 mm and 10 degrees, drawn by number.
RigidTransform motion_of(std::uint64_t number, const NpcPhantom& patient) {
  const auto drawn = [&](std::uint64_t n) { return 2 * fixtures::uniform_number(777 + number, n) - 1; };
  const double degrees = 10 / std::sqrt(3.0), mm = 10 / std::sqrt(3.0);
  return {turned(degrees * drawn(0), degrees * drawn(1), degrees * drawn(2)), patient.tumour_centre_mm(), {mm * drawn(3), mm * drawn(4), mm * drawn(5)}};
}

const VolumeGeometry& reference_grid() {
  static const VolumeGeometry geometry = grid(80, 24, 232, 128);
  return geometry;
}
// Another field of view, other voxels, tilted slices.
const VolumeGeometry& moving_grid() {
  static const VolumeGeometry geometry = grid(72, 27, 220, 130, turned(5.5, 0, 3));
  return geometry;
}

constexpr std::array contrasts{Contrast::t1, Contrast::t1c, Contrast::t1c_fs};

// The truth is the transform that the image was painted with.
TEST(RigidRegistration, RecoversKnownMotionOfTheTumourInTwentyOfTwenty) {
  for (std::uint64_t n = 0; n < 20; ++n) {
    SCOPED_TRACE(n);
    const NpcPhantom patient({100 + n, 25, 0.5});
    const RigidTransform motion = motion_of(n, patient);
    const RegionOfInterest tumour = tumour_of(patient, reference_grid());
    const auto found = register_rigidly(image_of(patient, reference_grid(), Contrast::t2, 1), image_of(patient, moving_grid(), contrasts[n % 3], 2, motion), &tumour, {});
    ASSERT_TRUE(found) << found.error().message;
    const Vector3 centre = patient.tumour_centre_mm();
    EXPECT_LT(norm(found->reference_to_moving.apply(centre) - motion.apply(centre)), 0.5);
    EXPECT_LT((RigidTransform{product(found->reference_to_moving.rotation, motion.inverse().rotation), {}, {}}.rotation_deg()), 0.5);
    EXPECT_GT(found->information_after, found->information_before);
    EXPECT_TRUE(found->converged);
    const auto refusal = refusal_of(*found, {});
    EXPECT_FALSE(refusal) << refusal->message;
  }
}

TEST(RigidRegistration, RefusesAnotherPatientWhateverTheContrast) {
  for (std::uint64_t n = 0; n < 6; ++n) {
    SCOPED_TRACE(n);
    const NpcPhantom patient({100 + n, 25, 0.5}), other({5000 + n, 25, 0.5});
    const RegionOfInterest tumour = tumour_of(patient, reference_grid());
    const auto found = register_rigidly(image_of(patient, reference_grid(), Contrast::t2, 1), image_of(other, moving_grid(), contrasts[n % 3], 2), &tumour, {});
    ASSERT_TRUE(found);
    const auto refusal = refusal_of(*found, {});
    ASSERT_TRUE(refusal) << "agreement " << found->agreement;
    EXPECT_EQ(refusal->code, ErrorCode::geometry_mismatch);
  }
}

TEST(RigidRegistration, RefusesWhatIsNoHead) {
  const NpcPhantom patient({3, 25, 0.5});
  std::vector<float> voxels(moving_grid().voxel_count());
  for (std::size_t n = 0; n < voxels.size(); ++n) voxels[n] = 500 + 100 * fixtures::gaussian_noise(9, n);
  const auto noise = SeriesVolume::make(moving_grid(), std::move(voxels), PixelType::float32, {}, {});
  const auto found = register_rigidly(image_of(patient, reference_grid(), Contrast::t2, 1), *noise, nullptr, {});
  ASSERT_TRUE(found);
  EXPECT_TRUE(refusal_of(*found, {}));
}

TEST(RigidRegistration, LeavesAlignedSeriesWhereTheyAre) {
  const NpcPhantom patient({8, 25, 0.5});
  const SeriesVolume image = image_of(patient, reference_grid(), Contrast::t2, 1);
  const auto itself = register_rigidly(image, image, nullptr, {});
  ASSERT_TRUE(itself);
  EXPECT_LT(itself->translation_mm, 0.05);
  EXPECT_LT(itself->rotation_deg, 0.05);
  EXPECT_DOUBLE_EQ(itself->overlap, 1);
  EXPECT_GT(itself->agreement, 0.95);
  EXPECT_FALSE(refusal_of(*itself, {}));
  const auto contrast = register_rigidly(image, image_of(patient, reference_grid(), Contrast::t1, 2), nullptr, {});
  ASSERT_TRUE(contrast);
  EXPECT_LT(contrast->translation_mm, 0.5);
  EXPECT_LT(contrast->rotation_deg, 0.5);
}

TEST(RigidRegistration, FindsAPatientOnAnotherTable) {
  // Frames of reference of two sessions have nothing to do with one another: 300 mm apart, the centres lead there.
  const NpcPhantom patient({12, 25, 0.5});
  const RigidTransform table{turned(3, -2, 4), {0, 0, 0}, {12, -40, 300}};
  const auto& g = moving_grid();
  const auto far = VolumeGeometry::make(g.size(), g.spacing_mm(), g.origin_mm() + table.translation_mm, g.direction());
  const RegionOfInterest tumour = tumour_of(patient, reference_grid());
  RegistrationSettings settings;
  const auto found = register_rigidly(image_of(patient, reference_grid(), Contrast::t2, 1), image_of(patient, *far, Contrast::t1, 2, table), &tumour, settings);
  ASSERT_TRUE(found);
  EXPECT_LT(norm(found->reference_to_moving.apply(patient.tumour_centre_mm()) - table.apply(patient.tumour_centre_mm())), 0.5);
  EXPECT_EQ(found->information_before, 0);
  // Used only where the package allows for such a table.
  EXPECT_TRUE(refusal_of(*found, settings));
  settings.translation_max_mm = 400;
  EXPECT_FALSE(refusal_of(*found, settings));
}

TEST(RigidRegistration, GivesTheSameBitsAtEveryCall) {
  const NpcPhantom patient({21, 25, 0.5});
  const SeriesVolume reference = image_of(patient, reference_grid(), Contrast::t2, 1), moving = image_of(patient, moving_grid(), Contrast::t1c, 2, motion_of(3, patient));
  const auto one = register_rigidly(reference, moving, nullptr, {}), two = register_rigidly(reference, moving, nullptr, {});
  ASSERT_TRUE(one && two);
  EXPECT_EQ(registration_record(*one), registration_record(*two));
}

TEST(RigidRegistration, RefusesARegionThatTheOtherSeriesDoesNotShow) {
  const NpcPhantom patient({5, 25, 0.5});
  const RegionOfInterest tumour = tumour_of(patient, reference_grid());
  const auto& g = moving_grid();
  // The upper half of the head alone: the tumour lies below.
  const auto upper = VolumeGeometry::make({g.size()[0], g.size()[1], 13}, g.spacing_mm(), g.index_to_patient({0, 0, 14}), g.direction());
  const auto found = register_rigidly(image_of(patient, reference_grid(), Contrast::t2, 1), image_of(patient, *upper, Contrast::t1, 2), &tumour, {});
  ASSERT_TRUE(found);
  EXPECT_LT(found->focus_overlap, 0.95);
  const auto refusal = refusal_of(*found, {});
  ASSERT_TRUE(refusal);
  EXPECT_NE(refusal->message.find("of the region and its surroundings"), std::string::npos) << refusal->message;
}

TEST(RigidRegistration, RefusesDegenerateInput) {
  const NpcPhantom patient({5, 25, 0.5});
  const SeriesVolume image = image_of(patient, reference_grid(), Contrast::t2, 1);
  const auto flat = SeriesVolume::make(reference_grid(), std::vector<float>(reference_grid().voxel_count(), 7), PixelType::float32, {}, {});
  EXPECT_EQ(register_rigidly(image, *flat, nullptr, {}).error().code, ErrorCode::degenerate_input);
  EXPECT_EQ(register_rigidly(*flat, image, nullptr, {}).error().code, ErrorCode::degenerate_input);
  const VolumeGeometry two_slices = grid(32, 2, 232, 12);
  EXPECT_EQ(register_rigidly(image, image_of(patient, two_slices, Contrast::t1, 1), nullptr, {}).error().code, ErrorCode::degenerate_input);
  EXPECT_EQ(register_rigidly(image, SeriesVolume{}, nullptr, {}).error().code, ErrorCode::invalid_argument);
  const RegionOfInterest elsewhere = tumour_of(patient, moving_grid());
  EXPECT_EQ(register_rigidly(image, image, &elsewhere, {}).error().code, ErrorCode::invalid_argument);
  RegistrationSettings settings;
  settings.smoothing_mm = {};
  EXPECT_EQ(register_rigidly(image, image, nullptr, settings).error().code, ErrorCode::invalid_argument);
}

TEST(RigidTransform, IsUndoneByItsInverse) {
  const RigidTransform t{turned(10, -20, 30), {4, 5, 6}, {1, -2, 3}};
  const Vector3 point{-7, 11, 40};
  EXPECT_LT(norm(t.inverse().apply(t.apply(point)) - point), 1e-12);
  EXPECT_NEAR((RigidTransform{turned(0, 0, 12), {}, {}}.rotation_deg()), 12, 1e-12);
  EXPECT_NEAR((RigidTransform{turned(1e-5, 0, 0), {}, {}}.rotation_deg()), 1e-5, 1e-15);
}

}  // namespace
}  // namespace choana::processing
