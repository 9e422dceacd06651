// IBSI 2 phase 3, MR: five T1 volumes, configurations 1 to 3 (no filter, mean 3 x 3 x 3, LoG of 3 mm), 18 intensity statistics. Source:
// shared/reference/ibsi (README.md there): our summary of the values that nine teams sent in.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <string>

#include "core/task_pool.h"
#include "processing/itk/image_file.h"
#include "processing/radiomics/ibsi/ibsi_extractor.h"
#include "tests/support/csv.h"
#include "tests/support/shared_data.h"

namespace choana::processing::ibsi {
namespace {

/// Teams that must have sent a value within 0.5 % of the others for it to count.
constexpr int teams_min = 5;
constexpr double relative_tolerance = 1e-4;

class IbsiMrPatient : public ::testing::TestWithParam<const char*> {};

TEST_P(IbsiMrPatient, HasTheStatisticsThatTheTeamsAgreeOn) {
  CHOANA_NEEDS_SHARED("reference/ibsi/phase3_mr/ibsi2_phase3_mr_t1_consensus.csv");
  const auto folder = test::shared_dir() / "reference/ibsi/phase3_mr";
  const std::string patient = GetParam();
  const auto image = read_image_file(folder / (patient + "_MR_T1_image.nii.gz"));
  const auto mask = read_mask_file(folder / (patient + "_MR_T1_mask.nii.gz"));
  ASSERT_TRUE(image && mask);
  IbsiProfile profile;
  profile.grid = GridSettings{{1, 1, 1}, ImageInterpolation::cubic_spline, MaskInterpolation::linear, 0.5, false};
  profile.resegmentation.lower = 0;
  profile.families = {"intensity_statistics"};
  profile.aggregations = {"3D"};
  // For the LoG the teams form two groups: kernel as it is, or corrected to zero mean.
  profile.filters = *parse_ibsi_filters("[{type: mean, support_voxels: 3}, {type: log, sigma_mm: 3}, {type: log, sigma_mm: 3, zero_mean: true}]");
  TaskPool pool(2);
  const auto result = extract_ibsi_features(*image, *mask, 1, profile, &pool);
  ASSERT_TRUE(result) << to_string(result.error());
  std::map<std::string, std::map<std::string, double>> values;  // image, tag
  for (const IbsiFeatureValue& feature : result->features)
    if (feature.computed()) values[feature.image][feature.tag] = feature.number();

  const auto rows = test::read_csv(folder / "ibsi2_phase3_mr_t1_consensus.csv");
  double energy = 0;
  double root_mean_square = 0;
  int equal = 0;
  int compared = 0;
  int plain = 0;   // of configurations 1 and 2
  int close = 0;   // of these within the tolerance of the median
  for (const auto& row : rows) {
    if (row[0] != patient) continue;
    const std::string& tag = row[3];
    const bool laplacian = row[1] == "3";
    if (std::stoi(row[5]) < teams_min) continue;
    // The mean of a LoG image is near zero, and these divide by it (README).
    if (laplacian && (tag == "stat_cov" || tag == "stat_qcod")) continue;
    const double expected = std::stod(row[6]);
    if (row[1] == "1" && tag == "stat_energy") energy = expected;
    if (row[1] == "1" && tag == "stat_rms") root_mean_square = expected;
    ++compared;
    double nearest = 1e300;
    bool agrees = false;
    for (const std::string name : {row[1] == "1" ? "original" : row[1] == "2" ? "mean-3D-3" : "log-3D-sigma-3-mm", laplacian ? "log-3D-sigma-3-mm-zero-mean" : ""}) {
      if (name.empty()) continue;
      ASSERT_TRUE(values[name].contains(tag)) << name << " " << tag;
      const double value = values[name][tag];
      nearest = std::min(nearest, std::abs(value - expected) / std::abs(expected));
      // Where the teams that agree differ among themselves by more than the tolerance, their range counts: LoG (kernels and boundaries), and a
      // region at the edge of the image (STS_025: the spline beyond the edge).
      const double slack = relative_tolerance * std::abs(expected);
      agrees = agrees || (value >= std::stod(row[7]) - (laplacian ? slack : 0) && value <= std::stod(row[8]) + (laplacian ? slack : 0)) || std::abs(value - expected) <= slack;
    }
    if (!laplacian && nearest <= relative_tolerance) ++close;
    if (!laplacian) ++plain;
    if (agrees) ++equal;
    EXPECT_TRUE(agrees) << patient << " configuration " << row[1] << " " << tag << ": expected " << expected << " (" << row[7] << " to " << row[8] << "), relative difference " << nearest;
  }
  EXPECT_EQ(static_cast<long>(result->voxels_intensity), std::lround(energy / (root_mean_square * root_mean_square))) << "voxels in the intensity mask";
  std::cout << patient << ": " << equal << " of " << compared << " statistics, " << result->voxels_intensity << " voxels; without LoG " << close << " of " << plain << " within 1e-4 of the median\n";
  EXPECT_GE(compared, 40);
}

INSTANTIATE_TEST_SUITE_P(Phase3, IbsiMrPatient, ::testing::Values("STS_008", "STS_019", "STS_024", "STS_025", "STS_042"));

}  // namespace
}  // namespace choana::processing::ibsi
