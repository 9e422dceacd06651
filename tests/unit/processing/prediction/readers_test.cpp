#include <gtest/gtest.h>

#include "processing/prediction/readers/document.h"
#include "processing/prediction/readers/manifest_reader.h"
#include "processing/prediction/readers/table.h"
#include "processing/prediction/roi_name_pattern.h"

namespace choana::processing {
namespace {

TEST(Table, ReadsQuotesLineEndingsAndAByteOrderMark) {
  // RFC 4180 section 2.
  const auto table = read_table("\xEF\xBB\xBFname,\"a,b\"\r\n\"one \"\"1\"\"\",2\r\n\r\n\"two\nlines\",\n", "t", 10);
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->columns, (std::vector<std::string>{"name", "a,b"}));
  ASSERT_EQ(table->rows.size(), 2U);
  EXPECT_EQ(table->rows[0], (std::vector<std::string>{"one \"1\"", "2"}));
  EXPECT_EQ(table->rows[1], (std::vector<std::string>{"two\nlines", ""}));
  EXPECT_EQ(table->find("a,b"), 1U);
}

TEST(Table, RefusesRaggedRowsRepeatedColumnsAndTooManyRows) {
  EXPECT_NE(read_table("a,b\n1\n", "t", 10).error().message.find("line 2"), std::string::npos);
  EXPECT_FALSE(read_table("a,a\n1,2\n", "t", 10));
  EXPECT_FALSE(read_table("a,\n1,2\n", "t", 10));
  EXPECT_FALSE(read_table("", "t", 10));
  EXPECT_FALSE(read_table("a\n\"open\n", "t", 10));
  EXPECT_EQ(read_table("a\n1\n2\n3\n", "t", 2).error().code, ErrorCode::limit_exceeded);
  EXPECT_EQ(read_table("a,b,c\n", "t", 2, 1).error().code, ErrorCode::limit_exceeded);
}

TEST(Table, ReadsNumbersAsTheyWerePrinted) {
  for (const double value : {0.1, -1.7976931348623157e308, 5e-324, 1.0 / 3, -0.0})
    EXPECT_EQ(parse_number(print_number(value)), value);
  for (const char* text : {"", "nan", "inf", "1e999", "1,5", "0x1p3", "1 2", "--1", "+-1", "1."}) {
    if (std::string_view(text) == "1.") EXPECT_EQ(parse_number(text), 1.0);
    else EXPECT_FALSE(parse_number(text)) << text;
  }
  EXPECT_EQ(parse_number(" +2.5 "), 2.5);
}

TEST(RoiNamePattern, MatchesWholeNamesWithoutRegardToCase) {
  EXPECT_TRUE(matches_roi_name("GTVp", " gtvP "));
  EXPECT_FALSE(matches_roi_name("GTVp", "GTVp1"));
  EXPECT_TRUE(matches_roi_name("GTV.*", "GTV_Mass"));
  EXPECT_TRUE(matches_roi_name("GTV.*", "GTV"));
  EXPECT_TRUE(matches_roi_name("tumou?r", "Tumor"));
  EXPECT_TRUE(matches_roi_name("GTV[-_ ]?p[0-9]+", "gtv-p12"));
  EXPECT_FALSE(matches_roi_name("GTV[-_ ]?p[0-9]+", "gtv-p"));
  EXPECT_TRUE(matches_roi_name("[^n]*", "GTVp"));
  EXPECT_FALSE(matches_roi_name("[^n]*", "GTVnd"));
  EXPECT_TRUE(matches_roi_name("a|b+", "bbb"));
  EXPECT_TRUE(matches_roi_name("a\\.b", "A.B"));
  EXPECT_FALSE(matches_roi_name("a\\.b", "axb"));
  EXPECT_TRUE(matches_roi_name(".*.*.*.*.*.*.*.*.*.*.*.*.*.*.*x", std::string(200, 'a') + "x"));
  EXPECT_FALSE(matches_roi_name(".*.*.*.*.*.*.*.*.*.*.*.*.*.*.*x", std::string(255, 'a'))) << "and it must not take for ever";
  EXPECT_FALSE(matches_roi_name(".*", std::string(300, 'a')));
}

TEST(RoiNamePattern, RefusesWhatItDoesNotRun) {
  for (const char* pattern : {"", "*a", "a**", "(a)", "a{2}", "^a", "a$", "[", "[]", "a\\", "a||b", "a|"}) EXPECT_FALSE(check_roi_name_pattern(pattern)) << pattern;
  EXPECT_FALSE(check_roi_name_pattern(std::string(65, 'a')));
  for (const char* pattern : {"a", "a*", "[a-z0-9]+", "a|b", "GTV.*", "a\\*"}) EXPECT_TRUE(check_roi_name_pattern(pattern)) << pattern;
}

TEST(Document, TurnsYamlIntoCanonicalJson) {
  const auto document = read_yaml("b: [1, 2.5, yes, true, \"3\", ~]\na: {y: x, x: null}\n", "t");
  ASSERT_TRUE(document) << document.error().message;
  EXPECT_EQ(to_canonical_json(*document), R"({"a":{"x":null,"y":"x"},"b":[1,2.5,"yes",true,"3",null]})");
}

TEST(Document, ReturnsFromInputsOnWhichTheLibraryLoopsForEver) {
  // Found by fuzz_model_manifest: YAML::LoadAll of yaml-cpp 0.7.0 never comes back.
  (void)read_yaml(",id,role,roi,kind,feature,unit,train\x1fmean,trais_nd,q00,q99\n2,\"b\",T2,primary,radiomoutputsic,original_shape_Spher\xff\xff\xffGTV[-_ \x1d?p.?r", "t");
  EXPECT_TRUE(read_yaml("# words\n---\na: 1\n", "t"));
  EXPECT_FALSE(read_yaml("a: 1\n...\nb: 1\n", "t"));
}

TEST(Document, RefusesSeveralDocumentsZeroBytesAndSize) {
  EXPECT_FALSE(read_yaml("a: 1\n---\nb: 2\n", "t"));
  EXPECT_FALSE(read_yaml(std::string("a: \0", 4), "t"));
  EXPECT_FALSE(read_yaml("a: [1\n", "t"));
  EXPECT_EQ(read_yaml(std::string(300 * 1024, 'a'), "t").error().code, ErrorCode::limit_exceeded);
  std::string deep;
  for (int n = 0; n < 40; ++n) deep += std::string(static_cast<std::size_t>(n), ' ') + "a:\n";
  EXPECT_EQ(read_yaml(deep, "t").error().code, ErrorCode::limit_exceeded);
  EXPECT_FALSE(read_yaml(std::string(2000, '?'), "t"));
  std::string dashes;
  for (int n = 0; n < 2000; ++n) dashes += "- ";
  EXPECT_EQ(read_yaml(dashes + "a", "t").error().code, ErrorCode::limit_exceeded);
}

}  // namespace
}  // namespace choana::processing
