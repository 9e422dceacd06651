#include "processing/prediction/feature_map.h"

#include <gtest/gtest.h>

#include "tests/unit/processing/prediction/table_package.h"

namespace choana::processing {
namespace {

using test::TablePackage;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

// Two sites; x' = ((x - alpha - beta c)/sigma - gamma)/sqrt(delta) sigma + alpha + beta c, written out here from the definition (Johnson 2007).
const char* const harmonisation = R"({"format": "choana-combat/1", "features": ["a", "b"], "alpha": [10, -2], "sigma2": [4, 0.25],
 "covariates": [{"name": "age", "beta": [0.1, 0.01]}],
 "sites": [{"name": "A", "match": [{"manufacturer": "SIEMENS", "manufacturer_model_name": "Skyra", "field_strength_t": 3.0}], "gamma": [0.5, -1], "delta": [1.44, 0.25]},
           {"name": "B", "match": [{"manufacturer": "GE MEDICAL SYSTEMS", "field_strength_t": 1.5}], "gamma": [-0.25, 0.5], "delta": [0.81, 4]}], "reference": "A"})";

double combat(bool of_b, int f, double x, double age) {
  const double alpha[] = {10, -2}, sigma[] = {2, 0.5}, beta[] = {0.1, 0.01}, gamma[][2] = {{0.5, -1}, {-0.25, 0.5}}, root_delta[][2] = {{1.2, 0.5}, {0.9, 2}};
  const double centre = alpha[f] + beta[f] * age;
  return ((x - centre) / sigma[f] - gamma[of_b][f]) / root_delta[of_b][f] * sigma[f] + centre;
}

/// Harmonise a and b with age as covariate, impute, scale by mean and range, and a logistic model.
struct CombatPackage : TablePackage {
  explicit CombatPackage(const std::string& unknown_site = "refuse") {
    features = {{"a", 11, 2, 5, 17, 4, 20, "T1C", "original_firstorder_Mean"}, {"b", -1.5, 0.5, -4, 1, -5, 2, "T2", "original_firstorder_Skewness"}, {"age", 60, 10, 30, 90, 20, 95}};
    inputs = "{sequences: {T1C: {}, T2: {}}, rois: {primary: {of: [T1C, T2]}}, site: {from: [Manufacturer, ManufacturerModelName, MagneticFieldStrength], required: true}}";
    stages = "  - {id: harmonised, type: combat, params: harmonisation.json, in: [a, b], unknown_site: " + unknown_site +
             "}\n"
             "  - {id: imputed, type: impute, params: {from: features.csv}, in: harmonised}\n"
             "  - {id: scaled, type: mean_range, params: {from: features.csv}, in: [imputed.a, imputed.b]}\n"
             "  - {id: risk, type: linear, file: model/risk.ir.json, in: scaled}\n";
    outputs = "  - {from: risk, name: Risk}\n";
    more = "extraction: {T1C: extraction/any.yaml, T2: extraction/any.yaml}\nuncertainty: {quantile_guard: [0.01, 0.99]}\n";
    files = {{"harmonisation.json", harmonisation}, {"extraction/any.yaml", "setting: {}\n"}, {"model/risk.ir.json", R"({"ir": 1, "kind": "linear", "features": ["a", "b"], "coef": [2.5, -1.25], "intercept": [0.3], "link": "logistic"})"}};
    columns = {"site", "harmonised.a", "harmonised.b", "imputed.a", "imputed.b", "scaled.a", "scaled.b", "risk", "risk.margin"};
    for (int r = 0; r < 24; ++r) add(5 + 0.5 * r, r == 7 ? missing : -3 + 0.2 * r, 40 + r, r % 2 == 1);
  }

  static double margin(double a, double b, double age, bool of_b) {
    const double ha = combat(of_b, 0, a, age), hb = std::isnan(b) ? -1.5 : combat(of_b, 1, b, age);
    return 2.5 * ((ha - 11) / 16) - 1.25 * ((hb + 1.5) / 7) + 0.3;
  }

  void add(double a, double b, double age, bool of_b) {
    const double ha = combat(of_b, 0, a, age), hb = combat(of_b, 1, b, age), ib = std::isnan(b) ? -1.5 : hb, m = margin(a, b, age, of_b);
    rows.push_back({number(a), number(b), number(age), of_b ? "B" : "A", number(ha), number(hb), number(ha), number(ib), number((ha - 11) / 16), number((ib + 1.5) / 7), number(1 / (1 + std::exp(-m))), number(m)});
  }
};

