#include "reporting/charts/chart_page.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "core/sha256.h"
#include "tests/unit/charts/chart_findings.h"

namespace choana::reporting {
namespace {

using test::phantom_findings;
using test::phantom_prediction;

const ChartSettings settings{"en", "0.1.0", "3fa2c1d09b7e55aa0011223344556677", "20261121"};

std::vector<ChartPage> draw(const StudyFindings& findings, const ChartSettings& with = settings) {
  auto pages = draw_chart_pages(findings, with);
  EXPECT_TRUE(pages) << pages.error().message;
  if (!pages) return {};
  // CHOANA_CHART_DIR=DIR keeps the pages, for looking at them.
  if (const char* folder = std::getenv("CHOANA_CHART_DIR")) {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    static int number = 0;
    for (const auto& page : *pages)
      EXPECT_TRUE(write_png(page, std::filesystem::path(folder) / (std::string(test->name()) + "-" + std::to_string(number++) + "-" + page.name + ".png")));
  }
  return *pages;
}

std::array<int, 3> pixel(const ChartPage& page, int x, int y) {
  const auto at = 3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(page.width) + static_cast<std::size_t>(x));
  return {page.rgb[at], page.rgb[at + 1], page.rgb[at + 2]};
}

// Is this strip of rows nothing but the ground colour?
bool strip_is_clear(const ChartPage& page, int from, int to) {
  for (int y = from; y < to; ++y)
    for (int x = 0; x < page.width; ++x)
      if (pixel(page, x, y) != pixel(page, 0, 0)) return false;
  return true;
}

void expect_sound(const ChartPage& page) {
  EXPECT_EQ(page.width, 1280);
  EXPECT_EQ(page.height, 960);
  ASSERT_EQ(page.rgb.size(), 1280u * 960u * 3u);
  EXPECT_FALSE(page.name.empty());
  EXPECT_FALSE(page.description.empty());
  // Viewers write in the top and bottom tenth (spec/sr.md 9.1).
  EXPECT_TRUE(strip_is_clear(page, 0, 92)) << page.name;
  EXPECT_TRUE(strip_is_clear(page, 868, 960)) << page.name;
  for (int y = 0; y < page.height; ++y) {
    EXPECT_EQ(pixel(page, 20, y), pixel(page, 0, 0)) << "left margin, row " << y;
    EXPECT_EQ(pixel(page, 1260, y), pixel(page, 0, 0)) << "right margin, row " << y;
  }
}

TEST(ChartPages, ShowAPredictionWithThreeSeries) {
  auto findings = phantom_findings({"T1", "T2", "T1C"}, {256, 256, 24});
  findings.predictions.push_back(phantom_prediction());
  const auto pages = draw(findings);
  ASSERT_EQ(pages.size(), 3u);
  for (const auto& page : pages) expect_sound(page);
  EXPECT_EQ(pages[0].explains, "CR");
  EXPECT_TRUE(pages[0].roi.empty());
  // The page of slices illustrates the region on the enhanced series.
  EXPECT_EQ(pages[2].roi, "GTVp");
  EXPECT_EQ(pages[2].source_series_uid, "1.2.3.4.3");
  EXPECT_EQ(pages[0].source_series_uid, "1.2.3.4.1");
  const int k = findings.measured[0].rois[0].largest_slice();
  EXPECT_EQ(pages[0].slice, findings.measured[0].volume.reference().slices[static_cast<std::size_t>(k)]);
}

TEST(ChartPages, AreEqualByteForByteWhenDrawnTwice) {
  auto findings = phantom_findings({"T1", "T2"});
  findings.predictions.push_back(phantom_prediction());
  const auto first = draw(findings), second = draw(findings);
  ASSERT_EQ(first.size(), second.size());
  for (std::size_t n = 0; n < first.size(); ++n) EXPECT_EQ(first[n].rgb, second[n].rgb);
}

TEST(ChartPages, ShowMeasurementsAloneWithoutAPrediction) {
  const auto pages = draw(phantom_findings({"MR"}));
  ASSERT_EQ(pages.size(), 2u);
  EXPECT_EQ(pages[0].name, "measurements");
  EXPECT_TRUE(pages[0].explains.empty());
  expect_sound(pages[0]);
}

TEST(ChartPages, GiveOneRegionOnOneSeriesTheWholePage) {
  const auto pages = draw(phantom_findings({"T2"}, {128, 128, 12}, false));
  ASSERT_EQ(pages.size(), 2u);
  for (const auto& page : pages) expect_sound(page);
}

TEST(ChartPages, KeepTheirMarginsForAnyNumberOfSeries) {
  const std::vector<std::string> roles{"T1", "T2", "T1C", "DWI-b800", "ADC", "T1C-FS", "MR"};
  for (std::size_t count : {0u, 1u, 2u, 4u, 5u, 7u}) {
    auto findings = phantom_findings({roles.begin(), roles.begin() + static_cast<std::ptrdiff_t>(count)});
    findings.predictions.push_back(phantom_prediction());
    for (const auto& page : draw(findings)) expect_sound(page);
  }
}

TEST(ChartPages, ShortenWhatIsTooLong) {
  auto findings = phantom_findings({"T1", "T2"});
  auto prediction = phantom_prediction();
  const std::string word(300, 'W');
  prediction.title = prediction.output = prediction.group = prediction.performance = prediction.package = prediction.version = word + " " + word;
  prediction.unit = "a very long unit of measurement that nobody needs";
  prediction.applicability = {false, {word + " " + word + " is outside 0 to 1.", "b", "c"}};
  for (auto& c : prediction.explanation.contributions) {
    c.label = word;
    c.unit = word;
  }
  findings.predictions.push_back(prediction);
  for (auto& series : findings.measured) {
    series.role = word;
    auto roi = series.rois[0];
    series.rois[0] = RegionOfInterest::make("GTV primary tumour of the nasopharynx with everything around it " + word, roi.geometry(), roi.mask(), {}).value();
  }
  for (auto& m : findings.measurements) m.role = word;
  for (const auto& page : draw(findings)) expect_sound(page);
}

TEST(ChartPages, SurviveExtremeValues) {
  auto findings = phantom_findings({"T2"});
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  for (const double value : {0.0, 100.0, -3e12, 1e300, infinity, nan}) {
    auto prediction = phantom_prediction();
    prediction.unit = value == 100.0 || value == 0.0 ? "%" : "1";
    prediction.value = value;
    prediction.interval_low = value;
    prediction.interval_high = infinity;
    prediction.threshold = nan;
    prediction.explanation.base = value;
    prediction.explanation.contributions[0].contribution = value;
    prediction.explanation.contributions[1].value = value;
    findings.predictions.push_back(prediction);
  }
  auto image = findings.measured[0].volume.voxels();
  image[5] = std::numeric_limits<float>::quiet_NaN();
  image[6] = std::numeric_limits<float>::infinity();
  findings.measured[0].volume = findings.measured[0].volume.with_voxels(image, PixelType::float32).value();
  for (const auto& page : draw(findings)) expect_sound(page);
  // A flat image has no window.
  std::fill(image.begin(), image.end(), 7.0f);
  findings.measured[0].volume = findings.measured[0].volume.with_voxels(image, PixelType::float32).value();
  findings.predictions.clear();
  for (const auto& page : draw(findings)) expect_sound(page);
}

TEST(ChartPages, SpeakChinese) {
  auto findings = phantom_findings({"T1", "T2", "T1C", "ADC"}, {128, 128, 12});
  auto prediction = phantom_prediction();
  prediction.title = "鼻咽癌放化疗疗效";
  prediction.output = "放化疗后 3 个月完全缓解";
  prediction.group = "可能缓解";
  prediction.performance = "AUC 0.81（95% CI 0.74–0.88），内部测试集，n = 200，合成数据";
  prediction.applicability = {false, {"T2 序列的层厚 6 mm 超出训练范围 3 至 5 mm。"}};
  findings.predictions.push_back(prediction);
  ChartSettings chinese = settings;
  chinese.language = "zh";
  const auto pages = draw(findings, chinese);
  ASSERT_EQ(pages.size(), 3u);
  for (const auto& page : pages) expect_sound(page);
  EXPECT_NE(pages[1].rgb, draw(findings)[1].rgb);
}

TEST(ChartPages, SurviveTextThatIsNotUtf8) {
  auto findings = phantom_findings({"T2"});
  auto prediction = phantom_prediction();
  prediction.title = "\xFF\xFE broken \xC3";
  prediction.output = std::string("nul\0inside", 10);
  findings.predictions.push_back(prediction);
  for (const auto& page : draw(findings)) expect_sound(page);
}

TEST(ChartPages, SayWhyAStudyWasNotAnalysed) {
  StudyFindings findings;
  findings.outcome = Outcome::not_analysed;
  findings.reason = {ErrorCode::missing_role, "roles", "No contrast-enhanced T1 series was found. Send one, or enable a model that does not need it.", ""};
  const auto pages = draw(findings);
  ASSERT_EQ(pages.size(), 1u);
  expect_sound(pages[0]);
}

TEST(ChartPages, GiveEachPredictionItsPage) {
  auto findings = phantom_findings({"T2"});
  findings.predictions = {phantom_prediction(), phantom_prediction()};
  findings.predictions[1].endpoint = "OS";
  findings.predictions[1].value = 23.5;
  findings.predictions[1].unit = "month";
  findings.predictions[1].explanation = {};
  findings.predictions[1].risk = "high";
  findings.predictions[1].group = "high risk";
  findings.predictions[1].threshold = 30;
  findings.predictions[1].interval_low.reset();
  const auto pages = draw(findings);
  ASSERT_EQ(pages.size(), 4u);
  EXPECT_NE(pages[0].name, pages[1].name);
  EXPECT_EQ(pages[1].explains, "OS");
}

// A Cox model's outputs at three horizons, robust or not, far from the training data or not.
std::vector<Prediction> survival_predictions(bool robust, std::size_t flags) {
  std::vector<Prediction> outputs;
  SurvivalCurve curve{"month", {}, {}, {12, 24, 36}};
  for (int n = 1; n <= 40; ++n) {
    curve.time.push_back(1.4 * n + (n % 3) * 0.3);
    curve.survival.push_back(std::exp(-0.012 * n - (n > 20 ? 0.01 * (n - 20) : 0)));
  }
  for (const double horizon : curve.horizons) {
    Prediction p = phantom_prediction();
    p.title = "Overall survival of locoregionally advanced nasopharyngeal carcinoma";
    p.output = "Survival at " + std::to_string(static_cast<int>(horizon)) + " months";
    p.endpoint = "OS" + std::to_string(static_cast<int>(horizon));
    p.value = 100 * std::exp(-0.009 * horizon);
    p.interval_low = p.value - 6;
    p.interval_high = p.value + 3.5;
    p.survival_curve = curve;
    if (robust) p.robustness = Robustness{20, 19, 0.95, 0.5, 2, 0.5, {"T2 wavelet-HHL glcm Imc2", "T1C log-sigma-3-0-mm-3D glszm SmallAreaLowGrayLevelEmphasis", "T2 original shape Sphericity"}, {}};
    else p.interval_low = p.interval_high = std::nullopt;
    const std::vector<std::string> all{"T2 repetition time 9,800 ms lies outside 2,000 to 8,000 ms of the training data.", "T2 manufacturer is not stated; the training data came from SIEMENS, GE, Philips.",
                                       "The features together lie far from the training data: squared Mahalanobis distance 36.56, limit 25 (the 97.5 % quantile of the training data)."};
    p.applicability.flags.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(flags));
    p.applicability.inside = flags == 0;
    outputs.push_back(std::move(p));
  }
  return outputs;
}

