// IBSI 2 phase 1: the 30 filtered images kept of the 33 with a consensus. Source: shared/reference/ibsi (README.md there), settings in
// ibsi2_phase1_tests.csv. Rule of IBSI 2: every voxel within 1 % of the range of the reference map.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

#include "core/task_pool.h"
#include "processing/itk/image_file.h"
#include "processing/radiomics/ibsi/filters/ibsi_filter.h"
#include "tests/support/csv.h"
#include "tests/support/shared_data.h"

namespace choana::processing::ibsi {
namespace {

/// The words of the table as settings of ours.
struct MapTest {
  const char* id;
  const char* filter;
};

constexpr MapTest map_tests[] = {
    {"1.a.1", "{type: mean, support_voxels: 15, boundary: zero}"},
    {"1.a.2", "{type: mean, support_voxels: 15, boundary: nearest}"},
    {"1.a.3", "{type: mean, support_voxels: 15, boundary: periodic}"},
    {"1.a.4", "{type: mean, support_voxels: 15, boundary: mirror}"},
    {"1.b.1", "{type: mean, support_voxels: 15, by_slice: true, boundary: zero}"},
    {"2.a", "{type: log, sigma_mm: 3, boundary: zero}"},
    {"2.b", "{type: log, sigma_mm: 5, boundary: mirror}"},
    {"2.c", "{type: log, sigma_mm: 5, by_slice: true, boundary: mirror}"},
    {"3.a.1", "{type: laws, kernels: E5L5S5, boundary: zero}"},
    {"3.a.2", "{type: laws, kernels: E5L5S5, rotation_invariant: true, pooling: max, boundary: zero}"},
    {"3.a.3", "{type: laws, kernels: E5L5S5, rotation_invariant: true, pooling: max, energy_distance_voxels: 7, boundary: zero}"},
    {"3.b.1", "{type: laws, kernels: E3W5R5, boundary: mirror}"},
    {"3.b.2", "{type: laws, kernels: E3W5R5, rotation_invariant: true, pooling: max, boundary: mirror}"},
    {"3.b.3", "{type: laws, kernels: E3W5R5, rotation_invariant: true, pooling: max, energy_distance_voxels: 7, boundary: mirror}"},
    {"3.c.1", "{type: laws, kernels: L5S5, boundary: mirror}"},
    {"3.c.2", "{type: laws, kernels: L5S5, rotation_invariant: true, pooling: max, boundary: mirror}"},
    {"3.c.3", "{type: laws, kernels: L5S5, rotation_invariant: true, pooling: max, energy_distance_voxels: 7, boundary: mirror}"},
    {"4.a.1", "{type: gabor, sigma_mm: 10, lambda_mm: 4, gamma: 0.5, theta_degrees: 60, boundary: zero}"},
    {"4.a.2", "{type: gabor, sigma_mm: 10, lambda_mm: 4, gamma: 0.5, theta_step_degrees: 45, orthogonal_planes: true, boundary: zero}"},
    {"4.b.1", "{type: gabor, sigma_mm: 20, lambda_mm: 8, gamma: 2.5, theta_degrees: 225, boundary: mirror}"},
    {"4.b.2", "{type: gabor, sigma_mm: 20, lambda_mm: 8, gamma: 2.5, theta_step_degrees: 22.5, orthogonal_planes: true, boundary: mirror}"},
    {"5.a.1", "{type: wavelet, wavelet: db2, subband: LHL, boundary: zero}"},
    {"5.a.2", "{type: wavelet, wavelet: db2, subband: LHL, rotation_invariant: true, boundary: zero}"},
    {"6.a.1", "{type: wavelet, wavelet: coif1, subband: HHL, boundary: periodic}"},
    {"6.a.2", "{type: wavelet, wavelet: coif1, subband: HHL, rotation_invariant: true, boundary: periodic}"},
    {"7.a.1", "{type: wavelet, wavelet: haar, subband: LLL, level: 2, rotation_invariant: true, boundary: mirror}"},
    {"7.a.2", "{type: wavelet, wavelet: haar, subband: HHH, level: 2, rotation_invariant: true, boundary: mirror}"},
    {"8.a.1", "{type: simoncelli, level: 1}"},
    {"8.a.2", "{type: simoncelli, level: 2}"},
    {"8.a.3", "{type: simoncelli, level: 3}"},
};

class IbsiFilterMap : public ::testing::TestWithParam<MapTest> {};

TEST_P(IbsiFilterMap, LiesWithinOnePercentOfTheRange) {
  CHOANA_NEEDS_SHARED("reference/ibsi/ibsi2/ibsi2_phase1_tests.csv");
  const auto folder = test::shared_dir() / "reference/ibsi/ibsi2";
  const auto rows = test::read_csv(folder / "ibsi2_phase1_tests.csv");
  const auto row = std::find_if(rows.begin(), rows.end(), [](const auto& one) { return one[0] == GetParam().id; });
  ASSERT_NE(row, rows.end());
  const auto phantom = read_image_file(folder / "phantoms" / ((*row)[1] + ".nii.gz"));
  const auto reference = read_image_file(folder / "reference_maps" / ((*row)[5] + "-ValidCRM.nii.gz"));
  ASSERT_TRUE(phantom && reference);
  const auto filters = parse_ibsi_filters(GetParam().filter);
  ASSERT_TRUE(filters) << to_string(filters.error());
  ASSERT_EQ(filters->size(), 1U);
  TaskPool pool(2);
  const auto response = filter_image(filters->front(), *phantom, &pool);
  ASSERT_TRUE(response) << to_string(response.error());
  ASSERT_EQ(response->voxels.size(), reference->voxels.size());
  const auto [low, high] = std::minmax_element(reference->voxels.begin(), reference->voxels.end());
  double deviation = 0;
  for (std::size_t at = 0; at < reference->voxels.size(); ++at) deviation = std::max(deviation, std::abs(response->voxels[at] - reference->voxels[at]));
  const double share_percent = 100 * deviation / (*high - *low);
  std::cout << GetParam().id << " " << filter_name(filters->front()) << ": largest deviation " << share_percent << " % of the range\n";
  EXPECT_LT(share_percent, 1.0);
}

INSTANTIATE_TEST_SUITE_P(Phase1, IbsiFilterMap, ::testing::ValuesIn(map_tests), [](const auto& one) {
  std::string name = one.param.id;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

TEST(IbsiFilterMaps, EveryKeptReferenceMapIsTested) {
  CHOANA_NEEDS_SHARED("reference/ibsi/ibsi2/ibsi2_phase1_tests.csv");
  const auto rows = test::read_csv(test::shared_dir() / "reference/ibsi/ibsi2/ibsi2_phase1_tests.csv");
  EXPECT_EQ(rows.size() - 1, std::size(map_tests));
}

}  // namespace
}  // namespace choana::processing::ibsi
