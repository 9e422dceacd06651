#include "node/clinical_values.h"

#include <gtest/gtest.h>

#include <string>

namespace choana {
namespace {

std::string message_of(const std::string& text) {
  const auto document = parse_clinical_document(text, "api");
  return document ? "accepted" : document.error().message;
}

TEST(ClinicalValues, AreReadWithUnitAndDate) {
  const auto document = parse_clinical_document(
      R"({"values": [{"name": "wbc", "value": 6.2, "unit": "10*9/L", "date": "2024-02-29"}, {"name": "n_stage", "value": 2}, {"name": "hb", "value": null}]})", "api");
  ASSERT_TRUE(document) << document.error().message;
  ASSERT_EQ(document->values.size(), 2U);
  EXPECT_EQ(document->values[0], (ClinicalValue{"wbc", 6.2, "10*9/L", "2024-02-29", "api"}));
  EXPECT_EQ(document->values[1], (ClinicalValue{"n_stage", 2, "1", "", "api"}));
  EXPECT_EQ(document->removed, std::vector<std::string>{"hb"});
  const auto again = parse_clinical_document(clinical_values_json(document->values), "api");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->values, document->values);
}

TEST(ClinicalValues, AreRefusedWithAWordAboutTheEntry) {
  EXPECT_NE(message_of("").find("must be JSON"), std::string::npos);
  EXPECT_NE(message_of("[1]").find("must be JSON"), std::string::npos);
  EXPECT_NE(message_of(R"({"values": [], "more": 1})").find("'more'"), std::string::npos);
  EXPECT_NE(message_of(R"({"values": [{"name": "wbc", "vlaue": 1}]})").find("value"), std::string::npos);
  EXPECT_NE(message_of(R"({"values": [{"name": "w bc", "value": 1}]})").find("Entry 1"), std::string::npos);
  EXPECT_NE(message_of(R"({"values": [{"name": "a", "value": 1}, {"name": "a", "value": 2}]})").find("second time"), std::string::npos);
  EXPECT_NE(message_of(R"({"values": [{"name": "a", "value": "1"}]})").find("needs a value"), std::string::npos);
  EXPECT_NE(message_of(R"({"values": [{"name": "a", "value": 1, "date": "2026-02-29"}]})").find("date"), std::string::npos);
  EXPECT_NE(message_of(R"({"values": [{"name": "a", "value": 1, "unit": "per litre"}]})").find("UCUM"), std::string::npos);
  EXPECT_NE(message_of(R"({"values": [{"name": "a", "value": 1e999}]})"), "accepted");
  std::string many = R"({"values": [)";
  for (int n = 0; n < 65; ++n) many += (n > 0 ? "," : "") + std::string(R"({"name": "a)") + std::to_string(n) + R"(", "value": 1})";
  EXPECT_NE(message_of(many + "]}").find("At most 64"), std::string::npos);
  EXPECT_NE(message_of(R"({"values": )" + std::string(10'000, '[') + std::string(10'000, ']') + "}"), "accepted");
}

TEST(ClinicalValues, GiveOneDigestInAnyOrder) {
  const ClinicalValue a{"a", 1, "1", "", "api"}, b{"b", 2, "1", "", "file"};
  EXPECT_EQ(clinical_digest({a, b}), clinical_digest({b, a}));
  EXPECT_NE(clinical_digest({a}), clinical_digest({a, b}));
  EXPECT_TRUE(clinical_digest({}).empty());
}

TEST(PatientKey, IgnoresPaddingAndDoesNotHoldTheId) {
  EXPECT_EQ(patient_key("0012345"), patient_key(" 0012345 "));
  EXPECT_EQ(patient_key("0012345"), patient_key(std::string("0012345") + '\0'));
  EXPECT_NE(patient_key("0012345"), patient_key("012345"));
  EXPECT_EQ(patient_key("0012345").find("12345"), std::string::npos);
  EXPECT_TRUE(patient_key("  ").empty());
}

}  // namespace
}  // namespace choana
