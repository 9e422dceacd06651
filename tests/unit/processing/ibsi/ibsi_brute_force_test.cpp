// Texture and spatial features beside a second, plain implementation of the definitions in the reference manual: nested loops over voxels, no shared code.

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "processing/radiomics/ibsi/ibsi_extractor.h"
#include "processing/radiomics/ibsi/spatial_autocorrelation.h"
#include "tests/support/volumes.h"

namespace choana::processing::ibsi {
namespace {

struct Plain {
  Index3 size{};
  std::vector<int> levels;   // 0 outside

  [[nodiscard]] int at(int i, int j, int k) const {
    if (i < 0 || j < 0 || k < 0 || i >= size[0] || j >= size[1] || k >= size[2]) return 0;
    return levels[static_cast<std::size_t>((k * size[1] + j) * size[0] + i)];
  }
  template <typename F>
  void each(F&& f) const {
    for (int k = 0; k < size[2]; ++k)
      for (int j = 0; j < size[1]; ++j)
        for (int i = 0; i < size[0]; ++i)
          if (at(i, j, k) > 0) f(i, j, k, at(i, j, k));
  }
  template <typename F>
  static void neighbours(F&& f) {
    for (int k = -1; k <= 1; ++k)
      for (int j = -1; j <= 1; ++j)
        for (int i = -1; i <= 1; ++i)
          if (i != 0 || j != 0 || k != 0) f(i, j, k);
  }
};

struct Case {
  Plain plain;
  std::map<std::string, double> values;
};

Case random_levels(std::uint32_t seed) {
  auto one = test::random_case(seed, {10, 9, 7}, PixelType::float64);
  for (double& value : one.image.voxels) value = std::floor(value / 45) + 1;
  IbsiProfile profile;
  profile.families = ibsi_family_names();
  profile.aggregations = aggregation_names();
  const auto result = extract_ibsi_features(one.image, one.mask, 1, profile);
  Case done;
  EXPECT_TRUE(result.has_value());
  if (result)
    for (const IbsiFeatureValue& feature : result->features)
      if (feature.computed()) done.values[feature.name()] = feature.number();
  done.plain.size = one.image.geometry.size();
  for (std::size_t at = 0; at < one.mask.labels.size(); ++at) done.plain.levels.push_back(one.mask.labels[at] == 1 ? static_cast<int>(one.image.voxels[at]) : 0);
  return done;
}

class IbsiBruteForce : public testing::TestWithParam<std::uint32_t> {
 protected:
  void SetUp() override { case_ = random_levels(GetParam()); }
  void expect(const std::string& name, double value) {
    ASSERT_TRUE(case_.values.contains(name)) << name;
    EXPECT_NEAR(case_.values[name], value, 1e-9 * std::max(1.0, std::abs(value))) << name << ", seed " << GetParam();
  }
  Case case_;
};

TEST_P(IbsiBruteForce, AgreesOnCooccurrence) {
  std::map<std::pair<int, int>, double> pairs;
  double total = 0;
  case_.plain.each([&](int i, int j, int k, int level) {
    Plain::neighbours([&](int a, int b, int c) {
      if (const int other = case_.plain.at(i + a, j + b, k + c); other > 0) {
        pairs[{level, other}] += 1;
        total += 1;
      }
    });
  });
  double contrast = 0, entropy = 0, mean = 0, energy = 0, variance = 0, correlation = 0;
  std::map<int, double> marginal;
  for (auto& [pair, n] : pairs) {
    const double p = n / total;
    contrast += (pair.first - pair.second) * (pair.first - pair.second) * p;
    entropy -= p * std::log2(p);
    energy += p * p;
    mean += pair.first * p;
    marginal[pair.first] += p;
  }
  double marginal_entropy = 0, crossed = 0, product = 0;
  for (const auto& [level, p] : marginal) {
    variance += (level - mean) * (level - mean) * p;
    marginal_entropy -= p * std::log2(p);
  }
  for (const auto& [pair, n] : pairs) {
    correlation += (pair.first - mean) * (pair.second - mean) * n / total / variance;
    crossed -= n / total * std::log2(marginal[pair.first] * marginal[pair.second]);
  }
  for (const auto& [a, p] : marginal)
    for (const auto& [b, q] : marginal) product -= p * q * std::log2(p * q);
  expect("original_cm_contrast_3D_merged", contrast);
  expect("original_cm_joint_entr_3D_merged", entropy);
  expect("original_cm_energy_3D_merged", energy);
  expect("original_cm_corr_3D_merged", correlation);
  expect("original_cm_info_corr1_3D_merged", (entropy - crossed) / marginal_entropy);
  expect("original_cm_info_corr2_3D_merged", std::sqrt(1 - std::exp(-2 * (product - entropy))));
}

TEST_P(IbsiBruteForce, AgreesOnRunsAlongEachDirectionOfASlice) {
  // 2D_avg: each slice, each of four directions; runs are walked from their first voxel.
  double sum = 0, entropy_sum = 0;
  int matrices = 0;
  for (int slice = 0; slice < case_.plain.size[2]; ++slice) {
    for (const auto& [a, b] : {std::pair{1, 0}, {0, 1}, {1, 1}, {1, -1}}) {
      std::map<std::pair<int, int>, double> runs;
      double total = 0;
      for (int j = 0; j < case_.plain.size[1]; ++j)
        for (int i = 0; i < case_.plain.size[0]; ++i) {
          const int level = case_.plain.at(i, j, slice);
          if (level == 0 || case_.plain.at(i - a, j - b, slice) == level) continue;
          int length = 1;
          while (case_.plain.at(i + length * a, j + length * b, slice) == level) ++length;
          runs[{level, length}] += 1;
          total += 1;
        }
      if (total == 0) continue;
      double emphasis = 0, entropy = 0;
      for (const auto& [run, n] : runs) {
        emphasis += n / (run.second * run.second);
        entropy -= n / total * std::log2(n / total);
      }
      sum += emphasis / total;
      entropy_sum += entropy;
      ++matrices;
    }
  }
  expect("original_rlm_sre_2D_avg", sum / matrices);
  expect("original_rlm_rl_entr_2D_avg", entropy_sum / matrices);
}

TEST_P(IbsiBruteForce, AgreesOnZonesAndTheirDistances) {
  const Plain& plain = case_.plain;
  // Distance by peeling the region layer after layer (the manual's iteration).
  std::vector<int> rest = plain.levels;
  std::map<std::array<int, 3>, int> distance;
  for (int layer = 1; std::any_of(rest.begin(), rest.end(), [](int v) { return v > 0; }); ++layer) {
    const Plain now{plain.size, rest};
    now.each([&](int i, int j, int k, int) {
      const bool border = now.at(i - 1, j, k) == 0 || now.at(i + 1, j, k) == 0 || now.at(i, j - 1, k) == 0 || now.at(i, j + 1, k) == 0 || now.at(i, j, k - 1) == 0 ||
                          now.at(i, j, k + 1) == 0;
      if (!border) return;
      distance[{i, j, k}] = layer;
      rest[static_cast<std::size_t>((k * plain.size[1] + j) * plain.size[0] + i)] = 0;
    });
  }
  std::set<std::array<int, 3>> seen;
  double zones = 0, large = 0, far = 0, voxels = 0;
  plain.each([&](int i, int j, int k, int level) {
    ++voxels;
    if (seen.contains({i, j, k})) return;
    std::vector<std::array<int, 3>> zone{{i, j, k}};
    seen.insert({i, j, k});
    int least = 1000;
    for (std::size_t n = 0; n < zone.size(); ++n) {
      const auto [x, y, z] = zone[n];
      least = std::min(least, distance[zone[n]]);
      Plain::neighbours([&](int a, int b, int c) {
        if (plain.at(x + a, y + b, z + c) == level && seen.insert({x + a, y + b, z + c}).second) zone.push_back({x + a, y + b, z + c});
      });
    }
    ++zones;
    large += static_cast<double>(zone.size() * zone.size());
    far += least * least;
  });
  expect("original_szm_lze_3D", large / zones);
  expect("original_szm_z_perc_3D", zones / voxels);
  expect("original_dzm_lde_3D", far / zones);
}

TEST_P(IbsiBruteForce, AgreesOnNeighbourhoods) {
  const Plain& plain = case_.plain;
  double voxels = 0, dependence_square = 0, toned = 0;
  std::map<int, double> count, difference;
  plain.each([&](int i, int j, int k, int level) {
    int equal = 1, others = 0;
    double sum = 0;
    Plain::neighbours([&](int a, int b, int c) {
      const int other = plain.at(i + a, j + b, k + c);
      if (other == 0) return;
      equal += other == level ? 1 : 0;
      sum += other;
      ++others;
    });
    ++voxels;
    dependence_square += equal * equal;
    if (others == 0) return;
    ++toned;
    count[level] += 1;
    difference[level] += std::abs(level - sum / others);
  });
  expect("original_ngl_hde_3D", dependence_square / voxels);
  double coarse = 0, strength = 0, all = 0;
  for (const auto& [level, n] : count) {
    coarse += n / toned * difference[level];
    all += difference[level];
  }
  for (const auto& [a, n] : count)
    for (const auto& [b, m] : count) strength += (n + m) / toned * (a - b) * (a - b);
  expect("original_ngt_coarseness_3D", 1 / coarse);
  expect("original_ngt_strength_3D", strength / all);
  double contrast = 0, busy = 0, complexity = 0;
  const auto levels = static_cast<double>(count.size());
  for (const auto& [a, n] : count)
    for (const auto& [b, m] : count) {
      const double p = n / toned, q = m / toned;
      contrast += p * q * (a - b) * (a - b);
      busy += std::abs(a * p - b * q);
      complexity += std::abs(a - b) * (p * difference[a] + q * difference[b]) / (p + q);
    }
  expect("original_ngt_contrast_3D", contrast / (levels * (levels - 1)) * all / toned);
  expect("original_ngt_busyness_3D", coarse / busy);
  expect("original_ngt_complexity_3D", complexity / toned);
}

INSTANTIATE_TEST_SUITE_P(Seeds, IbsiBruteForce, testing::Values(1u, 2u, 3u, 4u, 5u, 6u));

TEST(SpatialAutocorrelation, IsTheSameByPairsAndByTransform) {
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    const auto one = test::random_case(seed, {13, 8, 9}, PixelType::float64);
    MeasuredRegion region;
    region.size = one.image.geometry.size();
    region.spacing_mm = one.image.geometry.spacing_mm();
    for (const auto label : one.mask.labels) region.intensity.push_back(label == 1 ? 1 : 0);
    for (std::size_t at = 0; at < one.mask.labels.size(); ++at)
      if (region.intensity[at] != 0) region.intensities.push_back(one.image.voxels[at] + 1000);
    const auto pairs = autocorrelation_by_pairs(region, region.intensities, nullptr);
    const auto transform = autocorrelation_by_transform(region, region.intensities, nullptr);
    EXPECT_NEAR(pairs.moran_i, transform.moran_i, 1e-10) << seed;
    EXPECT_NEAR(pairs.geary_c, transform.geary_c, 1e-10) << seed;
    // The definition, loop by loop.
    double mean = 0, n = 0;
    for (const double v : region.intensities) mean += v, ++n;
    mean /= n;
    std::vector<std::array<double, 4>> points;
    std::size_t at = 0, next = 0;
    for (int k = 0; k < region.size[2]; ++k)
      for (int j = 0; j < region.size[1]; ++j)
        for (int i = 0; i < region.size[0]; ++i, ++at)
          if (region.intensity[at] != 0) points.push_back({i * region.spacing_mm[0], j * region.spacing_mm[1], k * region.spacing_mm[2], region.intensities[next++] - mean});
    double w = 0, product = 0, square = 0, variation = 0;
    for (const auto& a : points) {
      variation += a[3] * a[3];
      for (const auto& b : points) {
        if (&a == &b) continue;
        const double weight = 1 / std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
        w += weight;
        product += weight * a[3] * b[3];
        square += weight * (a[3] - b[3]) * (a[3] - b[3]);
      }
    }
    EXPECT_NEAR(pairs.moran_i, n / w * product / variation, 1e-12) << seed;
    EXPECT_NEAR(pairs.geary_c, (n - 1) / (2 * w) * square / variation, 1e-12) << seed;
  }
}

}  // namespace
}  // namespace choana::processing::ibsi
