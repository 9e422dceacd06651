#include "processing/harmonisation/combat.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace choana::processing {
namespace {

struct Row {
  std::string site;
  std::vector<double> values;
  std::vector<double> covariates;
  std::vector<double> expected;
};
struct Figures {
  CombatParameters parameters;
  std::vector<Row> rows;
};

// Estimates and harmonised rows of neuroCombat 0.2.12 (NumPy 1.26) on 28 seeded random cases of three sites.
Figures without_covariates() {
  Figures figures;
  CombatParameters& p = figures.parameters;
  p.features = {"f0", "f1", "f2", "f3"};
  p.alpha = {15.682957080940445, -3.45161759763888, 252.8050194952753, 0.6887210265330492};
  p.sigma2 = {1.6494439951469149, 0.10125857830368606, 601.5701131107095, 0.002643766265433379};
  p.sites.push_back({"A", {}, {-0.012678337482309664, -0.510267930626961, 0.3746357772610741, 0.41160448288127316}, {0.5585304250963407, 0.6636812754550923, 0.4514089234287606, 0.7531599954260818}});
  p.sites.push_back({"B", {}, {0.7056549567132269, 0.6043108994064352, -0.655022500307779, 1.5036261034410305}, {1.6262203735688694, 1.5618402494797978, 1.6744348020084723, 1.6116746940600415}});
  p.sites.push_back({"C", {}, {-1.2036099434978307, -0.2357367158962801, 0.7955650682441721, -3.388492628711342}, {0.7792743507679755, 0.9378752622286178, 0.7180008587458547, 0.64814551437299}});
  figures.rows.push_back({"A", {16.563781774255062, -4.067516747925308, 263.9136827645241, 0.8279411710870769}, {}, {16.883343581796417, -4.008319131131545, 255.66271513575768, 0.824754589325127}});
  figures.rows.push_back({"B", {17.014111378616434, -3.430757247703072, 250.18120745434007, 0.8042172617627421}, {}, {16.016132802521287, -3.588797239217121, 263.1928721608916, 0.7187981528171968}});
  figures.rows.push_back({"C", {13.91997564778887, -3.670749986665252, 276.3363102130944, 0.4900874415097931}, {}, {15.436938109304057, -3.6004325031288884, 257.5474850511559, 0.6584064092386631}});
  return figures;
}

Figures with_covariates() {
  Figures figures;
  CombatParameters& p = figures.parameters;
  p.features = {"f0", "f1", "f2", "f3"};
  p.alpha = {9.790404523017052, -2.004487372724638, 179.69641389734338, 0.4964964041281735};
  p.sigma2 = {0.657413407964358, 0.04608109151444703, 284.0598586336396, 0.0017948119445855674};
  p.covariates = {{"age", {0.10153234897734113, -0.030275944225861124, 1.7991957305301838, 0.0037118582617449263}}, {"stage", {0.8473450678627341, -0.04602274718426204, -5.857952424252546, 0.01551252554149199}}};
  p.sites.push_back({"A", {}, {-0.32469073628551737, -0.389485005067618, 0.20008019787881823, 0.20798824190286153}, {1.3272618720032459, 1.145580331346786, 0.9921435731968851, 1.015013853907785}});
  p.sites.push_back({"B", {}, {1.6112062274637513, 0.6779150568326121, -1.0707715810590015, 2.1336461599600955}, {1.3091771250353468, 1.3724097011359406, 1.5070285945094697, 1.4446745979269775}});
  p.sites.push_back({"C", {}, {-2.2134066287377014, -0.45153282845587267, 1.5698951690378429, -4.190191149656955}, {0.4417787153472786, 0.5086782994925896, 0.3913733339433174, 0.49810050632195074}});
  figures.rows.push_back({"A", {16.563781774255062, -4.067516747925308, 263.9136827645241, 0.8279411710870769}, {50.0, 3.0}, {16.903867783230567, -3.9623881707657693, 260.5749425426921, 0.8184578610984728}});
  figures.rows.push_back({"B", {17.014111378616434, -3.430757247703072, 250.18120745434007, 0.8042172617627421}, {55.0, 0.0}, {15.665757910855215, -3.589952429571756, 270.1608025547077, 0.7116110481076552}});
  figures.rows.push_back({"C", {13.91997564778887, -3.670749986665252, 276.3363102130944, 0.4900874415097931}, {48.0, 1.0}, {15.817210555385428, -3.6019951531722456, 243.69936957836688, 0.6581952489110205}});
  return figures;
}

TEST(Combat, NeverMakesAMissingValueOfOneThatIsThere) {
  CombatParameters p;
  p.features = {"f"};
  p.alpha = {0};
  p.sigma2 = {1e-300};
  p.covariates = {{"c", {1e300}}};
  p.sites = {{"A", {}, {0}, {1e-300}}};
  EXPECT_EQ(apply_combat(p, "A", {1}, {1e300}).error().code, ErrorCode::not_computable);
  EXPECT_EQ(apply_combat(p, "A", {1e300}, {0}).error().code, ErrorCode::not_computable);
  EXPECT_TRUE(std::isnan(apply_combat(p, "A", {std::numeric_limits<double>::quiet_NaN()}, {0})->front())) << "a missing one stays missing";
}

TEST(Combat, GivesTheRowsOfTheFitBack) {
  for (const Figures& figures : {without_covariates(), with_covariates()}) {
    ASSERT_TRUE(check_combat(figures.parameters));
    for (const Row& row : figures.rows) {
      const auto harmonised = apply_combat(figures.parameters, row.site, row.values, row.covariates);
      ASSERT_TRUE(harmonised) << harmonised.error().message;
      for (std::size_t f = 0; f < row.expected.size(); ++f) EXPECT_NEAR((*harmonised)[f], row.expected[f], 1e-12 * std::abs(row.expected[f])) << row.site << " " << f;
    }
  }
}

TEST(Combat, RefusesAnUnknownSiteOrTakesTheReference) {
  Figures figures = without_covariates();
  const Row& row = figures.rows[1];
  EXPECT_EQ(apply_combat(figures.parameters, "D", row.values, {}).error().code, ErrorCode::not_found);
  figures.parameters.unknown_site = UnknownSite::reference;
  EXPECT_FALSE(check_combat(figures.parameters)) << "no reference is named";
  figures.parameters.reference = "B";
  ASSERT_TRUE(check_combat(figures.parameters));
  EXPECT_EQ(*apply_combat(figures.parameters, "D", row.values, {}), *apply_combat(figures.parameters, "B", row.values, {}));
}

TEST(Combat, KeepsAMissingFeatureAndRefusesAMissingCovariate) {
  const Figures figures = with_covariates();
  std::vector<double> values = figures.rows[0].values;
  values[2] = std::numeric_limits<double>::quiet_NaN();
  const auto harmonised = apply_combat(figures.parameters, "A", values, figures.rows[0].covariates);
  ASSERT_TRUE(harmonised);
  EXPECT_TRUE(std::isnan((*harmonised)[2]));
  EXPECT_NEAR((*harmonised)[1], figures.rows[0].expected[1], 1e-10);
  EXPECT_EQ(apply_combat(figures.parameters, "A", values, {std::nan(""), 1}).error().code, ErrorCode::missing_value);
  EXPECT_EQ(apply_combat(figures.parameters, "A", values, {}).error().code, ErrorCode::invalid_argument);
}

TEST(Combat, RefusesParametersThatDoNotFit) {
  const auto refused = [](auto change) {
    CombatParameters p = with_covariates().parameters;
    change(p);
    return !check_combat(p);
  };
  EXPECT_FALSE(refused([](CombatParameters&) {}));
  EXPECT_TRUE(refused([](CombatParameters& p) { p.sigma2[1] = 0; }));
  EXPECT_TRUE(refused([](CombatParameters& p) { p.alpha.pop_back(); }));
  EXPECT_TRUE(refused([](CombatParameters& p) { p.sites[1].delta[0] = -1; }));
  EXPECT_TRUE(refused([](CombatParameters& p) { p.sites[1].name = "A"; }));
  EXPECT_TRUE(refused([](CombatParameters& p) { p.features[1] = "f0"; }));
  EXPECT_TRUE(refused([](CombatParameters& p) { p.covariates[0].beta[0] = std::nan(""); }));
  EXPECT_TRUE(refused([](CombatParameters& p) { p.sites.clear(); }));
}

TEST(CombatSite, IsRecognisedFromTheScanner) {
  CombatParameters p = without_covariates().parameters;
  p.sites[0].matches = {{"SIEMENS", "Skyra", 3.0}, {"Siemens Healthineers", "Skyra", {}}};
  p.sites[1].matches = {{"SIEMENS", "", 1.5}};
  AcquisitionFacts facts;
  facts.manufacturer = "Siemens ";
  facts.manufacturer_model_name = "SKYRA";
  facts.field_strength_t = 2.89;
  EXPECT_EQ(*site_of(p, facts), "A");
  facts.field_strength_t = 1.494;
  EXPECT_EQ(*site_of(p, facts), "B");
  facts.manufacturer = "GE MEDICAL SYSTEMS";
  EXPECT_EQ(site_of(p, facts).error().code, ErrorCode::not_found);
  p.sites[2].matches = {{"", "", 1.5}};
  facts.manufacturer = "SIEMENS";
  EXPECT_EQ(site_of(p, facts).error().code, ErrorCode::invalid_argument) << "two sites claim it";
}

}  // namespace
}  // namespace choana::processing
