#include "processing/perturbation/region_perturbation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>
#include <random>

namespace choana::processing {
namespace {

struct Grid {
  const char* name;
  Index3 size;
  Vector3 spacing_mm;
};

const Grid grids[] = {{"isotropic, 1 mm", {48, 48, 48}, {1, 1, 1}}, {"fine in plane", {80, 80, 24}, {0.5, 0.5, 2}}, {"thick slices", {70, 70, 10}, {0.6, 0.6, 5}}};

Matrix3 oblique() {
  // 20 degrees about i, then 10 about k.
  const double a = 20 * std::numbers::pi / 180, b = 10 * std::numbers::pi / 180;
  return {std::cos(b), -std::sin(b) * std::cos(a), std::sin(b) * std::sin(a), std::sin(b), std::cos(b) * std::cos(a), -std::cos(b) * std::sin(a), 0, std::sin(a), std::cos(a)};
}

VolumeGeometry geometry(const Grid& grid) { return VolumeGeometry::make(grid.size, grid.spacing_mm, {-40, 12, 100}, oblique()).value(); }

Vector3 middle(const VolumeGeometry& grid) {
  return grid.index_to_patient({(grid.size()[0] - 1) / 2.0 + 0.2, (grid.size()[1] - 1) / 2.0 - 0.1, (grid.size()[2] - 1) / 2.0 + 0.15});
}

RegionOfInterest region_where(const VolumeGeometry& grid, const std::function<bool(const Vector3&)>& inside) {
  std::vector<std::uint8_t> mask;
  for (int k = 0; k < grid.size()[2]; ++k)
    for (int j = 0; j < grid.size()[1]; ++j)
      for (int i = 0; i < grid.size()[0]; ++i)
        mask.push_back(inside(grid.index_to_patient({static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)})) ? 1 : 0);
  return RegionOfInterest::make("GTVp", grid, std::move(mask), {}).value();
}

RegionOfInterest sphere(const VolumeGeometry& grid, double radius_mm) {
  return region_where(grid, [&, centre = middle(grid)](const Vector3& p) { return norm(p - centre) < radius_mm; });
}

Vector3 centroid_mm(const RegionOfInterest& region) {
  Vector3 sum{};
  const VolumeGeometry& grid = region.geometry();
  for (int k = 0; k < grid.size()[2]; ++k)
    for (int j = 0; j < grid.size()[1]; ++j)
      for (int i = 0; i < grid.size()[0]; ++i)
        if (region.mask()[grid.offset(i, j, k)] != 0) sum = sum + grid.index_to_patient({static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)});
  return (1.0 / static_cast<double>(region.voxels())) * sum;
}

std::size_t differing(const RegionOfInterest& a, const RegionOfInterest& b) {
  std::size_t count = 0;
  for (std::size_t n = 0; n < a.mask().size(); ++n) count += a.mask()[n] != b.mask()[n] ? 1 : 0;
  return count;
}

/// A rugged region: blobs, a hole, single voxels.
RegionOfInterest rugged(const VolumeGeometry& grid, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> share(0, 1);
  return region_where(grid, [&, centre = middle(grid)](const Vector3& p) { return norm(p - centre) < 9 + 3 * share(random) && norm(p - centre) > 2; });
}

TEST(RegionPerturbation, OfNothingLeavesTheMaskAsItIs) {
  for (const Grid& one : grids)
    for (unsigned seed = 1; seed < 4; ++seed) {
      SCOPED_TRACE(testing::Message() << one.name << ", seed " << seed);
      const RegionOfInterest region = rugged(geometry(one), seed);
      const PerturbableRegion perturbable(region);
      EXPECT_EQ(perturbable.perturbed({}).value().mask(), region.mask());
      Perturbation round;
      round.axis = {0.6, 0, 0.8};
      for (const double angle : {0.0, 360.0, -720.0}) {
        round.angle_deg = angle;
        EXPECT_EQ(perturbable.perturbed(round).value().mask(), region.mask()) << angle;
      }
    }
}

