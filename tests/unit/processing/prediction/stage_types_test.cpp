// Stages of a package beyond learners and feature maps: survival by a cox stage, calibration.

#include <gtest/gtest.h>

#include "processing/prediction/learners/cox_model.h"
#include "tests/unit/processing/prediction/table_package.h"

namespace choana::processing {
namespace {

using test::TablePackage;

void replace(std::string& text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
}

// The lung data of R's survival 3.5-3 (R 4.2.2): 227 complete cases of age, sex and ph.ecog, Efron ties, survfit's baseline at the means; some of its 138 steps.
struct LungPackage : TablePackage {
  LungPackage() {
    features = {{"age", 62.458149779735686, 9, 39, 82}, {"sex", 1.3964757709251101, 0.5, 1, 2}, {"ecog", 0.95154185022026427, 0.7, 0, 3}};
    stages = "  - {id: survival, type: cox, file: model/cox.ir.json, in: table, time_unit: day}\n";
    outputs =
        "  - {from: survival, name: Log hazard, decimals: 2, primary: true}\n"
        "  - {from: survival, name: Survival at one year, horizon: 365}\n"
        "  - {from: survival, name: Survival at two years, horizon: 730}\n";
    more = "thresholds:\n  - {on: survival, value: 0.2, label: high risk, otherwise: low risk, risk: high, otherwise_risk: low}\n";
    files = {{"model/cox.ir.json", R"({"ir": 1, "kind": "cox", "features": ["age", "sex", "ecog"], "coef": [0.011066764560073482, -0.552612395703630965, 0.463728475370427662],
 "centre": [62.45814977973568460, 1.39647577092511010, 0.95154185022026427], "ties": "efron", "baseline": {"at": "centre", "time": [5, 95, 105, 364, 371, 728, 731, 883],
 "cumulative_hazard": [0.0039630224647066326, 0.1302706383640558074, 0.1350565641979070697, 0.8805366045597420310, 0.9122674173564961908, 2.1772191576564918769, 2.2627329668459950085, 2.9801799047535286746]}})"}};
    columns = {"survival", "survival.margin"};
    for (int r = 0; r < 20; ++r) {
      const double age = 45 + 2 * r, sex = 1 + r % 2, ecog = r % 3;
      const double margin = 0.011066764560073482 * (age - 62.45814977973568460) - 0.552612395703630965 * (sex - 1.39647577092511010) + 0.463728475370427662 * (ecog - 0.95154185022026427);
      rows.push_back({number(age), number(sex), number(ecog), number(margin), number(margin)});
    }
  }
};

TEST(SurvivalStage, GivesTheSurvivalOfR) {
  const auto package = ModelPackage::admit(LungPackage().build());
  ASSERT_TRUE(package) << to_string(package.error());
  // summary(survfit(f, newdata), times): linear predictor, S(100), S(365), S(730)
  const double figures[][7] = {{50, 2, 0, -0.91264343201452702, 0.94904538566234742, 0.70222485511757371, 0.41724994377843649},
                               {74, 1, 2, 0.83302826387172291, 0.741071499590590266, 0.131931095937363796, 0.006682917008770814},
                               {62, 1, 1, 0.23649861378041342, 0.847870302383196606, 0.327761562885667213, 0.063411258413368518}};
  for (const auto& f : figures) {
    const auto predictions = package->predict({{"age", f[0]}, {"sex", f[1]}, {"ecog", f[2]}});
    ASSERT_TRUE(predictions) << to_string(predictions.error());
    ASSERT_EQ(predictions->size(), 3U);
    EXPECT_NEAR((*predictions)[0].value, f[3], 1e-12);
    EXPECT_NEAR((*predictions)[1].value, 100 * f[5], 1e-10);
    EXPECT_NEAR((*predictions)[2].value, 100 * f[6], 1e-10);
    for (const Prediction& prediction : *predictions) {
      ASSERT_TRUE(prediction.survival_curve);
      const SurvivalCurve& curve = *prediction.survival_curve;
      EXPECT_EQ(curve.time_unit, "day");
      EXPECT_EQ(curve.horizons, (std::vector<double>{365, 730}));
      ASSERT_EQ(curve.time.size(), 8U);
      ASSERT_EQ(curve.survival.size(), 8U);
      EXPECT_EQ(curve.time[1], 95);
      EXPECT_NEAR(curve.survival[1], f[4], 1e-12);
      EXPECT_NEAR(curve.survival[3], f[5], 1e-12);
      EXPECT_NEAR(curve.survival[5], f[6], 1e-12);
      double sum = prediction.explanation.base;
      for (const Contribution& part : prediction.explanation.contributions) sum += part.contribution;
      EXPECT_NEAR(sum, f[3], 1e-12);
    }
  }
}

TEST(SurvivalStage, MakesRiskGroupsByTheLogHazardForEveryOutput) {
  const auto package = ModelPackage::admit(LungPackage().build());
  ASSERT_TRUE(package) << to_string(package.error());
  for (const bool high : {false, true}) {
    const auto predictions = package->predict({{"age", high ? 74 : 50}, {"sex", high ? 1 : 2}, {"ecog", high ? 2 : 0}});
    ASSERT_TRUE(predictions);
    for (const Prediction& prediction : *predictions) {
      EXPECT_EQ(prediction.group, high ? "high risk" : "low risk") << prediction.output;
      EXPECT_EQ(prediction.risk, high ? "high" : "low");
    }
    EXPECT_DOUBLE_EQ(*(*predictions)[0].threshold, 0.2);
    EXPECT_NEAR(*(*predictions)[1].threshold, 100 * std::exp(-0.8805366045597420310 * std::exp(0.2)), 1e-10) << "the survival of a patient on the threshold, in the unit of the value";
  }
}

TEST(SurvivalStage, HasNoSurvivalToLoseBeforeTheFirstStep) {
  const CoxModel model{{1}, {0}, {1, 2}, {0, 0.5}};
  EXPECT_EQ(survival(model, 1000, 0.5), 1);
  EXPECT_EQ(survival(model, 1000, 1.5), 1) << "no hazard yet, whatever the patient's";
  EXPECT_EQ(survival(model, 1000, 2), 0);
  EXPECT_EQ(survival_steps(model, 1000), (std::vector<double>{1, 0}));
}

// A linear score of two features, calibrated.
struct CalibrationPackage : TablePackage {
  std::function<double(double)> calibrate;
  CalibrationPackage(const std::string& params, const std::string& in, const std::string& link, std::function<double(double margin, double value)> margin, std::function<double(double)> probability) {
    features = {{"a", 1, 2, -9, 9}, {"b", 0, 1, -9, 9}};
    stages = "  - {id: score, type: linear, file: model/score.ir.json, in: table}\n  - {id: calibrated, type: calibration, params: " + params + ", in: " + in + "}\n";
    outputs = "  - {from: calibrated, name: Probability}\n";
    more = "thresholds:\n  - {on: calibrated, value: 0.5, label: more likely, otherwise: less likely}\n";
    files = {{"model/score.ir.json", R"({"ir": 1, "kind": "linear", "features": ["a", "b"], "coef": [0.5, -0.75], "intercept": [0.25], "link": ")" + link + "\"}"}};
    columns = {"score", "score.margin", "calibrated", "calibrated.margin"};
    for (int r = 0; r < 20; ++r) {
      const double a = -3 + 0.4 * r, b = 2 - 0.3 * (r % 7), m = 0.5 * a - 0.75 * b + 0.25, v = link == "logistic" ? 1 / (1 + std::exp(-m)) : m;
      const double x = in == "[score]" ? v : m;
      rows.push_back({number(a), number(b), number(v), number(m), number(probability(x)), number(margin(m, x))});
    }
  }
};

double isotonic(double x) { return x <= -1 ? 0.1 : x >= 2 ? 0.9 : x < 0.5 ? 0.1 + 0.3 * (x + 1) / 1.5 : 0.4 + 0.5 * (x - 0.5) / 1.5; }
const char* const isotonic_params = "{method: isotonic, x: [-1, 0.5, 2], y: [0.1, 0.4, 0.9]}";

// 1 / (1 + exp(a x + b)): CalibratedClassifierCV(method="sigmoid"), Platt 1999.
CalibrationPackage sigmoid_package() {
  return {"{method: sigmoid, a: -1.5, b: 0.25}", "[score.margin]", "logistic", [](double, double x) { return 1.5 * x - 0.25; }, [](double x) { return 1 / (1 + std::exp(-1.5 * x + 0.25)); }};
}

void expect_contributions(const CalibrationPackage& source, double factor, double base) {
  const auto package = ModelPackage::admit(source.build());
  ASSERT_TRUE(package) << to_string(package.error());
  const auto prediction = package->predict({{"a", 3}, {"b", -1}});
  ASSERT_TRUE(prediction) << to_string(prediction.error());
  const Explanation& explanation = prediction->front().explanation;
  EXPECT_EQ(explanation.method, "linear");
  ASSERT_EQ(explanation.contributions.size(), 2U);
  EXPECT_NEAR(explanation.contributions[0].contribution, factor * 0.5 * (3 - 1), 1e-12);
  EXPECT_NEAR(explanation.contributions[1].contribution, factor * -0.75 * (-1 - 0), 1e-12);
  EXPECT_NEAR(explanation.base, base, 1e-12);
  EXPECT_NEAR(explanation.output, *prediction->front().margin, 1e-12);
  EXPECT_EQ(prediction->front().unit, "%");
}

TEST(CalibrationStage, IsExplainedByTheStageThatItCalibrates) {
  expect_contributions(sigmoid_package(), 1.5, 1.5 * 0.75 - 0.25);
  // A value that is the margin itself: the isotonic map is explained by what it maps.
  expect_contributions({isotonic_params, "[score]", "identity", [](double m, double) { return m; }, isotonic}, 1, 0.75);
  // A probability: not linear in the margin, which is then the calibration's own.
  expect_contributions({"{method: isotonic, x: [0.2, 0.6], y: [0.3, 0.5]}", "[score]", "logistic", [](double m, double) { return m; },
                        [](double x) { return x <= 0.2 ? 0.3 : x >= 0.6 ? 0.5 : 0.3 + 0.5 * (x - 0.2); }}, 1, 0.75);
  expect_contributions({"{method: sigmoid, a: -4, b: 2}", "[score]", "logistic", [](double m, double) { return m; }, [](double x) { return 1 / (1 + std::exp(-4 * x + 2)); }}, 1, 0.75);
}

TEST(CalibrationStage, ReachesZeroAndOneAndIsFlatOutsideItsPoints) {
  const CalibratedModel::Calibrator map{true, 0, 0, {-1, 0.5, 2}, {0, 0.4, 1}};
  EXPECT_EQ(calibrate(map, -5), 0);
  EXPECT_EQ(calibrate(map, 7), 1);
  EXPECT_DOUBLE_EQ(calibrate(map, -0.25), 0.2);
  const CalibratedModel::Calibrator one_point{true, 0, 0, {1}, {0.3}};
  EXPECT_EQ(calibrate(one_point, 0), 0.3);
  EXPECT_EQ(calibrate(one_point, 2), 0.3);
}

struct Damage {
  const char* what;
  std::function<void(TablePackage&)> change;
  const char* said;
};

Damage in_stages(const char* what, const std::string& from, const std::string& to, const char* said) {
  return {what, [=](TablePackage& p) { replace(p.stages, from, to); }, said};
}

TEST(CalibrationStage, RefusesWhatIsWrongAndSaysWhat) {
  const Damage damages[] = {
      in_stages("y that falls", "y: [0.1, 0.4, 0.9]", "y: [0.1, 0.4, 0.3]", "y in the manifest must not fall"),
      in_stages("x that does not ascend", "x: [-1, 0.5, 2]", "x: [-1, 2, 0.5]", "x in the manifest must ascend"),
      in_stages("x twice", "x: [-1, 0.5, 2]", "x: [-1, 0.5, 0.5]", "must ascend"),
      in_stages("a y too few", "y: [0.1, 0.4, 0.9]", "y: [0.1, 0.4]", "as many numbers"),
      in_stages("no point", "x: [-1, 0.5, 2], y: [0.1, 0.4, 0.9]", "x: [], y: []", "at least one"),
      in_stages("no probability", "y: [0.1, 0.4, 0.9]", "y: [0.1, 0.4, 1.9]", "probabilities of 0 to 1"),
      in_stages("an infinite x", "x: [-1, 0.5, 2]", "x: [-1, 0.5, .inf]", "finite numbers"),
      in_stages("an unknown method", "method: isotonic", "method: isotone", "Did you mean isotonic"),
      in_stages("a parameter of the other method", "y: [0.1, 0.4, 0.9]", "y: [0.1, 0.4, 0.9], a: 1", "unknown key"),
      in_stages("two values", "in: [score]", "in: table", "calibrates one value, and 2 are given"),
      in_stages("other points than the self-test's", "y: [0.1, 0.4, 0.9]", "y: [0.1, 0.4001, 0.9]", "stage calibrated"),
      {"another way to explain", [](TablePackage& p) { p.more += "explain: {calibrated: {method: permutation}}\n"; }, "is explained by the stage that it calibrates"},
  };
  for (const Damage& damage : damages) {
    SCOPED_TRACE(damage.what);
    CalibrationPackage source{isotonic_params, "[score]", "identity", [](double m, double) { return m; }, isotonic};
    ASSERT_TRUE(ModelPackage::admit(source.build()));
    damage.change(source);
    const auto package = ModelPackage::admit(source.build());
    ASSERT_FALSE(package);
    EXPECT_NE(package.error().message.find(damage.said), std::string::npos) << package.error().message;
  }
}

TEST(SurvivalStage, RefusesWhatIsWrongAndSaysWhat) {
  const Damage damages[] = {
      {"another unit of an output", [](TablePackage& p) { replace(p.outputs, "horizon: 365", "horizon: 12, time_unit: month"); }, "has a baseline in the unit day"},
      {"two units of outputs", [](TablePackage& p) {
         replace(p.stages, ", time_unit: day", "");
         replace(p.outputs, "horizon: 365", "horizon: 12, time_unit: month");
         replace(p.outputs, "horizon: 730", "horizon: 730, time_unit: day");
       }, "in different units"},
      in_stages("an unknown unit", "time_unit: day", "time_unit: days", "Did you mean day"),
      {"a horizon of 0", [](TablePackage& p) { replace(p.outputs, "horizon: 365", "horizon: 0"); }, "must be above zero"},
      {"a hazard that falls", [](TablePackage& p) { replace(p.files["model/cox.ir.json"], "2.1772191576564918769", "0.1772191576564918769"); }, "falls"},
      {"a negative hazard", [](TablePackage& p) { replace(p.files["model/cox.ir.json"], "[0.0039630224647066326", "[-0.0039630224647066326"); }, "falls"},
      {"times out of order", [](TablePackage& p) { replace(p.files["model/cox.ir.json"], "[5, 95,", "[95, 5,"); }, "ascending"},
  };
  for (const Damage& damage : damages) {
    SCOPED_TRACE(damage.what);
    LungPackage source;
    damage.change(source);
    const auto package = ModelPackage::admit(source.build());
    ASSERT_FALSE(package);
    EXPECT_NE(package.error().message.find(damage.said), std::string::npos) << package.error().message;
  }
}

}  // namespace
}  // namespace choana::processing