PredictionContext at(const std::string& site) {
  PredictionContext context;
  context.site.name = site;
  return context;
}

AcquisitionFacts scanner(const std::string& manufacturer, const std::string& model, std::optional<double> field) {
  AcquisitionFacts facts;
  facts.manufacturer = manufacturer;
  facts.manufacturer_model_name = model;
  facts.field_strength_t = field;
  return facts;
}

PredictionContext measured_on(const AcquisitionFacts& t1c, const AcquisitionFacts& t2) {
  PredictionContext context;
  context.series = {{"T1C", {t1c, {}}}, {"T2", {t2, {}}}};
  return context;
}

TEST(CombatStage, HarmonisesByTheSiteOfTheCase) {
  const auto package = ModelPackage::admit(CombatPackage().build());
  ASSERT_TRUE(package) << to_string(package.error());
  EXPECT_TRUE(package->needs_site());
  EXPECT_EQ(package->site_names(), (std::vector<std::string>{"A", "B"}));
  EXPECT_EQ(package->selftest_rows(), 24U);
  for (const bool of_b : {false, true}) {
    const auto prediction = package->predict({{"a", 9}, {"b", -2}, {"age", 55}}, at(of_b ? "B" : "A"));
    ASSERT_TRUE(prediction) << to_string(prediction.error());
    const Explanation& explanation = prediction->front().explanation;
    EXPECT_NEAR(*prediction->front().margin, CombatPackage::margin(9, -2, 55, of_b), 1e-13);
    double sum = explanation.base;
    for (const Contribution& part : explanation.contributions) sum += part.contribution;
    EXPECT_NEAR(sum, *prediction->front().margin, 1e-12);
    EXPECT_NEAR(explanation.base, 0.3, 1e-12) << "the training means of features.csv are those of the harmonised features";
    ASSERT_EQ(explanation.contributions.size(), 2U);
    EXPECT_EQ(explanation.contributions[0].value, 9) << "shown as measured";
    EXPECT_NEAR(explanation.contributions[0].contribution, 2.5 * (combat(of_b, 0, 9, 55) - 11) / 16, 1e-12);
    EXPECT_TRUE(prediction->front().applicability.inside);
  }
}

TEST(CombatStage, LeavesAMissingFeatureMissingAndTheImputerSaysWhatItPut) {
  const auto package = ModelPackage::admit(CombatPackage().build());
  ASSERT_TRUE(package) << to_string(package.error());
  const auto prediction = package->predict({{"a", 9}, {"age", 55}}, at("B"));
  ASSERT_TRUE(prediction) << to_string(prediction.error());
  EXPECT_NEAR(*prediction->front().margin, CombatPackage::margin(9, missing, 55, true), 1e-13);
  ASSERT_EQ(prediction->front().applicability.flags.size(), 1U);
  EXPECT_EQ(prediction->front().applicability.flags[0], "T2 original firstorder Skewness is missing and was taken for -1.5 (stage imputed).");
  EXPECT_TRUE(prediction->front().applicability.inside);
  EXPECT_EQ(package->predict({{"a", 9}, {"b", 1}}, at("B")).error().code, ErrorCode::missing_value) << "the covariate";
}

TEST(CombatStage, RefusesAnUnknownSiteAndSaysWhichOnesItKnows) {
  const auto package = ModelPackage::admit(CombatPackage().build());
  ASSERT_TRUE(package) << to_string(package.error());
  const std::map<std::string, double> inputs{{"a", 9}, {"b", -2}, {"age", 55}};
  const auto unknown = package->predict(inputs, at("C"));
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("A, B"), std::string::npos) << unknown.error().message;
  const auto silent = package->predict(inputs);
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code, ErrorCode::missing_value);
}

TEST(CombatStage, TellsTheSiteFromTheHeadersOfAllSeries) {
  const auto package = ModelPackage::admit(CombatPackage().build());
  ASSERT_TRUE(package) << to_string(package.error());
  const AcquisitionFacts a = scanner("Siemens", "SKYRA ", 2.89), b = scanner("GE MEDICAL SYSTEMS", "Optima", 1.5);
  EXPECT_EQ(package->site_of(measured_on(a, a))->name, "A");
  EXPECT_EQ(package->site_of(measured_on(b, b))->name, "B");
  const auto mixed = package->site_of(measured_on(a, b));
  ASSERT_FALSE(mixed);
  EXPECT_EQ(mixed.error().code, ErrorCode::outside_training_range);
  EXPECT_NE(mixed.error().message.find("different sites (A, B)"), std::string::npos) << mixed.error().message;
  const auto other = package->site_of(measured_on(scanner("Philips", "Ingenia", 3.0), a));
  ASSERT_FALSE(other);
  for (const char* part : {"Philips", "Ingenia", "3 T", "A, B"}) EXPECT_NE(other.error().message.find(part), std::string::npos) << other.error().message;
  EXPECT_EQ(package->site_of(measured_on(scanner("", "", std::nullopt), scanner("", "", std::nullopt))).error().code, ErrorCode::missing_value);
}