TEST(RegionPerturbation, MovesByWholeVoxelsExactly) {
  for (const Grid& one : grids) {
    SCOPED_TRACE(one.name);
    const VolumeGeometry grid = geometry(one);
    const RegionOfInterest region = rugged(grid, 7);
    Perturbation how;
    how.translation_mm = grid.index_to_patient({3, -2, 1}) - grid.index_to_patient({0, 0, 0});
    const RegionOfInterest moved = PerturbableRegion(region).perturbed(how).value();
    EXPECT_EQ(moved.voxels(), region.voxels());
    bool same = true;
    for (int k = 1; k < grid.size()[2]; ++k)
      for (int j = 0; j + 2 < grid.size()[1]; ++j)
        for (int i = 3; i < grid.size()[0]; ++i) same = same && moved.mask()[grid.offset(i, j, k)] == region.mask()[grid.offset(i - 3, j + 2, k - 1)];
    EXPECT_TRUE(same);
  }
}

TEST(RegionPerturbation, MovesByFractionsOfAVoxel) {
  for (const Grid& one : grids) {
    SCOPED_TRACE(one.name);
    const VolumeGeometry grid = geometry(one);
    const RegionOfInterest region = sphere(grid, 12);
    Perturbation how;
    how.translation_mm = grid.index_to_patient({0.35, -0.4, 0.3}) - grid.index_to_patient({0, 0, 0});
    const RegionOfInterest moved = PerturbableRegion(region).perturbed(how).value();
    const Vector3 motion = grid.patient_to_index(centroid_mm(moved)) - grid.patient_to_index(centroid_mm(region));
    EXPECT_NEAR(motion[0], 0.35, 0.1);
    EXPECT_NEAR(motion[1], -0.4, 0.1);
    // The caps of a sphere of few slices jump from slice to slice: only the sign is sure.
    EXPECT_NEAR(motion[2], 0.3, one.spacing_mm[2] > 1 ? 0.28 : 0.1);
    EXPECT_NEAR(moved.volume_ml() / region.volume_ml(), 1, 0.04);
  }
}

TEST(RegionPerturbation, GrowsASphereByTheShellThatItShould) {
  for (const Grid& one : grids) {
    const VolumeGeometry grid = geometry(one);
    const RegionOfInterest region = sphere(grid, 14);
    const PerturbableRegion perturbable(region);
    const double radius = std::cbrt(3000 * region.volume_ml() / (4 * std::numbers::pi));
    for (const double growth : {-2.0, -1.0, -0.5, 0.5, 1.0, 2.0}) {
      SCOPED_TRACE(testing::Message() << one.name << ", " << growth << " mm");
      Perturbation how;
      how.growth_mm = growth;
      const double expected_ml = 4 * std::numbers::pi / 3000 * (std::pow(radius + growth, 3) - std::pow(radius, 3));
      const double change_ml = perturbable.perturbed(how).value().volume_ml() - region.volume_ml();
      EXPECT_NEAR(change_ml / expected_ml, 1, one.spacing_mm[2] > 4 ? 0.35 : 0.25);
    }
  }
}

TEST(RegionPerturbation, GrowsMonotonically) {
  const RegionOfInterest region = rugged(geometry(grids[0]), 3);
  const PerturbableRegion perturbable(region);
  std::vector<std::uint8_t> before(region.mask().size(), 0);
  for (double growth = -1.5; growth <= 2.9; growth += 0.1) {
    Perturbation how;
    how.growth_mm = growth;
    const auto grown = perturbable.perturbed(how);
    if (!grown) continue;
    for (std::size_t n = 0; n < before.size(); ++n) ASSERT_LE(before[n], grown->mask()[n]) << growth;
    before = grown->mask();
  }
}