TEST(ChartPages, ShowSurvivalIntervalAndFlagsOnAPageForEachModel) {
  for (const char* language : {"en", "zh"})
    for (const bool robust : {true, false})
      for (const std::size_t flags : {0u, 3u}) {
        auto findings = phantom_findings({"T1", "T2"});
        findings.predictions = survival_predictions(robust, flags);
        const auto pages = draw(findings, {language, "0.1.0", "3fa2c1d09b7e55aa0011223344556677", "20261121"});
        ASSERT_EQ(pages.size(), 6u);
        EXPECT_EQ(pages[3].name, "reliability");
        expect_sound(pages[3]);
      }
}

TEST(ChartPages, ShowAnIntervalWithoutASurvivalCurve) {
  auto findings = phantom_findings({"T2"});
  Prediction p = phantom_prediction();
  p.robustness = Robustness{20, 20, 0.95, 0.5, 2, 0.5, {}, {"T2 deep 66", "T2 deep 104"}};
  findings.predictions = {p};
  auto pages = draw(findings);
  ASSERT_EQ(pages.size(), 4u);
  expect_sound(pages[1]);
  p.robustness.reset();
  p.applicability = {true, {"One flag has room on the page of the prediction."}};
  findings.predictions = {p};
  EXPECT_EQ(draw(findings).size(), 3u);
}