TEST(CombatStage, TakesTheReferenceForAnUnknownSiteWhereThePackageSaysSoAndFlagsIt) {
  const auto package = ModelPackage::admit(CombatPackage("reference").build());
  ASSERT_TRUE(package) << to_string(package.error());
  const AcquisitionFacts other = scanner("Philips", "Ingenia", 3.0);
  const auto prediction = package->predict({{"a", 9}, {"b", -2}, {"age", 55}}, measured_on(other, other));
  ASSERT_TRUE(prediction) << to_string(prediction.error());
  EXPECT_NEAR(*prediction->front().margin, CombatPackage::margin(9, -2, 55, false), 1e-13);
  EXPECT_FALSE(prediction->front().applicability.inside);
  ASSERT_EQ(prediction->front().applicability.flags.size(), 1U);
  for (const char* part : {"'Philips'", "as those of the site A"}) EXPECT_NE(prediction->front().applicability.flags[0].find(part), std::string::npos) << prediction->front().applicability.flags[0];
}

TEST(CombatStage, ComparesTheHarmonisedValueWithTheTrainingRange) {
  CombatPackage source;
  source.features[0].q99 = 9.5;  // of harmonised training values
  const auto package = ModelPackage::admit(source.build());
  ASSERT_TRUE(package) << to_string(package.error());
  ASSERT_GT(combat(false, 0, 9.4, 55), 9.5);
  const auto prediction = package->predict({{"a", 9.4}, {"b", -2}, {"age", 55}}, at("A"));
  ASSERT_TRUE(prediction);
  ASSERT_EQ(prediction->front().applicability.flags.size(), 1U);
  EXPECT_NE(prediction->front().applicability.flags[0].find("after harmonisation"), std::string::npos) << prediction->front().applicability.flags[0];
}

struct Damage {
  const char* what;
  std::function<void(CombatPackage&)> change;
  const char* said;
};

void replace(std::string& text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
}

Damage in_file(const char* what, const std::string& from, const std::string& to, const char* said) {
  return {what, [=](CombatPackage& p) { replace(p.files["harmonisation.json"], from, to); }, said};
}

Damage in_stages(const char* what, const std::string& from, const std::string& to, const char* said) {
  return {what, [=](CombatPackage& p) { replace(p.stages, from, to); }, said};
}