TEST(RegionPerturbation, KnowsTheDistanceOfASlantedPlane) {
  // Half-spaces in random directions; the true distance is known. Source: the definition.
  std::mt19937 random(11);
  std::normal_distribution<double> normal;
  for (const Grid& one : grids) {
    const VolumeGeometry grid = geometry(one);
    double squares = 0, worst = 0;
    std::size_t count = 0;
    for (int plane = 0; plane < 6; ++plane) {
      Vector3 n{normal(random), normal(random), normal(random)};
      n = (1 / norm(n)) * n;
      const Vector3 centre = middle(grid);
      const RegionOfInterest region = region_where(grid, [&](const Vector3& p) { return dot(n, p - centre) > 0; });
      const PerturbableRegion perturbable(region);
      // In units of the smallest distance between planes of voxels that the grid has along n.
      double voxel = 0;
      for (int axis = 0; axis < 3; ++axis) voxel += std::pow(dot(n, grid.axis(axis)) * one.spacing_mm[static_cast<std::size_t>(axis)], 2);
      voxel = std::sqrt(voxel);
      for (int probe = 0; probe < 300; ++probe) {
        Vector3 index{};
        for (std::size_t axis = 0; axis < 3; ++axis) index[axis] = grid.size()[axis] * (0.3 + 0.4 * static_cast<double>(random()) / static_cast<double>(std::mt19937::max()));
        const double truth = dot(n, grid.index_to_patient(index) - centre);
        if (std::abs(truth) > 2 * voxel) continue;
        const double error = (perturbable.distance_mm(index) - truth) / voxel;
        squares += error * error;
        worst = std::max(worst, std::abs(error));
        ++count;
      }
    }
    ASSERT_GT(count, 100U);
    RecordProperty(std::string("rms_of_a_voxel_") + one.name[0], std::to_string(std::sqrt(squares / static_cast<double>(count))));
    // Of a plane that runs almost along the voxels, the mask tells no more than which voxels it lies between: half a voxel either way.
    EXPECT_LT(std::sqrt(squares / static_cast<double>(count)), one.spacing_mm[2] > one.spacing_mm[0] ? 0.45 : 0.15) << one.name;
    EXPECT_LT(worst, one.spacing_mm[2] > one.spacing_mm[0] ? 2 : 0.7) << one.name;
  }
}

TEST(RegionPerturbation, TurnsAboutTheCentreOfMass) {
  const VolumeGeometry grid = geometry(grids[0]);
  const Vector3 centre = middle(grid);
  const auto ellipsoid = [&](const Vector3& along) {
    return region_where(grid, [&](const Vector3& p) {
      const double a = dot(p - centre, along), b = dot(p - centre, p - centre) - a * a;
      return a * a / (16 * 16) + b / (9 * 9) < 1;
    });
  };
  const RegionOfInterest lying = ellipsoid({1, 0, 0});
  const PerturbableRegion perturbable(lying);
  for (const double angle : {3.0, -12.0, 90.0}) {
    SCOPED_TRACE(angle);
    Perturbation how;
    how.angle_deg = angle;  // about the patient's z
    const RegionOfInterest turned = perturbable.perturbed(how).value();
    const double rad = angle * std::numbers::pi / 180;
    const RegionOfInterest expected = ellipsoid({std::cos(rad), std::sin(rad), 0});
    EXPECT_LT(differing(turned, expected), 0.06 * static_cast<double>(expected.voxels()));
    EXPECT_LT(differing(turned, expected), differing(lying, expected) / 2 + 20);
    const Vector3 motion = centroid_mm(turned) - centroid_mm(lying);
    EXPECT_LT(norm(motion), 0.15);
    EXPECT_NEAR(turned.volume_ml() / lying.volume_ml(), 1, 0.02);
  }
}

TEST(RegionPerturbation, KeepsTheVolumeInTheMean) {
  for (const Grid& one : grids) {
    SCOPED_TRACE(one.name);
    const VolumeGeometry grid = geometry(one);
    const Vector3 centre = middle(grid);
    const RegionOfInterest region = region_where(grid, [&](const Vector3& p) { return norm(p - centre) < 13 + 2 * std::sin(3 * std::atan2(p[1] - centre[1], p[0] - centre[0])); });
    const PerturbableRegion perturbable(region);
    double rigid = 0, all = 0;
    constexpr int draws = 24;
    for (int n = 0; n < draws; ++n) {
      rigid += perturbable.perturbed(draw_perturbation({0.5, 2, 0}, 1, "primary", static_cast<std::uint64_t>(n))).value().volume_ml() / region.volume_ml() / draws;
      all += perturbable.perturbed(draw_perturbation({0.5, 2, 0.5}, 1, "primary", static_cast<std::uint64_t>(n))).value().volume_ml() / region.volume_ml() / draws;
    }
    EXPECT_NEAR(rigid, 1, 0.01);
    EXPECT_NEAR(all, 1, 0.06) << "24 draws of growth have a mean of their own";
  }
}