TEST(ChartPages, KeepLongNamesAndStrangeCurvesWithinThePage) {
  const std::string word(120, 'W');
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<SurvivalCurve> curves{{"month", {}, {}, {}}, {"day", {}, {}, {365, 1095}}, {"year", {1}, {0.5}, {}}, {word, {1, 2, 3}, {nan, infinity, -4}, {1e300, nan, -1, infinity}},
                                          {"", {12, 24, 36, 48}, {0.9, 0.8, 0.75, 0.6}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}, {"day", {1e-9}, {0.99}, {}}};
  for (const char* language : {"en", "zh"})
    for (const SurvivalCurve& curve : curves) {
      auto findings = phantom_findings({"T2"});
      for (int n = 0; n < 6; ++n) {
        Prediction p = phantom_prediction();
        p.title = p.output = word + " " + word + std::to_string(n);
        p.package = "one";
        p.version = "1";
        p.unit = n % 2 == 0 ? "%" : "1";
        if (n == 3) p.interval_low = nan;
        if (n == 4) p.value = infinity;
        p.survival_curve = curve;
        p.robustness = Robustness{20, 20, 0.95, 0.5, 2, 0.5, std::vector<std::string>(30, word), std::vector<std::string>(9, word)};
        p.applicability = {false, std::vector<std::string>(12, word + " " + word + " lies outside 0 to 1.")};
        findings.predictions.push_back(std::move(p));
      }
      for (const auto& page : draw(findings, {language, "", "", ""})) expect_sound(page);
    }
}

TEST(WritePng, WritesAPngAndRefusesAnEmptyPage) {
  const auto file = std::filesystem::temp_directory_path() / ("choana-chart-" + sha256_hex(std::to_string(::testing::UnitTest::GetInstance()->random_seed())).substr(0, 8) + ".png");
  const auto pages = draw(phantom_findings({"T1"}));
  ASSERT_TRUE(write_png(pages[0], file));
  std::ifstream in(file, std::ios::binary);
  std::string head(8, '\0');
  in.read(head.data(), 8);
  EXPECT_EQ(head, "\x89PNG\r\n\x1A\n");
  std::filesystem::remove(file);
  EXPECT_EQ(write_png({}, file).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(write_png(pages[0], "/nonexistent/folder/page.png").error().code, ErrorCode::io_error);
}

}  // namespace
}  // namespace choana::reporting
