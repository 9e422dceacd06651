// IBSI chapter 1: the digital phantom, every value of the reference manual.

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <tuple>

#include "processing/radiomics/ibsi/digital_phantom.h"
#include "processing/radiomics/ibsi/ibsi_extractor.h"
#include "tests/support/csv.h"
#include "tests/support/shared_data.h"

namespace choana::processing::ibsi {
namespace {

IbsiProfile profile_file(const std::string& name) {
  std::ifstream in(std::filesystem::path(CHOANA_SOURCE_DIR) / "conf/profiles" / (name + ".yaml"));
  std::stringstream text;
  text << in.rdbuf();
  const auto profile = parse_ibsi_profile(text.str(), name);
  EXPECT_TRUE(profile.has_value()) << name << ": " << (profile ? "" : profile.error().message);
  return profile ? *profile : IbsiProfile{};
}

std::map<std::pair<std::string, std::string>, IbsiFeatureValue> phantom_values() {
  std::map<std::pair<std::string, std::string>, IbsiFeatureValue> values;
  const auto result = extract_ibsi_features(phantom_image(), phantom_mask(), 1, profile_file("ibsi-phantom"));
  EXPECT_TRUE(result.has_value());
  if (result)
    for (const IbsiFeatureValue& feature : result->features) {
      const bool texture = feature.name().ends_with(feature.aggregation);
      values[{feature.tag, texture ? feature.aggregation : ""}] = feature;
    }
  return values;
}

TEST(IbsiDigitalPhantom, GivesEveryReferenceValueOfTheManual) {
  const auto values = phantom_values();
  std::size_t passed = 0;
  for (const PhantomReference& reference : phantom_references()) {
    const auto found = values.find({std::string(reference.tag), std::string(reference.aggregation)});
    ASSERT_NE(found, values.end()) << reference.tag << " " << reference.aggregation;
    ASSERT_TRUE(found->second.computed()) << reference.tag;
    EXPECT_EQ(found->second.code, reference.code) << reference.tag;
    const bool good = std::abs(found->second.number() - PhantomReference::number(reference.value)) <= reference.allowed_deviation();
    EXPECT_TRUE(good) << reference.tag << " " << reference.aggregation << ": " << found->second.number() << ", reference " << reference.value << " tolerance "
                      << reference.tolerance;
    passed += good ? 1 : 0;
  }
  EXPECT_EQ(passed, 482u);
  EXPECT_EQ(values.size(), 482u);
}

// The embedded values are those of the shared table, and the image that of the NIfTI files.
TEST(IbsiDigitalPhantom, HoldsTheValuesOfTheSharedTable) {
  CHOANA_NEEDS_SHARED("reference/ibsi/phase1/ibsi1_reference_values.csv");
  const auto rows = test::read_csv(test::shared_dir() / "reference/ibsi/phase1/ibsi1_reference_values.csv");
  std::set<std::tuple<std::string, std::string, std::string, std::string, std::string>> table;
  for (const auto& row : rows)
    if (row[4] == "digital_phantom") table.emplace(row[3], row[0], row[5], row[6], row[7]);
  std::set<std::tuple<std::string, std::string, std::string, std::string, std::string>> embedded;
  for (const PhantomReference& r : phantom_references())
    embedded.emplace(std::string(r.tag), std::string(r.code), std::string(r.aggregation), std::string(r.value), std::string(r.tolerance));
  EXPECT_EQ(table, embedded);
}

}  // namespace
}  // namespace choana::processing::ibsi
