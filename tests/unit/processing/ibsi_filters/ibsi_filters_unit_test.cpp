#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <limits>
#include <numbers>
#include <random>

#include "processing/radiomics/ibsi/filters/fourier_transform.h"
#include "processing/radiomics/ibsi/filters/ibsi_filter.h"
#include "processing/radiomics/ibsi/filters/separable_convolution.h"
#include "tests/support/volumes.h"

namespace choana::processing::ibsi {
namespace {

IbsiFilter filter_of(const std::string& yaml) {
  auto filters = parse_ibsi_filters(yaml);
  if (!filters || filters->size() != 1) throw std::runtime_error(filters ? "not one filter" : to_string(filters.error()));
  return filters->front();
}

ScalarVolume impulse(Index3 size, Index3 at) {
  ScalarVolume volume{test::grid(size), std::vector<double>(static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1]) * static_cast<std::size_t>(size[2])), PixelType::float64};
  volume.voxels[volume.geometry.offset(at[0], at[1], at[2])] = 1;
  return volume;
}

double value_at(const ScalarVolume& volume, int i, int j, int k) { return volume.voxels[volume.geometry.offset(i, j, k)]; }

TEST(FourierTransform, EqualsTheSumOfItsDefinitionAtAnyLength) {
  std::mt19937 random(3);
  for (const std::size_t n : {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 15, 17, 20, 21, 30, 37, 49, 64, 90, 97, 101, 143}) {
    std::vector<std::complex<double>> x;
    for (std::size_t at = 0; at < n; ++at) x.emplace_back(random() / 4294967296.0, random() / 4294967296.0);
    std::vector<std::complex<double>> y = x;
    const FourierTransform transform(n);
    transform.forward(y.data());
    for (std::size_t m = 0; m < n; ++m) {
      std::complex<double> sum = 0;
      for (std::size_t at = 0; at < n; ++at) sum += x[at] * std::polar(1.0, -2 * std::numbers::pi * static_cast<double>((m * at) % n) / static_cast<double>(n));
      EXPECT_LT(std::abs(sum - y[m]), 1e-11) << n << " bin " << m;
    }
    transform.inverse(y.data());
    for (std::size_t at = 0; at < n; ++at) EXPECT_LT(std::abs(x[at] - y[at]), 1e-12) << n;
  }
}

// PyWavelets 1.8.0: pywt.swt(line, wavelet, level=1). The two flat axes add a factor of sqrt(2) each under a low pass.
TEST(SeparableWavelet, KnowsEveryWaveletOfPyWavelets) {
  const ScalarVolume line{test::grid({16, 1, 1}), {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3}, PixelType::float64};
  struct Expected {
    const char* wavelet;
    double detail[3];
    double approximation[3];
  };
  for (const Expected& e : {Expected{"sym4", {-1.321968015204428, 2.067510770352098, -4.479306588196772}, {6.187580151393723, 6.269799544094468, 8.049299900887474}},
                            Expected{"bior2.2", {3.5355339059327378, -4.242640687119285, 4.949747468305834}, {4.596194077712559, 5.65685424949238, 7.0710678118654755}},
                            Expected{"coif2", {-5.25782019831548, 6.189743588554759, -0.3278495700098966}, {12.340289064461949, 6.119860026242057, 6.02925111599385}}})
    for (const bool high : {true, false}) {
      const auto response = filter_image(filter_of(std::string("{type: wavelet, boundary: periodic, wavelet: ") + e.wavelet + ", subband: " + (high ? "HLL}" : "LLL}")), line);
      ASSERT_TRUE(response) << to_string(response.error());
      for (int n = 0; n < 3; ++n) EXPECT_NEAR(value_at(*response, n, 0, 0), high ? e.detail[n] : e.approximation[n], 1e-12) << e.wavelet << " " << n;
    }
  EXPECT_FALSE(filter_image(IbsiFilter{SeparableWaveletFilter{.wavelet = "db99"}}, line));
}

TEST(Boundary, ReachesAnyDistanceOutside) {
  // a b c: mirror ... c b a | a b c | c b a ..., periodic ... b c | a b c | a b ...
  EXPECT_EQ(boundary_index(-1, 3, Boundary::mirror), 0);
  EXPECT_EQ(boundary_index(-4, 3, Boundary::mirror), 2);
  EXPECT_EQ(boundary_index(5, 3, Boundary::mirror), 0);
  EXPECT_EQ(boundary_index(6, 3, Boundary::mirror), 0);
  EXPECT_EQ(boundary_index(-1, 3, Boundary::periodic), 2);
  EXPECT_EQ(boundary_index(7, 3, Boundary::periodic), 1);
  EXPECT_EQ(boundary_index(-9, 3, Boundary::nearest), 0);
  EXPECT_EQ(boundary_index(9, 3, Boundary::nearest), 2);
  EXPECT_EQ(boundary_index(3, 3, Boundary::zero), -1);
  EXPECT_EQ(boundary_index(100, 1, Boundary::mirror), 0);
}

