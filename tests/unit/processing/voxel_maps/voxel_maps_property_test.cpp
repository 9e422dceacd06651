// Properties of voxel maps on seeded random cases. The first is what they are: the features of the region that is the kernel, discretised like the whole.

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>

#include "core/task_pool.h"
#include "processing/preprocessing/discretiser.h"
#include "processing/radiomics/families/first_order.h"
#include "processing/radiomics/families/glcm.h"
#include "processing/radiomics/families/gldm.h"
#include "processing/radiomics/families/glrlm.h"
#include "processing/radiomics/families/glszm.h"
#include "processing/radiomics/families/ngtdm.h"
#include "processing/radiomics/matrices/cooccurrence.h"
#include "processing/radiomics/matrices/dependence.h"
#include "processing/radiomics/matrices/neighbouring_tone_difference.h"
#include "processing/radiomics/matrices/run_length.h"
#include "processing/radiomics/matrices/size_zone.h"
#include "processing/radiomics/voxel/second_eigenvalue.h"
#include "processing/radiomics/voxel_maps.h"
#include "tests/support/volumes.h"

namespace choana::processing {
namespace {

ExtractionProfile profile_of(const std::string& yaml) {
  auto profile = parse_profile(yaml, "test");
  if (!profile) throw std::runtime_error(to_string(profile.error()));
  return *profile;
}

using Maps = std::map<std::string, ScalarVolume>;

Maps maps_of(const test::RandomCase& one, const ExtractionProfile& profile, TaskPool* pool = nullptr, const VoxelMapLimits& limits = {}) {
  Maps maps;
  const auto summary = extract_voxel_maps(one.image, one.mask, 1, profile, [&](VoxelMap&& map) -> Status {
    maps.emplace(map.id.str(), std::move(map.volume));
    return {};
  }, pool, {}, limits);
  if (!summary) throw std::runtime_error(to_string(summary.error()));
  return maps;
}

/// Features of the visible voxels of the box around a voxel, by the general formulas.
std::map<std::string, double> features_of_kernel(const test::RandomCase& one, const ExtractionProfile& profile, const std::vector<int>& levels_of_all, const Index3& centre) {
  const ExtractionSettings& settings = profile.settings;
  const int flat_axis = settings.force_2d ? 2 - settings.force_2d_dimension : -1;
  Index3 lower{};
  Index3 size{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const int radius = static_cast<int>(axis) == flat_axis ? 0 : profile.voxel.kernel_radius_voxels;
    lower[axis] = std::max(0, centre[axis] - radius);
    size[axis] = std::min(one.image.geometry.size()[axis], centre[axis] + radius + 1) - lower[axis];
  }
  std::vector<std::uint8_t> inside;
  Discretisation discretisation;
  IntensitySample sample;
  sample.voxel_volume_mm3 = one.image.geometry.voxel_volume_mm3();
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        const std::size_t at = one.image.geometry.offset(lower[0] + i, lower[1] + j, lower[2] + k);
        inside.push_back(one.mask.labels[at] != 0 ? 1 : 0);
        if (inside.back() == 0) continue;
        sample.values.push_back(one.image.voxels[at]);
        discretisation.levels.push_back(levels_of_all[at]);
      }
  discretisation.present = discretisation.levels;
  std::sort(discretisation.present.begin(), discretisation.present.end());
  discretisation.present.erase(std::unique(discretisation.present.begin(), discretisation.present.end()), discretisation.present.end());
  discretisation.highest = *std::max_element(levels_of_all.begin(), levels_of_all.end());
  for (const int level : discretisation.present)
    sample.level_counts.push_back(static_cast<std::size_t>(std::count(discretisation.levels.begin(), discretisation.levels.end(), level)));
  const LevelVolume volume = make_level_volume(size, inside, discretisation, one.image.geometry.spacing_mm(), *std::max_element(settings.distances_voxels.begin(), settings.distances_voxels.end()));
  std::map<std::string, double> features;
  const auto add = [&](const std::string& family, const std::vector<NamedValue>& values) {
    for (const NamedValue& value : values)
      features["original_" + family + "_" + std::string(value.name)] = std::holds_alternative<double>(value.value) ? std::get<double>(value.value) : not_a_number;
  };
  add("firstorder", first_order_features(sample, {}));
  add("glcm", glcm_features(count_cooccurrences(volume, settings.distances_voxels, flat_axis, settings.symmetrical_glcm, settings.weighting_norm), {}));
  add("gldm", gldm_features(count_dependences(volume, settings.distances_voxels, flat_axis, settings.gldm_alpha), {}));
  add("glrlm", glrlm_features(count_runs(volume, flat_axis, settings.weighting_norm), {}));
  add("glszm", glszm_features(count_zones(volume, flat_axis), {}));
  add("ngtdm", ngtdm_features(sum_tone_differences(volume, settings.distances_voxels, flat_axis), {}));
  // One level in the kernel, several in the region.
  if (discretisation.present.size() == 1) features["original_glcm_MCC"] = 0;
  return features;
}

TEST(VoxelMapProperties, AMapHoldsTheFeatureOfTheKernelAroundEachVoxel) {
  const std::vector<std::string> settings{
      "setting: {binWidth: 25}\n",
      "setting: {binWidth: 3}\n",
      "setting: {binWidth: 40, distances: [1, 2], gldm_a: 1}\nvoxelSetting: {kernelRadius: 2}\n",
      "setting: {binWidth: 20, symmetricalGLCM: false}\n",
      "setting: {binWidth: 20, force2D: true}\nvoxelSetting: {kernelRadius: 2}\n",
      "setting: {binWidth: 20, weightingNorm: euclidean}\n",
  };
  for (std::uint32_t seed = 1; seed <= 4; ++seed)
    for (const std::string& yaml : settings) {
      const test::RandomCase one = test::random_case(seed, {8, 7, 6});
      const ExtractionProfile profile = profile_of(yaml);
      const Maps maps = maps_of(one, profile);
      std::vector<double> inside;
      for (std::size_t at = 0; at < one.image.voxels.size(); ++at)
        if (one.mask.labels[at] != 0) inside.push_back(one.image.voxels[at]);
      const auto discretised = discretise_by_width(inside, profile.settings.bin_width);
      std::vector<int> levels(one.image.voxels.size(), 0);
      std::size_t next = 0;
      for (std::size_t at = 0; at < levels.size(); ++at)
        if (one.mask.labels[at] != 0) levels[at] = discretised->levels[next++];
      const VolumeGeometry& grid = maps.begin()->second.geometry;
      const Vector3 corner = one.image.geometry.patient_to_index(grid.origin_mm());
      const Index3 lower{static_cast<int>(std::lround(corner[0])), static_cast<int>(std::lround(corner[1])), static_cast<int>(std::lround(corner[2]))};
      for (int k = 0; k < grid.size()[2]; ++k)
        for (int j = 0; j < grid.size()[1]; ++j)
          for (int i = 0; i < grid.size()[0]; ++i) {
            const Index3 centre{lower[0] + i, lower[1] + j, lower[2] + k};
            if (one.mask.labels[one.mask.geometry.offset(centre[0], centre[1], centre[2])] == 0) continue;
            for (const auto& [name, expected] : features_of_kernel(one, profile, levels, centre)) {
              const double value = maps.at(name).voxels[grid.offset(i, j, k)];
              // What PyRadiomics makes of directions without pairs belongs to the maps alone.
              if (name == "original_glcm_JointAverage" && std::isnan(value)) continue;
              if (name == "original_glcm_MCC" && value == 0) continue;
              // A direction all of whose pairs start at one level has correlation 1 or 0 as rounding decides; maps follow PyRadiomics' rounding.
              if (name == "original_glcm_Correlation" && !profile.settings.symmetrical_glcm) continue;
              const double tolerance = name == "original_glcm_MCC" || name == "original_glcm_Imc1" || name == "original_glcm_Imc2" ? 1e-7 : 1e-9;
              if (std::isnan(expected)) EXPECT_TRUE(std::isnan(value)) << name;
              else ASSERT_NEAR(value, expected, tolerance * (1 + std::abs(expected))) << name << " seed " << seed << " " << yaml << " at " << i << " " << j << " " << k;
            }
          }
    }
}

bool same_bits(const Maps& a, const Maps& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, map] : a) {
    const std::vector<double>& other = b.at(name).voxels;
    for (std::size_t at = 0; at < map.voxels.size(); ++at)
      if (map.voxels[at] != other[at] && !(std::isnan(map.voxels[at]) && std::isnan(other[at]))) return false;
  }
  return true;
}

