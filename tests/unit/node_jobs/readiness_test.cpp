#include <gtest/gtest.h>

#include "node/data_files.h"
#include "node/study_readiness.h"

namespace choana::node {
namespace {

constexpr const char* mr_class = "1.2.840.10008.5.1.4.1.1.4";
constexpr const char* rtstruct_class = "1.2.840.10008.5.1.4.1.1.481.3";

ReceivedInstance image(const std::string& series, const std::string& uid, const std::string& description) {
  ReceivedInstance instance;
  instance.sop_class_uid = mr_class;
  instance.series_instance_uid = series;
  instance.sop_instance_uid = uid;
  instance.acquisition.modality = "MR";
  instance.acquisition.series_description = description;
  return instance;
}

ReceivedInstance regions(std::vector<std::string> references) {
  ReceivedInstance instance;
  instance.sop_class_uid = rtstruct_class;
  instance.series_instance_uid = "1.9";
  instance.sop_instance_uid = "1.9.1";
  instance.acquisition.modality = "RTSTRUCT";
  instance.referenced_sop_instance_uids = std::move(references);
  return instance;
}

scp::Readiness judge(const std::vector<ReceivedInstance>& instances, const std::vector<ReadinessNeed>& needs) {
  static const std::string uid = "1.2.3";
  return judge_readiness(scp::StudySnapshot{uid, 1, instances}, needs, default_series_rules().value());
}

const std::vector<ReadinessNeed> t2_model{{"model", {{"T2", "T2-FS"}}}};
const std::vector<ReadinessNeed> two_role_model{{"model", {{"T2", "T2-FS"}, {"T1C", "T1C-FS"}}}};

TEST(Readiness, IsThereWhenRolesRegionAndItsImagesAreHere) {
  const auto r = judge({image("1.1", "1.1.1", "T2 TSE tra"), image("1.1", "1.1.2", "T2 TSE tra"), regions({"1.1.1", "1.1.2"})}, t2_model);
  EXPECT_TRUE(r.ready);
  EXPECT_FALSE(r.needs_quiet_period);
}

TEST(Readiness, WaitsForAnImageThatTheRegionNames) {
  const auto r = judge({image("1.1", "1.1.1", "T2 TSE tra"), regions({"1.1.1", "1.1.2"})}, t2_model);
  EXPECT_FALSE(r.ready);
  ASSERT_EQ(r.waiting_for.size(), 1U);
  EXPECT_NE(r.waiting_for[0].find("1 of the images"), std::string::npos);
}

TEST(Readiness, DoesNotTrustReferencesOfWhichNoneIsHere) {
  // spec/inputs.md 3: in real objects every referenced UID may be absent while frame of reference and series match.
  const auto r = judge({image("1.1", "1.1.1", "T2 TSE tra"), regions({"7.7.1", "7.7.2"})}, t2_model);
  EXPECT_TRUE(r.ready);
  EXPECT_TRUE(r.needs_quiet_period) << "the series it was drawn on may still be on its way";
}

TEST(Readiness, NamesTheRoleThatIsMissing) {
  const auto r = judge({image("1.1", "1.1.1", "T2 TSE tra"), regions({"1.1.1"})}, two_role_model);
  EXPECT_FALSE(r.ready);
  ASSERT_EQ(r.waiting_for.size(), 1U);
  EXPECT_NE(r.waiting_for[0].find("T1C"), std::string::npos);
}

TEST(Readiness, OfAnyPackageIsEnough) {
  std::vector<ReadinessNeed> needs = two_role_model;
  needs.push_back(t2_model.front());
  EXPECT_TRUE(judge({image("1.1", "1.1.1", "T2 TSE tra"), regions({"1.1.1"})}, needs).ready);
}

TEST(Readiness, WithoutPackagesNeedsTheQuietPeriod) {
  const auto r = judge({image("1.1", "1.1.1", ""), regions({"1.1.1"})}, {});
  EXPECT_TRUE(r.ready);
  EXPECT_TRUE(r.needs_quiet_period);
}

TEST(Readiness, NeedsARegion) {
  EXPECT_FALSE(judge({image("1.1", "1.1.1", "T2 TSE tra")}, t2_model).ready);
  EXPECT_FALSE(judge({image("1.1", "1.1.1", "T2 TSE tra")}, {}).ready);
}

}  // namespace
}  // namespace choana::node
