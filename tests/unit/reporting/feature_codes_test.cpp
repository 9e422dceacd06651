#include "reporting/feature_codes.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "tests/support/shared_data.h"

namespace choana::reporting {
namespace {

FeatureId id(const char* text) { return FeatureId::parse(text).value(); }

TEST(FeatureCodes, FitDicomAndAreDistinct) {
  std::set<std::pair<std::string, std::string>> seen;
  std::set<std::string> schemes;
  ASSERT_GE(feature_codes().size(), 107U);
  for (const FeatureCode& row : feature_codes()) {
    SCOPED_TRACE(row.name);
    EXPECT_LE(row.concept_name.value.size(), 16U);  // SH
    EXPECT_LE(row.concept_name.meaning.size(), 64U);  // LO
    EXPECT_FALSE(row.concept_name.meaning.empty());
    EXPECT_TRUE(seen.insert({row.concept_name.value, row.concept_name.scheme}).second);
    schemes.insert(row.concept_name.scheme);
    EXPECT_FALSE(row.unit.code.empty());
    EXPECT_TRUE((std::set<std::string>{"none", "geom", "I", "I^2", "I^2.mm3"}).contains(row.intensity_power));
  }
  EXPECT_EQ(schemes, (std::set<std::string>{"99CHOANA", "IBSI"}));
}

TEST(FeatureCodes, KnowTheIbsiManual) {
  // IBSI reference manual (theibsi/ibsi-doc), names of the sections.
  EXPECT_EQ(feature_code(id("original_firstorder_Mean")).concept_name, (CodedConcept{"Q4LE", "IBSI", "Mean Intensity"}));
  EXPECT_EQ(feature_code(id("wavelet-HHL_glcm_JointEntropy")).concept_name.value, "TU9B");
  // PyRadiomics' kurtosis is IBSI IPH6 + 3 and must not carry its code.
  EXPECT_EQ(feature_code(id("original_firstorder_Kurtosis")).concept_name.scheme, "99CHOANA");
}

TEST(FeatureCodes, UnitsFollowTheIntensities) {
  EXPECT_EQ(feature_unit(id("original_firstorder_Mean"), false).code, "1");
  EXPECT_EQ(feature_unit(id("original_firstorder_Mean"), true).code, "[arb'U]");
  EXPECT_EQ(feature_unit(id("original_firstorder_Variance"), true).code, "[arb'U]2");
  EXPECT_EQ(feature_unit(id("original_firstorder_TotalEnergy"), true).code, "[arb'U]2.mm3");
  EXPECT_EQ(feature_unit(id("log-sigma-3-0-mm-3D_firstorder_Mean"), true).code, "1");
  EXPECT_EQ(feature_unit(id("original_shape_MeshVolume"), true).code, "mm3");
}

TEST(FeatureCodes, AnUnknownFeatureKeepsOneCodeForEver) {
  const auto code = feature_code(id("original_morph_AsphericityOfSomething"));
  EXPECT_EQ(code.concept_name.scheme, "99CHOANA");
  EXPECT_LE(code.concept_name.value.size(), 16U);
  EXPECT_EQ(code.concept_name, feature_code(id("wavelet-LLL_morph_AsphericityOfSomething")).concept_name);
  EXPECT_NE(code.concept_name, feature_code(id("original_morph_Another")).concept_name);
}

TEST(FeatureCodes, NormalisationIsReadFromSettingsAndSteps) {
  Measurement measurement;
  measurement.role = "T1";
  measurement.parameters = R"({"setting":{"binWidth":25,"normalize":false}})";
  StepRecord step;
  step.name = "normalise";
  EXPECT_TRUE(measured_raw_intensities(measurement, {}));
  step.role = "T1";
  EXPECT_FALSE(measured_raw_intensities(measurement, {step}));
  step.role = "T2";
  EXPECT_TRUE(measured_raw_intensities(measurement, {step}));
  step.role = "T1";
  measurement.parameters = R"({"preparation":[{"step":"n4","parameters":{}}],"profile":{"setting":{"normalize":false}}})";
  EXPECT_TRUE(measured_raw_intensities(measurement, {step}));
  measurement.parameters = R"({"preparation":[{"step":"normalise","parameters":{"mean":0}}],"profile":{}})";
  EXPECT_FALSE(measured_raw_intensities(measurement, {}));
  measurement.parameters = R"({"setting":{"normalize":true}})";
  EXPECT_FALSE(measured_raw_intensities(measurement, {}));
}

TEST(FeatureCodes, AgreeWithTheReferenceTable) {
  CHOANA_NEEDS_SHARED("spec/feature-codes.tsv");
  // Compiled from the IBSI manual and PS3.16; columns 1, 4, 5, 6, 7.
  std::ifstream in(test::shared_dir() / "spec/feature-codes.tsv");
  std::string line;
  std::getline(in, line);
  int rows = 0;
  while (std::getline(in, line)) {
    std::istringstream cells(line);
    std::string feature, family, name, value, scheme, meaning, unit;
    for (auto* cell : {&feature, &family, &name, &value, &scheme, &meaning, &unit}) std::getline(cells, *cell, '\t');
    const FeatureCode code = feature_code(FeatureId::parse(feature).value());
    EXPECT_EQ(code.concept_name, (CodedConcept{value, scheme, meaning})) << feature;
    EXPECT_EQ(code.unit.code, unit) << feature;
    ++rows;
  }
  EXPECT_EQ(rows, 107);
}

}  // namespace
}  // namespace choana::reporting
