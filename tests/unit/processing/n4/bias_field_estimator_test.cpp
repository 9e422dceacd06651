#include "processing/preprocessing/n4/bias_field_estimator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "processing/preprocessing/bias_field_correction.h"
#include "tests/support/head_phantom.h"

namespace choana::processing {
namespace {

N4Parameters unshrunk(std::vector<int> iterations = {10, 10}) {
  N4Parameters parameters;
  parameters.shrink = {1, 1, 1};
  parameters.iterations = std::move(iterations);
  return parameters;
}

std::vector<float> field_of(const BiasFieldEstimate& estimate, const Index3& size) {
  const auto axis = [&](std::size_t a) { return stretched_axis(size[a], estimate.lattice.size[a], estimate.lattice.order[a]); };
  return evaluate(estimate.lattice, {axis(0), axis(1), axis(2)});
}

std::string code_of(const Result<BiasFieldEstimate>& result) { return result ? "estimated" : std::string(to_string(result.error().code)); }

TEST(BiasFieldEstimator, IsTheTwoDimensionalN4OfASingleSlice) {
  // SimpleITK 2.5.7 (ITK 5.4), N4BiasFieldCorrectionImageFilter on this 40 x 30 image without a mask: 4 levels of 50, threshold 0.001, one thread.
  std::vector<float> image;
  double sum = 0;
  for (int y = 0; y < 30; ++y)
    for (int x = 0; x < 40; ++x) {
      double tissue = (x - 20) * (x - 20) * 9 + (y - 15) * (y - 15) * 16 < 2304 ? 200 : 60;
      if ((x - 14) * (x - 14) + (y - 13) * (y - 13) < 30) tissue = 120;
      image.push_back(static_cast<float>(std::floor(tissue * (1 + 0.012 * x - 0.0004 * x * x + 0.01 * y) + (7 * x + 13 * y + x * y) % 17)));
      sum += static_cast<double>(image.back());
    }
  ASSERT_EQ(sum, 183737);
  const auto estimate = estimate_bias_field({40, 30, 1}, image, {}, {}, unshrunk({50, 50, 50, 50}));
  ASSERT_TRUE(estimate) << estimate.error().message;
  const std::vector<int> iterations{16, 16, 13, 8};
  const std::vector<double> convergence{0.0009166884701699018, 0.0009704937692731619, 0.0009383338037878275, 0.0008673991542309523};
  ASSERT_EQ(estimate->levels.size(), 4U);
  for (std::size_t level = 0; level < 4; ++level) {
    EXPECT_EQ(estimate->levels[level].iterations, iterations[level]);
    EXPECT_NEAR(estimate->levels[level].convergence, convergence[level], 1e-6);
  }
  const auto field = field_of(*estimate, {40, 30, 1});
  struct {
    std::size_t x, y;
    double value;
  } const expected[] = {{0, 0, -0.44665274024009705},   {39, 0, -0.6037396192550659},   {0, 29, -0.22170916199684143}, {39, 29, -0.262944757938385},
                        {20, 15, -0.1902211457490921}, {10, 20, -0.1502908170223236}, {33, 7, -0.41113463044166565}};
  for (const auto& at : expected) EXPECT_NEAR(static_cast<double>(field[at.y * 40 + at.x]), at.value, 2e-5);
}

TEST(BiasFieldEstimator, GivesTheSameBitsAtAnyNumberOfThreads) {
  const SeriesVolume head = test::head_phantom({96, 96, 12}, 4);
  const auto alone = estimate_bias_field({96, 96, 12}, head.voxels(), {}, {}, unshrunk());
  ASSERT_TRUE(alone);
  EXPECT_EQ(alone->included_voxels, 96U * 96 * 12) << "enough for the work to be shared";
  for (const int threads : {2, 3, 8}) {
    TaskPool pool(threads);
    const auto shared = estimate_bias_field({96, 96, 12}, head.voxels(), {}, {}, unshrunk(), &pool);
    ASSERT_TRUE(shared);
    EXPECT_EQ(shared->lattice.values, alone->lattice.values);
    EXPECT_EQ(shared->levels[1].convergence, alone->levels[1].convergence);
  }
}

TEST(BiasFieldEstimator, LeavesOutWhatTheMaskOrTheConfidenceLeavesOut) {
  const SeriesVolume head = test::head_phantom({40, 36, 8}, 4);
  std::vector<std::uint8_t> mask(head.voxels().size());
  std::vector<float> confidence(mask.size());
  std::vector<float> altered = head.voxels();
  for (std::size_t n = 0; n < mask.size(); ++n) {
    mask[n] = head.voxels()[n] > 100 ? 255 : 0;
    confidence[n] = mask[n] != 0 ? 1.0F : n % 2 == 0 ? 0.0F : -1.0F;
    if (mask[n] == 0) altered[n] = std::numeric_limits<float>::quiet_NaN();
  }
  const auto masked = estimate_bias_field({40, 36, 8}, head.voxels(), mask, {}, unshrunk());
  ASSERT_TRUE(masked);
  EXPECT_EQ(estimate_bias_field({40, 36, 8}, head.voxels(), {}, confidence, unshrunk())->lattice.values, masked->lattice.values);
  EXPECT_EQ(estimate_bias_field({40, 36, 8}, altered, mask, {}, unshrunk())->lattice.values, masked->lattice.values);
  for (float& weight : confidence) weight *= 8;
  EXPECT_EQ(estimate_bias_field({40, 36, 8}, head.voxels(), {}, confidence, unshrunk())->lattice.values, masked->lattice.values) << "only ratios of weights matter";
}

TEST(BiasFieldEstimator, RefusesWhatHasNoField) {
  const Index3 size{8, 8, 4};
  const std::vector<float> image = test::head_phantom(size, 1).voxels();
  const std::vector<std::uint8_t> empty(256, 0);
  std::vector<std::uint8_t> one = empty;
  one[100] = 1;
  EXPECT_EQ(code_of(estimate_bias_field(size, std::vector<float>(256, 100.0F), {}, {}, unshrunk())), "degenerate_input");
  EXPECT_EQ(code_of(estimate_bias_field(size, image, empty, {}, unshrunk())), "degenerate_input");
  EXPECT_EQ(code_of(estimate_bias_field(size, image, one, {}, unshrunk())), "degenerate_input");
  EXPECT_EQ(code_of(estimate_bias_field(size, image, {}, std::vector<float>(256, 0.0F), unshrunk())), "degenerate_input");
  for (const float odd : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    std::vector<float> wrong = image;
    wrong[77] = odd;
    EXPECT_EQ(code_of(estimate_bias_field(size, wrong, {}, {}, unshrunk())), "degenerate_input");
    std::vector<float> confidence(256, 1.0F);
    confidence[77] = std::abs(odd);
    if (std::isinf(odd)) {
      EXPECT_EQ(code_of(estimate_bias_field(size, image, {}, confidence, unshrunk())), "degenerate_input");
    }
  }
  EXPECT_EQ(code_of(estimate_bias_field({1, 1, 1}, std::vector<float>(1, 5.0F), {}, {}, unshrunk())), "degenerate_input");
  EXPECT_EQ(code_of(estimate_bias_field(size, std::vector<float>(255, 5.0F), {}, {}, unshrunk())), "invalid_argument");
  EXPECT_EQ(code_of(estimate_bias_field({8, 8, 0}, std::vector<float>(), {}, {}, unshrunk())), "invalid_argument");
  // Values that only ever rise have no minimum in ITK; here they have.
  std::vector<float> ramp;
  for (int n = 0; n < 256; ++n) ramp.push_back(static_cast<float>(100 + n));
  EXPECT_EQ(code_of(estimate_bias_field(size, ramp, {}, {}, unshrunk())), "estimated");
}

TEST(BiasFieldEstimator, RefusesSettingsThatMakeNoSense) {
  const auto refused = [](const std::function<void(N4Parameters&)>& change) {
    N4Parameters parameters;
    change(parameters);
    const auto status = check_n4_parameters(parameters);
    return !status && status.error().code == ErrorCode::invalid_argument;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(refused([](N4Parameters&) {}));
  EXPECT_TRUE(refused([](N4Parameters& n4) { n4.control_points = {4, 3, 4}; })) << "fewer than the order and one";
  EXPECT_TRUE(refused([](N4Parameters& n4) { n4.spline_order = 4; })) << "four control points are too few for it";
  EXPECT_TRUE(refused([](N4Parameters& n4) { n4.spline_order = 0; }));
  EXPECT_TRUE(refused([](N4Parameters& n4) { n4.iterations = {}; }));
  EXPECT_TRUE(refused([](N4Parameters& n4) { n4.iterations = {50, 0}; }));
  EXPECT_TRUE(refused([](N4Parameters& n4) { n4.shrink = {4, 0, 4}; }));
  EXPECT_TRUE(refused([](N4Parameters& n4) { n4.histogram_bins = 1; }));
  EXPECT_TRUE(refused([&](N4Parameters& n4) { n4.convergence_threshold = nan; }));
  EXPECT_TRUE(refused([&](N4Parameters& n4) { n4.full_width_at_half_maximum = nan; }));
  EXPECT_TRUE(refused([](N4Parameters& n4) { n4.full_width_at_half_maximum = 0; }));
  EXPECT_TRUE(refused([&](N4Parameters& n4) { n4.wiener_noise = nan; }));
  EXPECT_TRUE(refused([](N4Parameters& n4) { n4.wiener_noise = -0.01; }));
  N4Parameters many;
  many.iterations = std::vector<int>(10, 1);
  EXPECT_EQ(code_of(estimate_bias_field({8, 8, 4}, test::head_phantom({8, 8, 4}, 1).voxels(), {}, {}, many)), "limit_exceeded");
}

TEST(BiasFieldCorrection, NamesEngineAndFieldInItsSettings) {
  BiasFieldSettings settings;
  EXPECT_EQ(canonical_json(settings),
            "{\"bins\":200,\"control_points\":[4,4,4],\"engine\":\"choana\",\"field\":\"stretched\",\"fwhm\":0.15,\"iterations\":[50,50,50,50],\"mask\":\"otsu\","
            "\"noise\":0.01,\"otsu_bins\":200,\"shrink\":[4,4,4],\"threshold\":0.001}");
  settings.engine = BiasFieldEngine::itk;
  EXPECT_NE(canonical_json(settings).find("\"engine\":\"itk\""), std::string::npos);
  settings.field = BiasFieldPlacement::aligned;
  EXPECT_NE(canonical_json(settings).find("\"field\":\"aligned\""), std::string::npos);
  const auto refused = correct_bias_field(test::head_phantom({16, 16, 8}, 1), settings, nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
}

TEST(BiasFieldCorrection, CorrectsASingleSliceAndShrinksThinStacksLess) {
  BiasFieldSettings settings;
  settings.mask = BiasFieldMask::positive;
  settings.n4.iterations = {5};
  const auto flat = correct_bias_field(test::head_phantom({64, 64, 1}, 1), settings, nullptr);
  ASSERT_TRUE(flat) << flat.error().message;
  EXPECT_EQ(flat->shrink, (std::array{4, 4, 1}));
  const auto thin = correct_bias_field(test::head_phantom({64, 64, 5}, 1), settings, nullptr);
  ASSERT_TRUE(thin) << thin.error().message;
  EXPECT_EQ(thin->shrink, (std::array{4, 4, 2}));
  settings.engine = BiasFieldEngine::itk;
  EXPECT_EQ(correct_bias_field(test::head_phantom({64, 64, 1}, 1), settings, nullptr).error().code, ErrorCode::degenerate_input);
}

TEST(BiasFieldCorrection, AlignedLiesNearerToTheUnshrunkFieldThanStretched) {
  // spec/n4.md, last point of "ITK's own behaviour": the stretched field is displaced by up to two voxels.
  const SeriesVolume head = test::head_phantom({96, 96, 24}, 9);
  BiasFieldSettings settings;
  settings.n4.iterations = {10, 10, 10};
  settings.n4.convergence_threshold = 0;
  settings.n4.shrink = {1, 1, 1};
  const auto unshrunk_field = correct_bias_field(head, settings, nullptr)->log_field;
  const auto distance = [&](BiasFieldPlacement placement) {
    settings.n4.shrink = {4, 4, 4};
    settings.field = placement;
    const auto field = correct_bias_field(head, settings, nullptr)->log_field;
    double sum = 0, squares = 0;
    for (std::size_t n = 0; n < field.size(); ++n) {
      const double difference = static_cast<double>(field[n]) - static_cast<double>(unshrunk_field[n]);
      sum += difference;
      squares += difference * difference;
    }
    const auto count = static_cast<double>(field.size());
    return std::sqrt(squares / count - sum / count * sum / count);
  };
  EXPECT_LT(distance(BiasFieldPlacement::aligned), distance(BiasFieldPlacement::stretched));
}

}  // namespace
}  // namespace choana::processing