TEST(VoxelMapProperties, GiveTheSameBitsAtAnyNumberOfThreadsAndWithAnyMemory) {
  for (std::uint32_t seed = 11; seed <= 14; ++seed) {
    const test::RandomCase one = test::random_case(seed, {14, 12, 9});
    const ExtractionProfile profile = profile_of("setting: {binWidth: 20}\nimageType: {Original: {}, Square: {}}\n");
    const Maps serial = maps_of(one, profile);
    TaskPool pool(3);
    EXPECT_TRUE(same_bits(serial, maps_of(one, profile, &pool))) << "seed " << seed;
    EXPECT_TRUE(same_bits(serial, maps_of(one, profile, &pool, VoxelMapLimits{20000}))) << "a few features at a time, seed " << seed;
    EXPECT_TRUE(same_bits(serial, maps_of(one, profile, nullptr, VoxelMapLimits{1}))) << "one feature at a time, seed " << seed;
  }
}

TEST(VoxelMapProperties, DoNotSeeWhatLiesBeyondAMaskedKernel) {
  for (std::uint32_t seed = 21; seed <= 24; ++seed) {
    test::RandomCase one = test::random_case(seed, {10, 9, 8});
    const ExtractionProfile profile = profile_of("setting: {binWidth: 20}\n");
    const Maps before = maps_of(one, profile);
    for (std::size_t at = 0; at < one.image.voxels.size(); ++at)
      if (one.mask.labels[at] == 0) one.image.voxels[at] = -1000 + static_cast<double>(at % 13);
    EXPECT_TRUE(same_bits(before, maps_of(one, profile))) << "seed " << seed;
  }
}

