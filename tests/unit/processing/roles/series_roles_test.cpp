#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "node/series_rules_reader.h"
#include "processing/roles/series_roles.h"

namespace choana::processing {
namespace {

const SeriesRules& shipped_rules() {
  static const SeriesRules rules = [] {
    std::ifstream file(std::filesystem::path(CHOANA_SOURCE_DIR) / "conf/series-rules.toml");
    std::stringstream text;
    text << file.rdbuf();
    auto read = node::read_series_rules(text.str(), "series-rules.toml");
    EXPECT_TRUE(read) << (read ? "" : to_string(read.error()));
    return read ? *read : SeriesRules{};
  }();
  return rules;
}

std::string text_of(const RoleDecision& decision) {
  std::string text;
  for (const auto& reason : decision.reasons) text += "+ " + reason + "\n";
  for (const auto& reason : decision.rejected) text += "- " + reason + "\n";
  return text;
}

AcquisitionFacts described(const std::string& description) {
  AcquisitionFacts facts;
  facts.modality = "MR";
  facts.series_description = description;
  return facts;
}

AcquisitionFacts measured(std::vector<std::string> sequence, double tr_ms, double te_ms, std::optional<double> ti_ms = {}, std::optional<double> flip_deg = {}) {
  AcquisitionFacts facts;
  facts.modality = "MR";
  facts.image_type = {"ORIGINAL", "PRIMARY", "M"};
  facts.scanning_sequence = std::move(sequence);
  facts.repetition_time_ms = tr_ms;
  facts.echo_time_ms = te_ms;
  facts.inversion_time_ms = ti_ms;
  facts.flip_angle_deg = flip_deg;
  return facts;
}

std::string role_of(const AcquisitionFacts& facts) { return classify_series(facts, {}, shipped_rules()).role; }

TEST(SeriesRoles, ReadDescriptionsInEnglishAndChinese) {
  const std::vector<std::pair<const char*, const char*>> cases{
      {"Ax T1", "T1"}, {"t1_tse_tra_320", "T1"}, {"T1W_TSE", "T1"}, {"sT1W_3D_TFE", "T1"}, {"T1 平扫", "T1"}, {"轴位T1加权", "T1"}, {"AX T1 PRE GD", "T1"}, {"Ax T1 without contrast", "T1"},
      {"T1_SE_KM", "T1C"}, {"Ax T1+C", "T1C"}, {"AX T1 POST", "T1C"}, {"t1_tse_tra_Gd", "T1C"}, {"T1增强", "T1C"}, {"T1C", "T1C"}, {"CE-T1W", "T1C"}, {"t1_mprage_sag_ce", "T1C"}, {"T1 +C non-FS", "T1C"},
      {"Ax T1 FS+C", "T1C-FS"}, {"t1_tse_dixon_tra_Gd_W", "T1C-FS"}, {"T1 fat sat post gad", "T1C-FS"}, {"T1压脂增强", "T1C-FS"}, {"eTHRIVE_SPAIR +C", "T1C-FS"}, {"T1FS CE", "T1C-FS"},
      {"AXIAL SE T2 FAT SAT - RESEARCH", "T2-FS"}, {"t2_stir_cor", "T2-FS"}, {"T2压脂", "T2-FS"}, {"T2FS", "T2-FS"}, {"t2_tse_tra", "T2"}, {"T2W_TSE", "T2"}, {"T2 不压脂", "T2"}, {"t2加权", "T2"},
      {"DWI b=800", "DWI"}, {"ep2d_diff_trace", "DWI"}, {"弥散加权", "DWI"}, {"ADC (10^-6 mm2/s)", "ADC"}, {"dADC map", "ADC"}, {"表观弥散系数", "ADC"}, {"Apparent Diffusion Coefficient (mm\xC2\xB2/s)", "ADC"},
  };
  for (const auto& [description, role] : cases)
    EXPECT_EQ(role_of(described(description)), role) << description << "\n" << text_of(classify_series(described(description), {}, shipped_rules()));
}

TEST(SeriesRoles, SetAsideWhatIsNoAnatomy) {
  for (const char* description : {"localizer", "3-plane LOC", "定位像", "T2 FLAIR", "t2_tirm_tra_dark-fluid", "T2*_GRE", "T1 map", "eADC", "SUB_T1 post", "MRA TOF", "SWI", "DCE perfusion", "t1_dixon_F", "colFA", "T1 FS", ""})
    EXPECT_EQ(role_of(described(description)), "") << description;
}

TEST(SeriesRoles, PutPhysicsBeforeDescriptions) {
  AcquisitionFacts facts = measured({"SE"}, 4000, 95);
  facts.series_description = "T1 tra";  // a copied protocol name
  const RoleDecision decision = classify_series(facts, {}, shipped_rules());
  EXPECT_EQ(decision.role, "T2") << text_of(decision);
}

TEST(SeriesRoles, AskTheProtocolNameOnlyWhereTheDescriptionSaysNothing) {
  AcquisitionFacts facts = described("SERIES 5");
  facts.protocol_name = "t1_tse_tra_Gd";
  EXPECT_EQ(role_of(facts), "T1C");
  facts.series_description = "Ax T1";
  facts.protocol_name = "NECK WITH CONTRAST";  // GE: of the whole examination
  EXPECT_EQ(role_of(facts), "T1");
  facts.series_description = "Apparent Diffusion Coefficient";
  facts.protocol_name = "PRO DCE W_T1 MAPPING AN/";  // shared/data/mr-adc-qinprostate-ge
  EXPECT_EQ(role_of(facts), "ADC");
}

TEST(SeriesRoles, ReadPhysicsWithoutAnyDescription) {
  EXPECT_EQ(role_of(measured({"SE"}, 550, 12)), "T1");
  EXPECT_EQ(role_of(measured({"SE"}, 4500, 100)), "T2");
  EXPECT_EQ(role_of(measured({"SE", "IR"}, 4500, 60, 220)), "T2-FS") << "short TI nulls fat";
  EXPECT_EQ(role_of(measured({"SE", "IR"}, 9000, 120, 2500)), "") << "FLAIR";
  EXPECT_EQ(role_of(measured({"IR", "SE"}, 2000, 12, 860)), "T1");
  EXPECT_EQ(role_of(measured({"GR"}, 5, 2.3, {}, 12)), "T1");
  EXPECT_EQ(role_of(measured({"GR", "IR"}, 2000, 2.5, 900, 9)), "T1");
  AcquisitionFacts with_agent = measured({"SE"}, 550, 12);
  with_agent.contrast_agent = "GADOVIST";
  EXPECT_EQ(role_of(with_agent), "T1C");
  with_agent.scan_options = {"FS"};
  EXPECT_EQ(role_of(with_agent), "T1C-FS");
  with_agent.contrast_agent = "NONE";
  EXPECT_EQ(role_of(with_agent), "") << "T1 with fat suppression without contrast agent";
  with_agent.series_description = "post Gd";
  EXPECT_EQ(role_of(with_agent), "T1C-FS") << "the agent's field says NONE on post-contrast series too (UCSF, shared/data)";
  with_agent.contrast_agent = "GADOVIST";
  with_agent.series_description = "T1 FS pre contrast";
  EXPECT_EQ(role_of(with_agent), "") << "some scanners write the agent into the whole examination";
}

TEST(SeriesRoles, TellDiffusionByBValue) {
  AcquisitionFacts facts = measured({"EP", "SE"}, 5000, 80);
  VolumeSummary one;
  one.b_values_s_per_mm2 = {800};
  EXPECT_EQ(classify_series(facts, one, shipped_rules()).role, "DWI-b800");
  one.b_values_s_per_mm2 = {0};
  EXPECT_EQ(classify_series(facts, one, shipped_rules()).role, "DWI-b0");
  one.b_values_s_per_mm2 = {0, 800};
  EXPECT_EQ(classify_series(facts, one, shipped_rules()).role, "DWI");
  AcquisitionFacts spin_echo = measured({"SE"}, 550, 12);
  spin_echo.b_value_s_per_mm2 = 0;  // some scanners write b = 0 everywhere
  EXPECT_EQ(role_of(spin_echo), "T1");
  AcquisitionFacts map = facts;
  map.image_type = {"DERIVED", "PRIMARY", "DIFFUSION", "ADC"};
  one.b_values_s_per_mm2 = {800};
  EXPECT_EQ(classify_series(map, one, shipped_rules()).role, "ADC");
}

TEST(SeriesRoles, SayWhichRuleHeldAndWhichDidNot) {
  const RoleDecision decision = classify_series(measured({"SE"}, 550, 12), {"axial", 36, {}, 220}, shipped_rules());
  ASSERT_EQ(decision.role, "T1");
  EXPECT_GT(decision.rule_order, 1);
  ASSERT_FALSE(decision.reasons.empty());
  EXPECT_NE(decision.reasons.front().find("T1, spin echo"), std::string::npos) << decision.reasons.front();
  EXPECT_NE(decision.reasons.front().find("TR 550 ms is within"), std::string::npos) << decision.reasons.front();
  const RoleDecision none = classify_series(measured({"SE"}, 1400, 45), {}, shipped_rules());
  EXPECT_EQ(none.role, "");
  EXPECT_EQ(none.rejected.size(), shipped_rules().rules.size()) << "every rule says why it did not hold";
  EXPECT_NE(text_of(none).find("TE 45 ms is not within"), std::string::npos) << text_of(none);
}

TEST(SeriesRoles, LeaveOtherModalitiesAlone) {
  AcquisitionFacts facts = described("T1");
  facts.modality = "CT";
  EXPECT_EQ(role_of(facts), "");
}

TEST(SeriesRoles, StayQuickOnHostileText) {
  // A backtracking engine needs longer than the age of the universe here; an automaton a moment. The text is cut too.
  auto pattern = DescriptionPattern::make("(a+)+$");
  ASSERT_TRUE(pattern);
  EXPECT_FALSE(pattern->matches(std::string(200, 'a') + "b"));
  EXPECT_EQ(role_of(described(std::string(1'000'000, 'x') + "T1")), "") << "beyond the first 256 bytes nothing is read";
  EXPECT_FALSE(DescriptionPattern::make("("));
  EXPECT_FALSE(DescriptionPattern::make("(a)\\1")) << "back-references need backtracking";
  EXPECT_FALSE(DescriptionPattern::make(std::string(1000, 'a')));
}

TEST(RoleNames, AnswerWhatAPackageAsksFor) {
  EXPECT_TRUE(role_answers("T1C", "T1C"));
  EXPECT_FALSE(role_answers("T1C-FS", "T1C"));
  EXPECT_TRUE(role_answers("DWI-b800", "DWI"));
  EXPECT_TRUE(role_answers("DWI-b803", "DWI-b800")) << "what the gradients really gave";
  EXPECT_FALSE(role_answers("DWI-b1000", "DWI-b800"));
  EXPECT_FALSE(role_answers("DWI-b5", "DWI-b0"));
  EXPECT_FALSE(role_answers("", ""));
  EXPECT_EQ(b_value_of_role("DWI-b800"), 800);
  EXPECT_EQ(b_value_of_role("DWI"), std::nullopt);
}

RoleCandidate candidate(const std::string& label, const std::string& role, int rule, const std::string& plane, int slices, const std::string& time) {
  RoleCandidate made;
  made.label = label;
  made.decision.role = role;
  made.decision.rule_order = rule;
  made.summary = {plane, slices, {}, 200};
  made.acquisition_date = "20260101";
  made.acquisition_time = time;
  return made;
}

TEST(RoleChoice, PrefersRuleThenPlaneThenSlicesThenTime) {
  const auto chosen = [](const std::string& role, const std::vector<RoleCandidate>& candidates) { return candidates[choose_candidate(role, candidates)->index].label; };
  EXPECT_EQ(chosen("T1", {candidate("a", "T1", 9, "axial", 40, "100000"), candidate("b", "T1", 5, "coronal", 20, "090000")}), "b");
  EXPECT_EQ(chosen("T1", {candidate("a", "T1", 5, "coronal", 80, "100000"), candidate("b", "T1", 5, "axial", 20, "090000")}), "b");
  EXPECT_EQ(chosen("T1", {candidate("a", "T1", 5, "axial", 20, "100000"), candidate("b", "T1", 5, "axial", 30, "090000")}), "b");
  EXPECT_EQ(chosen("T1", {candidate("a", "T1", 5, "axial", 20, "090000"), candidate("b", "T1", 5, "axial", 20, "100000")}), "b");
  EXPECT_EQ(chosen("T1", {candidate("a", "T1", 5, "axial", 20, "090000"), candidate("b", "T1", 5, "axial", 20, "090000")}), "a");
  EXPECT_EQ(chosen("DWI", {candidate("a", "DWI-b0", 5, "axial", 20, "090000"), candidate("b", "DWI-b1000", 5, "axial", 20, "090000"), candidate("c", "DWI-b800", 5, "axial", 20, "090000")}), "b");
  const auto choice = choose_candidate("T1", {candidate("series 3", "T1", 5, "coronal", 80, "100000"), candidate("series 4", "T1", 5, "axial", 20, "090000")});
  ASSERT_EQ(choice->reasons.size(), 1U);
  EXPECT_EQ(choice->reasons.front(), "Preferred for T1 to series 3: series 4 is axial.");
  EXPECT_FALSE(choose_candidate("T2", {candidate("a", "T1", 5, "axial", 20, "090000")}));
}

TEST(SeriesRulesReader, NamesTheLineAndTheNearMatch) {
  const auto message = [](const std::string& text) {
    auto rules = node::read_series_rules(text, "site.toml");
    return rules ? std::string("read") : rules.error().message;
  };
  const std::string head = "format = \"choana-series-rules/1\"\n";
  EXPECT_EQ(message(head + "[[rule]]\nname = \"a\"\n"), "read");
  EXPECT_NE(message("format = 1\n").find("site.toml:1: format must be text"), std::string::npos);
  EXPECT_NE(message(head).find("there is no [[rule]]"), std::string::npos);
  EXPECT_NE(message(head + "[[rule]]\nname = \"a\"\ndescription_an = []\n").find("site.toml:4: A rule has no key \"description_an\". Did you mean description_any"), std::string::npos)
      << message(head + "[[rule]]\nname = \"a\"\ndescription_an = []\n");
  EXPECT_NE(message(head + "[[rule]]\nname = \"a\"\nrole = \"T1CFS\"\n").find("is no role"), std::string::npos);
  EXPECT_NE(message(head + "[[rule]]\nname = \"a\"\ndescription_any = [\"(\"]\n").find("site.toml:4: description_any: \"(\" is not a regular expression"), std::string::npos);
  EXPECT_NE(message(head + "[[rule]]\nname = \"a\"\nte_ms = [9, 1]\n").find("site.toml:4: te_ms"), std::string::npos);
  EXPECT_NE(message(head + "[[rule]]\nname = \"a\"\n[[rule]]\nname = \"a\"\n").find("two rules named"), std::string::npos);
  EXPECT_NE(message(head + "[[rule]\n").find("site.toml:2"), std::string::npos);
}

}  // namespace
}  // namespace choana::processing