TEST(RegionPerturbation, TakesARegionAtTheEdgeOfTheImageToGoOn) {
  const VolumeGeometry grid = geometry(grids[0]);
  const RegionOfInterest region = region_where(grid, [&](const Vector3& p) { return grid.patient_to_index(p)[0] < 20; });
  Perturbation how;
  how.growth_mm = -2;
  const RegionOfInterest shrunk = PerturbableRegion(region).perturbed(how).value();
  EXPECT_NEAR(static_cast<double>(shrunk.voxels()) / (18 * 48 * 48), 1, 0.005) << "it shrinks from its one drawn side alone";
}

TEST(RegionPerturbation, SaysWhenNothingIsLeft) {
  const RegionOfInterest region = sphere(geometry(grids[0]), 2);
  Perturbation how;
  how.growth_mm = -8;
  const auto gone = PerturbableRegion(region).perturbed(how);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::roi_too_small);
  how.growth_mm = 0;
  how.translation_mm = {1e6, 0, 0};
  EXPECT_EQ(PerturbableRegion(region).perturbed(how).error().code, ErrorCode::roi_too_small);
}

TEST(RegionPerturbation, DrawsTheSameNumbersAlways) {
  const PerturbationAmplitude amplitude;
  const Perturbation one = draw_perturbation(amplitude, 1, "primary", 4);
  EXPECT_EQ(one, draw_perturbation(amplitude, 1, "primary", 4));
  EXPECT_NE(one, draw_perturbation(amplitude, 1, "primary", 5));
  EXPECT_NE(one, draw_perturbation(amplitude, 2, "primary", 4));
  EXPECT_NE(one, draw_perturbation(amplitude, 1, "node", 4));
  // self: bits that results of the past depend on.
  EXPECT_NEAR(one.translation_mm[0], -0.13235875671399627, 1e-12);
  EXPECT_NEAR(one.growth_mm, -0.7981002899162184, 1e-12);
}

TEST(RegionPerturbation, DrawsNormalDeviatesCutOffAtThree) {
  const PerturbationAmplitude amplitude{0.5, 2, 0.25};
  double sum = 0, squares = 0, shift_squares = 0, angle_squares = 0;
  Vector3 axes{};
  constexpr int draws = 4000;
  for (int n = 0; n < draws; ++n) {
    const Perturbation how = draw_perturbation(amplitude, 3, "primary", static_cast<std::uint64_t>(n));
    sum += how.growth_mm;
    squares += how.growth_mm * how.growth_mm;
    shift_squares += dot(how.translation_mm, how.translation_mm) / 3;
    angle_squares += how.angle_deg * how.angle_deg;
    axes = axes + how.axis;
    EXPECT_LE(std::abs(how.growth_mm), 0.75 + 1e-12);
    EXPECT_LE(std::abs(how.angle_deg), 6 + 1e-12);
    EXPECT_NEAR(norm(how.axis), 1, 1e-12);
  }
  // The standard deviation of a normal distribution cut off at 3 is 0.98658 of it (Johnson, Kotz and Balakrishnan 1994, 13.10).
  constexpr double narrower = 0.98658;
  EXPECT_NEAR(sum / draws, 0, 4 * 0.25 / std::sqrt(draws));
  EXPECT_NEAR(std::sqrt(squares / draws) / 0.25, narrower, 0.04);
  EXPECT_NEAR(std::sqrt(shift_squares / draws) / 0.5, narrower, 0.03);
  EXPECT_NEAR(std::sqrt(angle_squares / draws) / 2, narrower, 0.04);
  EXPECT_LT(norm(axes) / draws, 4 / std::sqrt(draws));
}

}  // namespace
}  // namespace choana::processing