TEST(VoxelMapProperties, DoNotDependOnTheBatchButForWhatItLeavesOut) {
  // A full cube: each of its voxels has pairs in every direction, so that batches leave nothing out.
  test::RandomCase one = test::random_case(31, {7, 7, 7});
  for (auto& label : one.mask.labels) label = 1;
  const Maps whole = maps_of(one, profile_of("setting: {binWidth: 20}\n"));
  EXPECT_TRUE(same_bits(whole, maps_of(one, profile_of("setting: {binWidth: 20}\nvoxelSetting: {voxelBatch: 10}\n"))));
}

TEST(SmallEigenvalues, AreThoseOfEigen) {
  std::mt19937 random(41);
  for (int repeat = 0; repeat < 2000; ++repeat) {
    const auto n = static_cast<std::size_t>(1 + repeat % 30);
    Eigen::MatrixXd a = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(n), static_cast<Eigen::Index>(n));
    // Sparse whole numbers make eigenvalues that coincide, as the tables of kernels do.
    for (Eigen::Index i = 0; i < a.rows(); ++i)
      for (Eigen::Index j = 0; j <= i; ++j)
        if (random() % 3 == 0) a(i, j) = a(j, i) = (static_cast<double>(random() % 7) - 3) / 7;
    if (repeat % 5 == 0) a += Eigen::MatrixXd::Identity(a.rows(), a.cols()) * 0.5;
    std::vector<double> matrix(a.data(), a.data() + a.size());
    std::vector<double> scratch(2 * n);
    const double expected = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(a, Eigen::EigenvaluesOnly).eigenvalues().cwiseAbs().maxCoeff();
    EXPECT_NEAR(largest_magnitude_eigenvalue(matrix, n, scratch), expected, 2e-8) << "repeat " << repeat << " of " << n << " rows";
  }
}

}  // namespace
}  // namespace choana::processing