TEST(RightAngleRotations, AreTheTwentyFourOfACubeAndTheFourOfAPlane) {
  EXPECT_EQ(right_angle_rotations(false).size(), 24U);
  EXPECT_EQ(right_angle_rotations(true).size(), 4U);
}

TEST(LawsFilter, ConvolvesWithTheKernelsOfTheManualInTheOrderOfTheAxes) {
  // IBSI 2 manual: E5 = (-1, -2, 0, 2, 1) / sqrt(10), L5 = (1, 4, 6, 4, 1) / sqrt(70), S5 = (-1, 0, 2, 0, -1) / sqrt(6). The response to an impulse is the kernel.
  const auto response = filter_image(filter_of("{type: laws, kernels: E5L5S5, boundary: zero}"), impulse({9, 9, 9}, {4, 4, 4}));
  ASSERT_TRUE(response);
  const double scale = std::sqrt(10.0 * 70 * 6);
  EXPECT_NEAR(value_at(*response, 5, 4, 4), 2 * 6 * 2 / scale, 1e-15);
  EXPECT_NEAR(value_at(*response, 3, 4, 4), -2 * 6 * 2 / scale, 1e-15);
  EXPECT_NEAR(value_at(*response, 6, 5, 6), 1 * 4 * -1 / scale, 1e-15);
  EXPECT_EQ(value_at(*response, 4, 4, 4), 0);
}

TEST(LaplacianOfGaussianFilter, EqualsTheTruncatedKernelOfTheFormula) {
  // q = 1.5 voxels, half width floor(4 q + 0.5) = 6.
  const auto response = filter_image(filter_of("{type: log, sigma_mm: 1.5, boundary: zero}"), impulse({17, 17, 17}, {8, 8, 8}));
  ASSERT_TRUE(response);
  const double q = 1.5;
  for (const Index3 step : {Index3{0, 0, 0}, Index3{1, 0, 2}, Index3{6, -6, 3}, Index3{0, 5, 0}}) {
    const double r2 = step[0] * step[0] + step[1] * step[1] + step[2] * step[2];
    const double expected = -1 / (q * q) * std::pow(2 * std::numbers::pi * q * q, -1.5) * (3 - r2 / (q * q)) * std::exp(-r2 / (2 * q * q));
    EXPECT_NEAR(value_at(*response, 8 + step[0], 8 + step[1], 8 + step[2]), expected, 1e-15);
  }
  EXPECT_EQ(value_at(*response, 15, 8, 8), 0) << "seven voxels away is beyond the cut";
}

TEST(LaplacianOfGaussianFilter, WithZeroMeanTurnsAConstantIntoZero) {
  ScalarVolume flat{test::grid({6, 5, 4}), std::vector<double>(120, 100.0), PixelType::float64};
  for (const char* shape : {"", ", by_slice: true"}) {
    const auto response = filter_image(filter_of(std::string("{type: log, sigma_mm: 1, zero_mean: true") + shape + "}"), flat);
    ASSERT_TRUE(response);
    for (const double value : response->voxels) EXPECT_NEAR(value, 0, 1e-11);
  }
}

TEST(GaborFilter, EqualsTheKernelOfTheFormula) {
  const auto response = filter_image(filter_of("{type: gabor, sigma_mm: 2, lambda_mm: 3, gamma: 0.5, theta_degrees: 30, response: real, boundary: zero}"), impulse({30, 30, 2}, {15, 15, 0}));
  ASSERT_TRUE(response);
  const double theta = std::numbers::pi / 6;
  for (const Index3 step : {Index3{0, 0, 0}, Index3{3, -2, 0}, Index3{-4, 6, 0}}) {
    const double u = step[0] * std::cos(theta) + step[1] * std::sin(theta);
    const double v = step[0] * std::sin(theta) - step[1] * std::cos(theta);
    EXPECT_NEAR(value_at(*response, 15 + step[0], 15 + step[1], 0), std::exp(-(u * u + 0.25 * v * v) / 8) * std::cos(2 * std::numbers::pi * u / 3), 1e-12);
  }
  EXPECT_NEAR(value_at(*response, 15, 15, 1), 0, 1e-12) << "one slice does not see the next";
}

