#include "processing/deep_features/deep_extractor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/unit/processing/onnx/onnx_models.h"

namespace choana::processing {
namespace {

const Index3 size{12, 10, 3};

SeriesVolume series(const std::vector<float>& voxels) {
  const auto geometry = VolumeGeometry::make(size, {2, 1, 5}, {0, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  return *SeriesVolume::make(*geometry, voxels, PixelType::float32, {}, {});
}

std::vector<float> ramp() {
  std::vector<float> voxels;
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) voxels.push_back(static_cast<float>(i + 12 * j + 1000 * k));
  return voxels;
}

/// Largest on slice 1: columns 4 to 6, rows 3 to 4.
RegionOfInterest region() {
  std::vector<std::uint8_t> mask(360, 0);
  for (const int at : {4, 5, 6}) mask[static_cast<std::size_t>(120 + 3 * 12 + at)] = mask[static_cast<std::size_t>(120 + 4 * 12 + at)] = 1;
  mask[5] = 1;
  return *RegionOfInterest::make("GTVp", series(ramp()).geometry(), mask, {});
}

TEST(ImagePreparation, StretchesTheLargestSliceAndScalesEachChannel) {
  ImagePreparation how;
  how.columns = 12;
  how.rows = 10;
  const auto prepared = prepare_slice(series(ramp()), region(), how);
  ASSERT_TRUE(prepared) << prepared.error().message;
  EXPECT_EQ(prepared->slice, 1);
  EXPECT_EQ(prepared->input.shape, (std::vector<std::int64_t>{1, 3, 10, 12}));
  // The slice runs from 1000 to 1119: voxel 17 of it is 17 / 119 of the range.
  const float grey = std::floor(17.0F / 119.0F * 255.0F + 0.5F);
  EXPECT_EQ(prepared->pixels[17], grey);
  const auto& values = prepared->input.values<float>();
  EXPECT_FLOAT_EQ(values[17], (grey / 255.0F - 0.485F) / 0.229F);
  EXPECT_FLOAT_EQ(values[120 + 17], (grey / 255.0F - 0.456F) / 0.224F);
  EXPECT_FLOAT_EQ(values[240 + 17], (grey / 255.0F - 0.406F) / 0.225F);
}

TEST(ImagePreparation, CutsTheBoxOfTheRegionWithItsMarginInMillimetres) {
  ImagePreparation how;
  how.crop_to_region = true;
  how.margin_mm = 2;  // one column of 2 mm, two rows of 1 mm
  how.columns = 5;
  how.rows = 6;
  how.range = GreyRange::window;
  how.low = 1000;
  how.high = 1255;
  const auto prepared = prepare_slice(series(ramp()), region(), how);
  ASSERT_TRUE(prepared) << prepared.error().message;
  EXPECT_EQ(prepared->pixels.front(), 3 + 12 * 1);
  EXPECT_EQ(prepared->pixels.back(), 7 + 12 * 6);
}

TEST(ImagePreparation, TakesPercentilesAsNumPyDoes) {
  ImagePreparation how;
  how.columns = 12;
  how.rows = 10;
  how.range = GreyRange::percentiles;
  how.range_of = GreyRangeOf::region;
  how.low = 10;
  how.high = 90;
  how.eight_bits = false;
  // numpy.percentile([5, 1040, 1041, 1042, 1052, 1053, 1054], [10, 90]) = 626.0, 1053.4
  const auto prepared = prepare_slice(series(ramp()), region(), how);
  ASSERT_TRUE(prepared) << prepared.error().message;
  EXPECT_NEAR(prepared->pixels[40], (1040 - 626.0) / (1053.4 - 626.0) * 255, 1e-4);
  EXPECT_EQ(prepared->pixels[119], 255);
}

TEST(ImagePreparation, RefusesWhatANetworkCannotSee) {
  EXPECT_EQ(prepare_slice(series(std::vector<float>(360, 7)), region(), {}).error().code, ErrorCode::degenerate_input);
  const auto beside = VolumeGeometry::make(size, {2, 1, 5}, {40, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  EXPECT_EQ(prepare_slice(series(ramp()), *RegionOfInterest::make("GTVp", *beside, region().mask(), {}), {}).error().code, ErrorCode::geometry_mismatch);
  auto broken = ramp();
  broken[150] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(prepare_slice(series(broken), region(), {}).error().code, ErrorCode::degenerate_input);
  ImagePreparation how;
  how.rows = 0;
  EXPECT_EQ(prepare_slice(series(ramp()), region(), how).error().code, ErrorCode::invalid_argument);
}

TEST(DeepFeatures, AreTheNamedValueOfTheNetwork) {
  test::ModelMaker maker;
  maker.input("image", {-1, 3, 10, 12}).weights("w", {2, 3, 1, 1}, {1, 0, 0, 0, 1, 1}).output("y");
  maker.node("Conv", {"image", "w"}, {"c"});
  maker.node("GlobalAveragePool", {"c"}, {"mean"});
  maker.node("Flatten", {"mean"}, {"flat"});
  maker.node("Neg", {"flat"}, {"y"});
  DeepFeatureSettings settings;
  settings.preparation.columns = 12;
  settings.preparation.rows = 10;
  settings.preparation.mean = {0, 0, 0};
  settings.preparation.sd = {1, 1, 1};
  const auto network = DeepNetwork::prepare(maker.bytes(), "model/a network.onnx", settings);
  ASSERT_TRUE(network) << network.error().message;
  EXPECT_EQ(network->length(), 2U);
  EXPECT_EQ(network->label().substr(0, 18), "network-a-network-");
  EXPECT_EQ(network->label().size(), 26U);
  EXPECT_EQ(deep_feature_id(*network, 1).str(), network->label() + "_deep_1");
  const auto features = network->extract(series(ramp()), region());
  ASSERT_TRUE(features) << features.error().message;
  double mean = 0;
  for (const float pixel : features->pixels) mean += pixel / 255.0 / 120;
  ASSERT_EQ(features->values.size(), 2U);
  EXPECT_NEAR(features->values[0], -mean, 1e-6);
  EXPECT_NEAR(features->values[1], -2 * mean, 1e-6);
  settings.output = "flat";
  EXPECT_NEAR(DeepNetwork::prepare(maker.bytes(), "network.onnx", settings)->extract(series(ramp()), region())->values[0], mean, 1e-6);
}

TEST(DeepFeatures, RefuseANetworkThatIsNotWhatThePackageSays) {
  test::ModelMaker maker;
  maker.input("image", {-1, 3, 10, 12}).weights("w", {2, 3, 1, 1}, {1, 0, 0, 0, 1, 1}).output("c");
  maker.node("Conv", {"image", "w"}, {"c"});
  DeepFeatureSettings settings;
  settings.preparation.columns = 12;
  settings.preparation.rows = 10;
  const auto refusal = [&](const std::string& bytes) {
    const auto network = DeepNetwork::prepare(bytes, "network.onnx", settings);
    return network ? std::string() : network.error().message;
  };
  EXPECT_EQ(refusal(maker.bytes()), "");
  EXPECT_NE(refusal("no network").find("no ONNX file"), std::string::npos);
  settings.output = "nothing";
  EXPECT_NE(refusal(maker.bytes()).find("makes no value named 'nothing'"), std::string::npos);
  settings.output.clear();
  settings.input = "picture";
  EXPECT_NE(refusal(maker.bytes()).find("its input is 'image'"), std::string::npos);
  settings.input.clear();
  settings.preparation.rows = 12;
  EXPECT_NE(refusal(maker.bytes()).find("wants 10 along axis 2"), std::string::npos);
}

TEST(DeepFeatures, RefuseANetworkThatWouldTakeTooLong) {
  test::ModelMaker maker;
  maker.input("image", {-1, 3, 512, 512}).weights("w0", {16, 3, 1, 1}, std::vector<float>(48, 0.1F)).weights("w", {64, 16, 31, 31}, std::vector<float>(984'064, 0.001F)).output("c");
  maker.node("Conv", {"image", "w0"}, {"x"});
  test::ModelMaker::set(maker.node("Conv", {"x", "w"}, {"c"}), "pads", std::vector<std::int64_t>{15, 15, 15, 15});
  DeepFeatureSettings settings;
  settings.preparation.columns = settings.preparation.rows = 512;
  EXPECT_EQ(DeepNetwork::prepare(maker.bytes(), "network.onnx", settings).error().code, ErrorCode::limit_exceeded);
}

}  // namespace
}  // namespace choana::processing