const Damage damages[] = {
    in_file("features in another order", R"(["a", "b"])", R"(["b", "a"])", "lists 'b' there"),
    in_file("a feature too many", R"(["a", "b"])", R"(["a", "b", "c"])", "3 finite numbers"),
    in_file("a feature twice", R"(["a", "b"])", R"(["a", "a"])", "listed twice"),
    in_file("a variance of 0", R"("sigma2": [4, 0.25])", R"("sigma2": [4, 0])", "sigma2 must hold 2 finite numbers above 0"),
    in_file("a negative delta", R"("delta": [1.44, 0.25])", R"("delta": [-1.44, 0.25])", "delta of the site 'A'"),
    in_file("NaN", R"("alpha": [10, -2])", R"("alpha": [NaN, -2])", "not valid JSON"),
    in_file("a number beyond double", R"("alpha": [10, -2])", R"("alpha": [1e999, -2])", "not valid JSON"),
    in_file("text in place of a number", R"("alpha": [10, -2])", R"("alpha": ["10", -2])", "numbers only"),
    in_file("a short gamma", R"("gamma": [0.5, -1])", R"("gamma": [0.5])", "gamma of the site 'A'"),
    in_file("an unknown field", R"("reference")", R"("referense")", "unknown field 'referense'. Did you mean reference"),
    in_file("an unknown field of a site", R"("gamma": [-0.25, 0.5])", R"("gama": [-0.25, 0.5])", "sites[1], has no field 'gamma'"),
    in_file("an unknown condition", R"("manufacturer_model_name")", R"("model")", "unknown field 'model'"),
    in_file("a match of nothing", R"({"manufacturer": "GE MEDICAL SYSTEMS", "field_strength_t": 1.5})", "{}", "has no condition"),
    in_file("a field strength of -1", R"("field_strength_t": 1.5)", R"("field_strength_t": -1)", "in tesla"),
    in_file("a site twice", R"("name": "B")", R"("name": "A")", "sites need names, each once"),
    in_file("no site", R"("sites": [)", R"("sites": [], "others": [)", "others"),
    in_file("an unknown reference", R"("reference": "A")", R"("reference": "Z")", "reference 'Z' is none of the sites"),
    in_file("another format", "choana-combat/1", "choana-combat/7", "reads choana-combat/1"),
    in_file("a covariate that is not there", R"("name": "age")", R"("name": "agee")", "Did you mean age"),
    in_file("a covariate of two values", R"("name": "age")", R"("name": "table")", "which is not one value"),
    in_file("a control character in a name", R"("name": "B")", "\"name\": \"B\\u0007\"", "without control characters"),
    in_file("a key twice", R"("alpha":)", R"("alpha": [1, 1], "alpha":)", "'alpha' twice"),
    in_file("other parameters than the self-test's", R"("gamma": [0.5, -1])", R"("gamma": [0.5000001, -1])", "stage harmonised"),
    {"no file", [](CombatPackage& p) { p.files.erase("harmonisation.json"); }, "which the package does not hold"},
    {"no word on what tells the site", [](CombatPackage& p) { p.inputs = p.inputs.substr(0, p.inputs.find(", site")) + "}"; }, "inputs.site.from"},
    {"an attribute that is none", [](CombatPackage& p) { replace(p.inputs, "ManufacturerModelName", "ManufacturersModelName"); }, "Did you mean ManufacturerModelName"},
    {"a match by an attribute that is not named", [](CombatPackage& p) { replace(p.inputs, ", MagneticFieldStrength", ""); }, "does not name"},
    {"no column site in the self-test", [](CombatPackage& p) { p.columns[0] = "sight"; }, "lacks the column 'site'"},
    {"a self-test row of an unknown site", [](CombatPackage& p) { p.rows[3][3] = "C"; }, "row 4"},
    {"a self-test row without a site", [](CombatPackage& p) { p.rows[3][3] = ""; }, "needs the site"},
    {"a feature called site", [](CombatPackage& p) {
       p.features.push_back({"site"});
       for (auto& row : p.rows) row.insert(row.begin() + 3, "1");
     }, "column of the site"},
    in_stages("an unknown rule for unknown sites", "unknown_site: refuse", "unknown_site: guess", "unknown_site"),
    in_stages("parameters in the manifest", "params: harmonisation.json", "params: {alpha: [1]}", "must be text"),
    in_stages("a range of 0", "type: mean_range, params: {from: features.csv}", "type: mean_range, params: {mean: [0, 0], range: [1, 0]}", "a range above zero for b"),
    in_stages("a range too few", "type: mean_range, params: {from: features.csv}", "type: mean_range, params: {mean: [0, 0], range: [1]}", "one range for each of its 2 inputs"),
    in_stages("an imputed value too few", "type: impute, params: {from: features.csv}", "type: impute, params: {values: [1]}", "one values for each"),
    in_stages("an infinite imputed value", "type: impute, params: {from: features.csv}", "type: impute, params: {values: [1, .inf]}", "finite numbers"),
    in_stages("robust figures from features.csv", "type: mean_range", "type: robust", "features.csv does not hold"),
    in_stages("an unknown parameter", "type: impute, params: {from: features.csv}", "type: impute, params: {values: [1, 1], mean: [1, 1]}", "unknown key"),
    in_stages("clipping of what does not clip", "type: mean_range, ", "type: mean_range, clip: true, ", "unknown key"),
    {"no train_max", [](CombatPackage& p) { p.features[0].high = missing; }, "finite range for a"},
    {"a train_max below the train_min", [](CombatPackage& p) { p.features[0].high = 3; }, "train_min above its train_max"},
};

TEST(CombatStage, RefusesWhatIsWrongAndSaysWhat) {
  for (const Damage& damage : damages) {
    SCOPED_TRACE(damage.what);
    CombatPackage source;
    damage.change(source);
    const auto package = ModelPackage::admit(source.build());
    ASSERT_FALSE(package);
    EXPECT_NE(package.error().message.find(damage.said), std::string::npos) << package.error().message;
  }
}