TEST(SimoncelliFilter, KeepsTheMiddleOfItsBandAndDropsWhatLiesOutside) {
  // Odd size: the frequency grid is symmetric. Band 1 has its peak (gain 1) at half the highest frequency.
  const int n = 33;
  ScalarVolume wave{test::grid({n, 1, 1}), {}, PixelType::float64};
  for (int i = 0; i < n; ++i) wave.voxels.push_back(10 + std::cos(2 * std::numbers::pi * 8 * i / n));
  const auto level_1 = filter_image(filter_of("{type: simoncelli, level: 1}"), wave);
  const auto level_3 = filter_image(filter_of("{type: simoncelli, level: 3}"), wave);
  ASSERT_TRUE(level_1 && level_3);
  for (int i = 0; i < n; ++i) {
    EXPECT_NEAR(level_1->voxels[static_cast<std::size_t>(i)], std::cos(2 * std::numbers::pi * 8 * i / n), 1e-12);
    EXPECT_NEAR(level_3->voxels[static_cast<std::size_t>(i)], 0, 1e-12);
  }
}

TEST(IbsiFilter, RefusesWhatItCannotFilter) {
  ScalarVolume image = impulse({4, 4, 4}, {1, 1, 1});
  image.voxels[3] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(filter_image(MeanFilter{}, image).error().code, ErrorCode::degenerate_input);
  image.voxels.pop_back();
  EXPECT_EQ(filter_image(MeanFilter{}, image).error().code, ErrorCode::invalid_argument);
  const ScalarVolume thick{test::grid({4, 4, 4}, {1, 1, 5}), std::vector<double>(64, 1.0), PixelType::int16};
  EXPECT_EQ(filter_image(LaplacianOfGaussianFilter{}, thick).error().code, ErrorCode::geometry_mismatch);
  EXPECT_TRUE(filter_image(filter_of("{type: log, sigma_mm: 1, by_slice: true}"), thick));
  EXPECT_EQ(filter_image(GaborFilter{.sigma_mm = 900}, thick).error().code, ErrorCode::limit_exceeded);
  EXPECT_EQ(filter_image(MeanFilter{.support_voxels = 4}, thick).error().code, ErrorCode::invalid_settings);
}

TEST(IbsiFilter, NamesSayWhatShapesTheResponse) {
  EXPECT_EQ(filter_name(filter_of("{type: laws, kernels: E5L5S5, rotation_invariant: true, energy_distance_voxels: 7}")), "laws-E5L5S5-rot-max-energy-7");
  EXPECT_EQ(filter_name(filter_of("{type: log, sigma_mm: 1.5, by_slice: true}")), "log-2D-sigma-1-5-mm");
  EXPECT_EQ(filter_name(filter_of("{type: wavelet, wavelet: db3, subband: LLH, rotation_invariant: true}")), "wavelet-db3-LLH-level-1-rot-avg");
}

TEST(IbsiFilterReader, ReadsAListAndSaysWhatIsWrong) {
  const auto two = parse_ibsi_filters("- {type: mean, support_voxels: 5, boundary: zero}\n- {type: simoncelli, level: 2}\n");
  ASSERT_TRUE(two);
  EXPECT_EQ(std::get<MeanFilter>((*two)[0]).boundary, Boundary::zero);
  EXPECT_EQ(std::get<SimoncelliFilter>((*two)[1]).level, 2);
  EXPECT_TRUE(parse_ibsi_filters("")->empty());
  for (const char* wrong : {"{type: mean}", "{type: mean, support_voxels: 4}", "{type: mean, support_voxels: five}", "{type: mean, support_voxels: [5]}", "{type: median}", "{support_voxels: 5}", "5",
                            "{type: laws, kernels: X5L5}", "{type: wavelet, wavelet: db3, subband: LXH}", "{type: wavelet, wavelet: sym99, subband: LLH}", "{type: simoncelli, level: 0}", "{type: log, sigma_mm: .nan}",
                            "{type: log, sigma_mm: 1, sigma: 2}", "{type: gabor, sigma_mm: 1, lambda_mm: 1, gamma: 1, theta_step_degrees: 0.01}", "[[[", "{type: mean, support_voxels: 3, boundary: wrap}"})
    EXPECT_EQ(parse_ibsi_filters(wrong).error().code, ErrorCode::invalid_profile) << wrong;
  EXPECT_NE(parse_ibsi_filters("{type: log, sigma_mm: 1, sigma: 2}").error().message.find("'sigma'"), std::string::npos);
}

}  // namespace
}  // namespace choana::processing::ibsi
