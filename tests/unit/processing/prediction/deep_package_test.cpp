#include <gtest/gtest.h>

#include <cmath>

#include "processing/prediction/model_package.h"
#include "processing/prediction/readers/manifest_reader.h"
#include "tests/support/deep_package.h"

namespace choana::processing {
namespace {

std::string refusal(const test::DeepPackage& copy) {
  copy.seal();
  const auto package = ModelPackage::load(copy.folder());
  return package ? std::string() : package.error().message;
}

TEST(DeepPackage, IsAdmittedWithItsNetworkReadyToRun) {
  const test::DeepPackage copy;
  const auto package = ModelPackage::load(copy.folder());
  ASSERT_TRUE(package) << package.error().message;
  ASSERT_EQ(package->networks().size(), 1U);
  EXPECT_EQ(package->networks()[0].length(), 6U);
  const RequiredNetwork& network = package->manifest().networks.front();
  EXPECT_EQ(network.on, "T2");
  EXPECT_EQ(network.settings.preparation.filter, ResizeFilter::bicubic);
  EXPECT_EQ(network.settings.preparation.range, GreyRange::percentiles);
  EXPECT_EQ(network.settings.preparation.range_of, GreyRangeOf::volume);
  EXPECT_TRUE(network.settings.preparation.crop_to_region);
  EXPECT_EQ(package->manifest().network_of(package->manifest().features[1]), 0U);
  EXPECT_EQ(network.position_of("deep_4"), 4U);
  for (const char* other : {"deep_", "deep_x", "deep_04", "deep_-1", "deeper_1", "deep", "deep_99999999999"}) EXPECT_FALSE(network.position_of(other)) << other;
}

TEST(DeepPackage, MayCountFromOneAndNameAnyValueOfTheGraph) {
  const test::DeepPackage copy;
  copy.replace("manifest.yaml", "crop: region", "first_index: 1, output: flat, crop: region");
  copy.seal();
  const auto package = ModelPackage::load(copy.folder());
  ASSERT_TRUE(package) << package.error().message;
  EXPECT_EQ(package->networks()[0].length(), 8U);
  EXPECT_EQ(package->manifest().networks.front().position_of("deep_1"), 0U);
  EXPECT_FALSE(package->manifest().networks.front().position_of("deep_0"));
}

TEST(DeepPackage, IsRefusedWhenFeaturesAndNetworkDoNotFit) {
  {
    const test::DeepPackage copy;
    copy.replace("features.csv", "deep,deep_4", "deep,deep_6");
    EXPECT_NE(refusal(copy).find("gives 6 values (deep_0 to deep_5)"), std::string::npos) << refusal(copy);
  }
  {
    const test::DeepPackage copy;
    copy.replace("features.csv", "deep,deep_4", "deep,net_4");
    EXPECT_NE(refusal(copy).find("no network of `deep` on T2 of primary gives a 'net_4'"), std::string::npos) << refusal(copy);
  }
  {
    const test::DeepPackage copy;
    copy.replace("manifest.yaml", "model/network.onnx", "model/other.onnx");
    EXPECT_NE(refusal(copy).find("model/other.onnx, which the package does not hold"), std::string::npos) << refusal(copy);
  }
  {
    const test::DeepPackage copy;
    copy.write("model/network.onnx", "this is no network");
    EXPECT_NE(refusal(copy).find("no ONNX file"), std::string::npos) << refusal(copy);
  }
  {
    const test::DeepPackage copy;
    copy.replace("manifest.yaml", "[32, 32]", "[48, 32]");
    EXPECT_NE(refusal(copy).find("wants 32 along axis 2"), std::string::npos) << refusal(copy);
  }
}

TEST(DeepPackage, ProvesItsNetworkOnARamp) {
  const test::DeepPackage copy;
  const auto package = ModelPackage::load(copy.folder());
  ASSERT_TRUE(package);
  const double value = package->networks()[0].ramp_output()[4];  // self: that both sides are held against each other
  char line[80];
  const auto with = [&](double stated) {
    const test::DeepPackage checked;
    checked.replace("manifest.yaml", "network: model/network.onnx", "network: model/network.onnx, check: model/check.csv");
    std::snprintf(line, sizeof line, "feature,value\ndeep_4,%.17g\n", stated);
    checked.write("model/check.csv", line);
    return refusal(checked);
  };
  EXPECT_EQ(with(value), "");
  EXPECT_EQ(with(value + 5e-5), "");
  EXPECT_NE(with(value + 1e-3).find("it computes something else here"), std::string::npos);
  const test::DeepPackage checked;
  checked.replace("manifest.yaml", "network: model/network.onnx", "network: model/network.onnx, check: model/check.csv");
  EXPECT_NE(refusal(checked).find("model/check.csv, which the package does not hold"), std::string::npos);
  checked.write("model/check.csv", "feature,value\ndeep_6,1\n");
  EXPECT_NE(refusal(checked).find("no value of the network"), std::string::npos);
}

TEST(DeepPackage, IsRefusedWhenItsManifestSaysWhatCannotBe) {
  const std::vector<std::tuple<const char*, const char*, const char*>> wrongs{
      {"margin_mm", "margin_m", "Did you mean"},      {"on: T2", "on: T1", "names the role 'T1'"},          {"of: primary", "of: node", "names the region 'node'"},
      {"low: 1, high: 99", "low: 99, high: 1", "below high"}, {"low: 1, high: 99", "low: 1, high: 101", "0 to 100"}, {"[32, 32]", "[32, 2]", "8 to 1024"},
      {"[0.25, 0.25, 0.25]", "[0.25, 0, 0.25]", "sd"},        {"bicubic", "nearest", "bilinear, bicubic"},           {"crop: region", "crop: slice", "no meaning"}};
  for (const auto& [from, to, said] : wrongs) {
    const test::DeepPackage copy;
    copy.replace("manifest.yaml", from, to);
    EXPECT_NE(refusal(copy).find(said), std::string::npos) << to << ": " << refusal(copy);
  }
}

}  // namespace
}  // namespace choana::processing
