// The small functions that reports are made of.

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

#include "reporting/image_transform.h"
#include "reporting/region_codes.h"
#include "reporting/sr/codes.h"
#include "reporting/sr/content_item.h"
#include "reporting/sr/report_texts.h"

namespace choana::reporting {
namespace {

TEST(DecimalString, IsShortAndExact) {
  EXPECT_EQ(decimal_string(0), "0");
  EXPECT_EQ(decimal_string(-2.5), "-2.5");
  EXPECT_EQ(decimal_string(364895.3), "364895.3");
  EXPECT_EQ(decimal_string(1e-5), "1e-5");
  EXPECT_EQ(decimal_string(1e300), "1e300");
  // Seen in OHIF over Orthanc 1.10: bare digits beyond 32 bits came out as 2380429710.
  EXPECT_EQ(decimal_string(101164677518.0), "101164677518.0");
  EXPECT_EQ(decimal_string(-2147483648.0), "-2147483648.0");
  EXPECT_EQ(decimal_string(2147483647.0), "2147483647");
}

TEST(DecimalString, LosesLittleInSixteenCharacters) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> exponent(-300, 300), mantissa(-10, 10);
  for (int n = 0; n < 20000; ++n) {
    const bool usual = n % 2 == 0;
    const double number = mantissa(random) * std::pow(10.0, usual ? std::fmod(exponent(random), 8) : exponent(random));
    const std::string text = decimal_string(number);
    ASSERT_LE(text.size(), 16U) << number;
    ASSERT_NEAR(std::strtod(text.c_str(), nullptr), number, std::abs(number) * (usual ? 1e-10 : 1e-8)) << text;
  }
}

TEST(ImageTransform, ReadsThePrefixesOfPyRadiomics) {
  EXPECT_TRUE(image_transform("original").original());
  const auto log = image_transform("log-sigma-3-5-mm-3D");
  EXPECT_EQ(log.filter.value, "FLT_LOG");
  EXPECT_EQ(log.log_sigma_mm, 3.5);
  EXPECT_EQ(log.label, "LoG sigma 3.5 mm");
  EXPECT_EQ(image_transform("log-sigma-10-0-mm-3D").label, "LoG sigma 10.0 mm");
  EXPECT_EQ(image_transform("log-sigma-1-mm-3D").label, "LoG sigma 1 mm") << "1 and 1.0 are two images in one profile";
  EXPECT_EQ(image_transform("log-sigma-1-0-mm-3D").label, "LoG sigma 1.0 mm");
  // As Python prints a small number.
  EXPECT_EQ(image_transform("log-sigma-1e-05-mm-3D").log_sigma_mm, 1e-05);
  EXPECT_EQ(image_transform("log-sigma-1e-05-mm-3D").label, "LoG sigma 1e-05 mm");
  EXPECT_EQ(image_transform("log-sigma-2-5e-05-mm-3D").log_sigma_mm, 2.5e-05);
  EXPECT_EQ(image_transform("log-sigma-1e+16-mm-3D").log_sigma_mm, 1e16);
  const auto wavelet = image_transform("wavelet2-LHH");
  EXPECT_EQ(wavelet.sub_band.value, "SB_LHH");
  EXPECT_EQ(wavelet.wavelet_level, 2);
  EXPECT_EQ(image_transform("squareroot").filter.value, "FLT_SQRT");
  EXPECT_EQ(image_transform("lbp-3D-k").map.value, "LBP_K");
  EXPECT_LE(image_transform("something-never-seen-before").filter.value.size(), 16U);
}

TEST(ModelInput, ReadsRoleAndFeature) {
  const auto input = model_input("T2.primary.wavelet-LLH_glcm_Idm");
  ASSERT_TRUE(input.feature.has_value());
  EXPECT_EQ(input.feature->str(), "wavelet-LLH_glcm_Idm");
  EXPECT_EQ(input.role, "T2");
  EXPECT_EQ(model_input("T1C_original_glcm_JointEntropy").role, "T1C");
  EXPECT_EQ(model_input("original_shape_Sphericity").role, "");
  EXPECT_FALSE(model_input("clinical.ebv_dna").feature.has_value());
  EXPECT_FALSE(model_input("age").feature.has_value());
  EXPECT_EQ(input_code("T1C.primary.original_glcm_JointEntropy", "").value, "TU9B");
  EXPECT_LE(input_code("clinical.ebv_dna", "EBV DNA").value.size(), 16U);
}

TEST(RegionCodes, ReadTheNamesOfRadiotherapy) {
  for (const char* name : {"GTVp", "GTV_p", "GTVnx", "GTV-T", "GTV primary", "GTVp1", "GTV P_2", "gtv-nx", "nasopharynx tumor"}) {
    EXPECT_EQ(region_codes(name, "").finding, codes::gtv_primary) << name;
    EXPECT_EQ(region_codes(name, "HEADNECK").site, codes::nasopharynx) << name;
  }
  for (const char* name : {"GTVnd", "GTVn", "GTVnd_L", "GTVln", "GTV_N", "lymph node", "GTVnL"}) EXPECT_EQ(region_codes(name, "NECK").finding, codes::gtv_nodal) << name;
  EXPECT_EQ(region_codes("GTVnd_L", "NECK").laterality, codes::left);
  EXPECT_EQ(region_codes("GTVnd_R", "NECK").laterality, codes::right);
  EXPECT_EQ(region_codes("鼻咽原发灶", "").finding, codes::gtv_primary);
  EXPECT_EQ(region_codes("颈部淋巴结", "").finding, codes::gtv_nodal);
  EXPECT_EQ(region_codes("GTVrpn", "").site, codes::retropharyngeal_lymph_node);
}

TEST(RegionCodes, ClaimNoMoreThanTheNameSays) {
  const auto mass = region_codes("GTV_Mass", "");
  EXPECT_EQ(mass.finding, codes::gtv);
  EXPECT_TRUE(mass.site.empty());
  EXPECT_EQ(region_codes("GTV_Mass", "BRAIN").site.meaning, "Brain");
  // A primary tumour elsewhere is not one of the nasopharynx.
  EXPECT_EQ(region_codes("GTVp", "PELVIS").site.meaning, "Pelvis");
  const auto organ = region_codes("Parotid_L", "");
  EXPECT_TRUE(organ.finding.empty());
  EXPECT_TRUE(organ.laterality.empty());
  EXPECT_EQ(region_codes("whatever", "", {"52988006", "SCT", "Lesion"}).finding.meaning, "Lesion");
}

TEST(RoleCodes, AreDistinctAndShort) {
  std::set<std::string> values;
  for (const char* role : {"T1", "T1-FS", "T1C", "T1C-FS", "T2", "T2-FS", "ADC", "DWI", "DWI-b0", "DWI-b800", "DWI-b1000", "MR", "OTHER"}) {
    const auto code = role_code(role);
    EXPECT_LE(code.value.size(), 16U);
    EXPECT_LE(code.meaning.size(), 64U);
    EXPECT_TRUE(values.insert(code.value).second) << role;
  }
}

TEST(ErrorCodes, StayDistinctAsCodeValues) {
  std::set<std::string> values;
  for (int n = 0; n <= static_cast<int>(ErrorCode::internal); ++n) EXPECT_TRUE(values.insert(std::string(to_string(static_cast<ErrorCode>(n))).substr(0, 16)).second);
}

TEST(CanonicalText, TellsTreesApart) {
  ContentItem a{Relation::contains, codes::finding, TextValue{"x"}, {}};
  ContentItem b = a;
  EXPECT_EQ(canonical_text(a), canonical_text(b));
  b.contains(codes::shap, NumberValue{0.1, {}});
  EXPECT_NE(canonical_text(a), canonical_text(b));
  ContentItem c = a;
  c.contains(codes::shap, NumberValue{std::nextafter(0.1, 1), {}});
  EXPECT_NE(canonical_text(b), canonical_text(c));
}

TEST(ReportTexts, APredictionOutsideTheTrainingRangeSaysSoFirst) {
  Prediction prediction;
  prediction.output = "Complete response";
  prediction.value = 73.4;
  EXPECT_TRUE(ReportTexts("en").headline(prediction).starts_with("Complete response: 73.4 %"));
  prediction.applicability.inside = false;
  EXPECT_TRUE(ReportTexts("en").headline(prediction).starts_with("CAUTION"));
  EXPECT_TRUE(ReportTexts("zh").headline(prediction).starts_with("注意"));
}

TEST(ReportTexts, SurvivalIsThatOfTheLastStepReached) {
  const SurvivalCurve curve{"month", {6, 12, 30}, {0.97, 0.9, 0.612}, {}};
  EXPECT_EQ(survival_at(curve, 0), 1);
  EXPECT_EQ(survival_at(curve, 5.99), 1);
  EXPECT_EQ(survival_at(curve, 12), 0.9);
  EXPECT_EQ(survival_at(curve, 1000), 0.612);
  EXPECT_EQ(survival_at({}, 3), 1);
  EXPECT_EQ(ReportTexts("en").time(1, "month"), "1 month");
  EXPECT_EQ(ReportTexts("en").time(12.5, "month"), "12.5 months");
  EXPECT_EQ(ReportTexts("zh").time(3, "year"), "3 年");
  SurvivalCurve many{"day", {}, {}, {}};
  for (int n = 1; n <= 1000; ++n) {
    many.time.push_back(n);
    many.survival.push_back(1 - n / 2000.0);
  }
  const std::string text = ReportTexts("en").survival(many);
  EXPECT_LT(text.size(), 1024U);
  EXPECT_NE(text.find("Steps (40 of 1000, time in days: survival): 1: "), std::string::npos) << text;
  EXPECT_NE(text.find("1000: 50.0 %"), std::string::npos) << text;
}

TEST(ReportTexts, TheHeadlineSaysWhatItsIntervalIs) {
  Prediction prediction;
  prediction.output = "Complete response";
  prediction.value = 73.4;
  prediction.interval_low = 61;
  prediction.interval_high = 82;
  EXPECT_NE(ReportTexts("en").headline(prediction).find("95% confidence interval 61.0 % to 82.0 %"), std::string::npos);
  prediction.robustness = Robustness{};
  EXPECT_NE(ReportTexts("en").headline(prediction).find("if drawn slightly differently 61.0 % to 82.0 %"), std::string::npos);
  EXPECT_EQ(ReportTexts("zh").headline(prediction).find("置信区间"), std::string::npos);
}

TEST(Readable, WritesNumbersForPeople) {
  EXPECT_EQ(readable(73.41, "%"), "73.4 %");
  EXPECT_EQ(readable(0.3123, "1"), "0.312");
  EXPECT_EQ(readable(12345.6, "mm3"), "12346 mm3");
}

}  // namespace
}  // namespace choana::reporting