TEST(CombatStage, NeedsAReferenceWhereAnUnknownSiteIsTakenForIt) {
  CombatPackage source("reference");
  replace(source.files["harmonisation.json"], R"(, "reference": "A")", "");
  const auto package = ModelPackage::admit(source.build());
  ASSERT_FALSE(package);
  EXPECT_NE(package.error().message.find("reference"), std::string::npos) << package.error().message;
}

// Every scaler against its definition (scikit-learn's MinMaxScaler, RobustScaler and SimpleImputer; the mean normalisation of the literature).
TEST(FeatureMaps, ScaleAsDefined) {
  const std::vector<double> row{3, missing};
  const auto of = [&](const FeatureMap& map) { return *apply_map(map, row, {}, {}); };
  EXPECT_DOUBLE_EQ(of(AffineMap{{1, 1}, {4, 4}})[0], 0.5);
  EXPECT_TRUE(std::isnan(of(AffineMap{{1, 1}, {4, 4}, true})[1])) << "a missing value stays missing";
  EXPECT_DOUBLE_EQ(of(AffineMap{{1, 1}, {1, 1}, true})[0], 1);
  EXPECT_DOUBLE_EQ(of(AffineMap{{4, 1}, {1, 1}, true})[0], 0);
  EXPECT_EQ(of(Imputation{{7, 8}}), (std::vector<double>{3, 8}));
}

TEST(FeatureMaps, OfEveryTypeStandInAChainAndOpenInItsExplanation) {
  TablePackage source;
  source.features = {{"a", 2, 3, -9, 9, -4, 6}, {"b", 1, 2, -9, 9, -3, 5}};
  source.stages =
      "  - {id: one, type: robust, params: {centre: [1, 0.5], scale: [4, 2]}, in: table}\n"
      "  - {id: two, type: min_max, params: {min: [-2, -3], max: [2, 5]}, in: one}\n"
      "  - {id: base, type: linear, file: model/base.ir.json, in: two}\n"
      "  - {id: stretched, type: standard, params: {mean: [0.25], scale: [2]}, in: base}\n"
      "  - {id: bound, type: min_max, params: {from: features.csv}, clip: true, in: [b]}\n"
      "  - {id: top, type: linear, file: model/top.ir.json, in: [stretched, bound]}\n";
  source.outputs = "  - {from: top, name: Risk}\n";
  source.files = {{"model/base.ir.json", R"({"ir": 1, "kind": "linear", "features": ["a", "b"], "coef": [1.5, -0.5], "intercept": [0.25], "link": "identity"})"},
                  {"model/top.ir.json", R"({"ir": 1, "kind": "linear", "features": ["base", "b"], "coef": [3, 2], "intercept": [-1], "link": "logistic"})"}};
  source.columns = {"one.a", "one.b", "two.a", "two.b", "base", "base.margin", "stretched.base", "bound.b", "top", "top.margin"};
  for (int r = 0; r < 20; ++r) {
    const double a = -5 + 0.6 * r, b = -4 + 0.55 * r, one_a = (a - 1) / 4, one_b = (b - 0.5) / 2, two_a = (one_a + 2) / 4, two_b = (one_b + 3) / 8, base = 1.5 * two_a - 0.5 * two_b + 0.25,
                 stretched = (base - 0.25) / 2, bound = std::min(1.0, std::max(0.0, (b + 3) / 8)), top = 3 * stretched + 2 * bound - 1;
    std::vector<std::string> cells;
    for (const double value : {a, b, one_a, one_b, two_a, two_b, base, base, stretched, bound, 1 / (1 + std::exp(-top)), top}) cells.push_back(TablePackage::number(value));
    source.rows.push_back(cells);
  }
  const auto package = ModelPackage::admit(source.build());
  ASSERT_TRUE(package) << to_string(package.error());
  EXPECT_FALSE(package->needs_site());
  const auto scores = package->score({{"a", 4}, {"b", 3}}, true);
  ASSERT_TRUE(scores);
  const Explanation& explanation = scores->front().explanations.front();
  ASSERT_EQ(explanation.contributions.size(), 2U) << "opened through the scaler of another stage's output";
  // a: 3/2 * 1.5 * (4 - 2)/4/4; b: 3/2 * -0.5 * (3 - 1)/2/8 + 2 * (3 - 1)/8
  EXPECT_NEAR(explanation.contributions[0].contribution, 0.28125, 1e-12);
  EXPECT_NEAR(explanation.contributions[1].contribution, -0.09375 + 0.5, 1e-12);
  EXPECT_NEAR(explanation.base + 0.28125 + 0.40625, scores->front().margins[0], 1e-12);
}

}  // namespace
}  // namespace choana::processing
