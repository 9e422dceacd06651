#include "scp/study_assembler.h"

#include <gtest/gtest.h>

namespace choana::scp {
namespace {

constexpr std::int64_t s = 1000;

ReceivedInstance instance(std::string sop, std::string sha = "a", std::string study = "1.2", std::int64_t association = 0) {
  static std::uint64_t next = 1;
  ReceivedInstance i;
  i.receive_id = next++;
  i.sop_class_uid = "1.2.840.10008.5.1.4.1.1.4";
  i.sop_instance_uid = std::move(sop);
  i.sha256 = std::move(sha);
  i.study_instance_uid = std::move(study);
  i.series_instance_uid = "1.2.9";
  i.association_id = association;
  return i;
}

// Ready once `needed` instances are here.
StudyAssembler::Hooks needing(std::size_t needed, int* asked = nullptr) {
  StudyAssembler::Hooks hooks;
  hooks.readiness = [=](const StudySnapshot& study) {
    if (asked != nullptr) ++*asked;
    Readiness r;
    r.ready = study.instances.size() >= needed;
    if (!r.ready) r.waiting_for = {"No contrast-enhanced T1 series yet."};
    return r;
  };
  return hooks;
}
StudyAssembler::Hooks needing_nothing() {
  StudyAssembler::Hooks hooks;
  hooks.readiness = [](const StudySnapshot&) { return Readiness{true, true, {}}; };
  return hooks;
}
StudyAssembler::Settings times() { return {60 * s, 1800 * s, 2 * s, 300 * s, 3600 * s}; }

TEST(StudyAssembler, ClosesOnCompleteEvidenceAfterSettling) {
  StudyAssembler a(times(), needing(2));
  a.on_instance(instance("1"), 0);
  EXPECT_TRUE(a.take_complete(30 * s).empty());
  a.on_instance(instance("2"), 31 * s);
  EXPECT_TRUE(a.take_complete(32 * s).empty());
  EXPECT_EQ(a.next_due_ms(), 33 * s);
  const auto closed = a.take_complete(33 * s);
  ASSERT_EQ(closed.size(), 1U);
  EXPECT_EQ(closed[0].reason, CloseReason::evidence_complete);
  EXPECT_EQ(closed[0].revision, 1);
  EXPECT_EQ(closed[0].instances.size(), 2U);
  EXPECT_TRUE(a.take_complete(10'000 * s).empty()) << "each revision once";
}

TEST(StudyAssembler, WaitsForTheQuietPeriodWhereNothingIsRequired) {
  StudyAssembler a(times(), needing_nothing());
  a.on_instance(instance("1"), 0);
  a.on_instance(instance("2"), 50 * s);
  EXPECT_TRUE(a.take_complete(109 * s).empty());
  EXPECT_EQ(a.next_due_ms(), 110 * s);
  const auto closed = a.take_complete(110 * s);
  ASSERT_EQ(closed.size(), 1U);
  EXPECT_EQ(closed[0].reason, CloseReason::quiet_period);
}

TEST(StudyAssembler, GivesItsVerdictAtTheDeadline) {
  StudyAssembler a(times(), needing(2));
  a.on_instance(instance("1"), 0);
  EXPECT_TRUE(a.take_complete(1799 * s).empty());
  const auto closed = a.take_complete(1800 * s);
  ASSERT_EQ(closed.size(), 1U);
  EXPECT_EQ(closed[0].reason, CloseReason::deadline);
  EXPECT_EQ(closed[0].waiting_for, std::vector<std::string>{"No contrast-enhanced T1 series yet."});
}

TEST(StudyAssembler, SettlesNoLongerThanTheQuietPeriod) {
  auto t = times();
  t.quiet_ms = 500;
  StudyAssembler a(t, needing(1));
  a.on_instance(instance("1"), 0);
  EXPECT_EQ(a.take_complete(500).size(), 1U);
}

TEST(StudyAssembler, KeepsARevisionOpenWhileAnAssociationSendsToIt) {
  for (const bool nothing_required : {false, true}) {
    StudyAssembler a(times(), nothing_required ? needing_nothing() : needing(1));
    a.on_association_open(7);
    a.on_association_open(8);
    a.on_instance(instance("1", "a", "1.2", 7), 0);
    EXPECT_TRUE(a.take_complete(100 * s).empty());
    a.on_association_closed(8, 100 * s);  // never sent to this study
    EXPECT_TRUE(a.take_complete(101 * s).empty());
    a.on_association_closed(7, 102 * s);
    EXPECT_EQ(a.take_complete(102 * s).size(), 1U);
  }
}

TEST(StudyAssembler, DoesNotTakeTheEndOfAnAssociationForTheEndOfAStudy) {
  StudyAssembler a(times(), needing(2));
  a.on_association_open(7);
  a.on_instance(instance("1", "a", "1.2", 7), 0);
  a.on_association_closed(7, 1 * s);
  EXPECT_TRUE(a.take_complete(100 * s).empty());
  a.on_association_open(8);
  a.on_instance(instance("2", "a", "1.2", 8), 101 * s);
  a.on_association_closed(8, 102 * s);
  EXPECT_EQ(a.take_complete(103 * s).size(), 1U);
}

TEST(StudyAssembler, IsNotHeldForEverByARouterThatStaysConnected) {
  StudyAssembler a(times(), needing(1));
  a.on_association_open(7);
  a.on_instance(instance("1", "a", "1.2", 7), 0);
  for (int i = 1; i < 100; ++i) {
    a.on_instance(instance("x" + std::to_string(i), "a", "1.3", 7), i * 10 * s);  // another study, on and on
    const auto closed = a.take_complete(i * 10 * s);
    if (i * 10 < 300) {
      EXPECT_TRUE(closed.empty());
    } else if (i * 10 == 300) {
      ASSERT_EQ(closed.size(), 1U);
      EXPECT_EQ(closed[0].study_instance_uid, "1.2");
    }
  }
}

struct LateRow {
  const char* what;
  std::int64_t at_ms;
  std::size_t revisions;         // in the end
  std::size_t in_first;          // instances of revision 1
};

// One instance at 0 (ready at once), a second one late: it stands in exactly one latest revision.
TEST(StudyAssembler, PutsALateInstanceIntoExactlyOneLatestRevision) {
  const std::vector<LateRow> rows{
      {"before the settling ends", 1999, 1, 2},
      {"at the moment of closing", 2000, 1, 2},
      {"just after", 2001, 2, 1},
      {"while the job runs", 30 * s, 2, 1},
      {"after delivery", 600 * s, 2, 1},
      {"three days later", 3 * 86'400 * s, 2, 1},
  };
  for (const LateRow& row : rows) {
    StudyAssembler a(times(), needing(1));
    std::vector<ClosedStudy> closed;
    const auto take = [&](std::int64_t now) {
      for (auto& c : a.take_complete(now)) closed.push_back(std::move(c));
    };
    a.on_instance(instance("1"), 0);
    for (std::int64_t now = 0; now < row.at_ms && now <= 10 * s; now += 500) take(now);
    if (row.at_ms == 2000) {
      a.on_instance(instance("2"), row.at_ms);
      take(row.at_ms);
    } else {
      take(row.at_ms - 1);
      take(std::min<std::int64_t>(row.at_ms - 1, 2000));
      a.on_instance(instance("2"), row.at_ms);
    }
    take(row.at_ms + 2 * s);
    take(row.at_ms + 4000 * s);
    ASSERT_EQ(closed.size(), row.revisions) << row.what;
    EXPECT_EQ(closed.front().instances.size(), row.in_first) << row.what;
    EXPECT_EQ(closed.back().instances.size(), 2U) << row.what;
    EXPECT_EQ(closed.back().revision, static_cast<int>(row.revisions)) << row.what;
  }
}

TEST(StudyAssembler, TakesTheSameOctetsAgainForNothingNew) {
  StudyAssembler a(times(), needing(1));
  EXPECT_EQ(a.on_instance(instance("1"), 0), Arrival::added);
  EXPECT_EQ(a.take_complete(2 * s).size(), 1U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.on_instance(instance("1"), 10 * s), Arrival::duplicate);
  EXPECT_TRUE(a.take_complete(10'000 * s).empty());
}

TEST(StudyAssembler, KeepsTheFirstOfTwoContentsAndTheOtherAside) {
  StudyAssembler a(times(), needing(1));
  EXPECT_EQ(a.on_instance(instance("1", "first"), 0), Arrival::added);
  EXPECT_EQ(a.on_instance(instance("1", "second"), 0), Arrival::conflicting);
  EXPECT_EQ(a.on_instance(instance("1", "second"), 0), Arrival::duplicate);
  const auto closed = a.take_complete(2 * s);
  ASSERT_EQ(closed.size(), 1U);
  ASSERT_EQ(closed[0].instances.size(), 1U);
  EXPECT_EQ(closed[0].instances[0].sha256, "first");
  ASSERT_EQ(closed[0].conflicting.size(), 1U);
  EXPECT_EQ(closed[0].conflicting[0].sha256, "second");
  // A conflict that comes late changes no input, so it makes no revision.
  EXPECT_EQ(a.on_instance(instance("1", "third"), 10 * s), Arrival::conflicting);
  EXPECT_TRUE(a.take_complete(10'000 * s).empty());
}

TEST(StudyAssembler, KeepsTheSameUidInTwoStudiesApart) {
  StudyAssembler a(times(), needing(1));
  EXPECT_EQ(a.on_instance(instance("1", "a", "1.2"), 0), Arrival::added);
  EXPECT_EQ(a.on_instance(instance("1", "b", "1.3"), 0), Arrival::added);
  EXPECT_EQ(a.take_complete(2 * s).size(), 2U);
}

TEST(StudyAssembler, IsNotStartedByItsOwnResultsComingBack) {
  auto hooks = needing(1);
  hooks.is_input = [](const ReceivedInstance& i) { return i.sop_instance_uid != "2.25.1"; };
  StudyAssembler a(times(), hooks);
  a.on_instance(instance("1"), 0);
  EXPECT_EQ(a.take_complete(2 * s).size(), 1U);
  EXPECT_EQ(a.on_instance(instance("2.25.1"), 10 * s), Arrival::not_an_input);
  EXPECT_TRUE(a.take_complete(10'000 * s).empty());
  EXPECT_FALSE(a.next_due_ms());
}

TEST(StudyAssembler, TakesReportsAndCapturesForNoInput) {
  StudyAssembler a(times(), needing(1));
  for (const char* uid : {"1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.2"}) {
    auto other = instance("1");
    other.sop_class_uid = uid;
    EXPECT_EQ(a.on_instance(other, 0), Arrival::not_an_input);
  }
  for (const char* uid : {"1.2.840.10008.5.1.4.1.1.481.3", "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.5.1.4.1.1.4.1"}) {
    auto input = instance(uid);
    input.sop_class_uid = uid;
    EXPECT_EQ(a.on_instance(input, 0), Arrival::added);
  }
}

TEST(StudyAssembler, WaitsForASlowSeriesAmongFastOnes) {
  // mercure #32: a study "complete" while a series is still arriving.
  StudyAssembler a(times(), needing_nothing());
  std::int64_t now = 0;
  for (int i = 0; i < 20; ++i, now += 55 * s) {
    a.on_instance(instance(std::to_string(i)), now);
    EXPECT_TRUE(a.take_complete(now + 54 * s).empty());
  }
  EXPECT_EQ(a.take_complete(now + 60 * s).at(0).instances.size(), 20U);
}

TEST(StudyAssembler, AsksForReadinessOnlyWhenAStudyCouldClose) {
  int asked = 0;
  StudyAssembler a(times(), needing(1000, &asked));
  for (int i = 0; i < 500; ++i) {
    a.on_instance(instance(std::to_string(i)), i * 10);
    (void)a.take_complete(i * 10);
  }
  EXPECT_EQ(asked, 0);
  for (int i = 0; i < 100; ++i) (void)a.take_complete(10 * s + i * s);
  EXPECT_EQ(asked, 1) << "nothing changed since";
}

TEST(StudyAssembler, AsksAgainWhenToldThatSomethingChanged) {
  bool query_done = false;
  StudyAssembler::Hooks hooks;
  hooks.readiness = [&](const StudySnapshot&) { return Readiness{query_done, false, {"The archive has not answered yet."}}; };
  StudyAssembler a(times(), hooks);
  a.on_instance(instance("1"), 0);
  EXPECT_TRUE(a.take_complete(10 * s).empty());
  query_done = true;
  EXPECT_TRUE(a.take_complete(20 * s).empty());
  a.reconsider("1.2");
  EXPECT_EQ(a.take_complete(20 * s).size(), 1U);
}

TEST(StudyAssembler, IsRebuiltFromWhatTheJobStoreHolds) {
  const auto first = instance("1");
  const auto second = instance("2");
  {  // everything closed already
    StudyAssembler a(times(), needing(1));
    a.restore("1.2", {{first, second}, 1, {first.receive_id, second.receive_id}}, 0);
    EXPECT_TRUE(a.take_complete(10'000 * s).empty());
    EXPECT_EQ(a.on_instance(instance("1"), 10'001 * s), Arrival::duplicate);
    EXPECT_EQ(a.on_instance(instance("3"), 10'001 * s), Arrival::added);
    const auto closed = a.take_complete(10'003 * s);
    ASSERT_EQ(closed.size(), 1U);
    EXPECT_EQ(closed[0].revision, 2);
    EXPECT_EQ(closed[0].instances.size(), 3U);
  }
  {  // one came after the revision closed, and the node went down
    StudyAssembler a(times(), needing(1));
    a.restore("1.2", {{first, second}, 1, {first.receive_id}}, 100 * s);
    const auto closed = a.take_complete(102 * s);
    ASSERT_EQ(closed.size(), 1U);
    EXPECT_EQ(closed[0].revision, 2);
    EXPECT_EQ(closed[0].instances.size(), 2U);
  }
  {  // never closed
    StudyAssembler a(times(), needing(2));
    a.restore("1.2", {{first, second}, 0, {}}, 0);
    EXPECT_EQ(a.take_complete(2 * s).size(), 1U);
  }
}

TEST(StudyAssembler, KeepsTheContentsThatWereAnalysedAfterARestart) {
  const auto late_but_analysed = instance("1", "analysed");
  const auto earlier = instance("1", "aside");
  StudyAssembler a(times(), needing(1));
  a.restore("1.2", {{earlier, late_but_analysed}, 1, {late_but_analysed.receive_id}}, 0);
  EXPECT_TRUE(a.take_complete(10'000 * s).empty());
  a.on_instance(instance("2"), 10'001 * s);
  const auto closed = a.take_complete(10'003 * s);
  ASSERT_EQ(closed.size(), 1U);
  EXPECT_EQ(closed[0].instances[0].sha256, "analysed");
}

TEST(StudyAssembler, ForgetsClosedStudiesAndLoadsThemAgain) {
  const auto first = instance("1");
  auto hooks = needing(1);
  hooks.load = [&](const std::string& uid) -> std::optional<StudyAssembler::StoredStudy> {
    if (uid != "1.2") return std::nullopt;
    return StudyAssembler::StoredStudy{{first}, 1, {first.receive_id}};
  };
  StudyAssembler a(times(), hooks);
  a.on_instance(instance("9", "a", "1.3"), 0);
  EXPECT_EQ(a.take_complete(2 * s).size(), 1U);
  (void)a.take_complete(4000 * s);
  EXPECT_EQ(a.studies_in_memory(), 0U);
  EXPECT_EQ(a.on_instance(instance("1"), 5000 * s), Arrival::duplicate);
  EXPECT_EQ(a.on_instance(instance("2"), 5000 * s), Arrival::added);
  const auto closed = a.take_complete(5002 * s);
  ASSERT_EQ(closed.size(), 1U);
  EXPECT_EQ(closed[0].revision, 2);
  EXPECT_EQ(closed[0].instances.size(), 2U);
}

TEST(StudyAssembler, TellsWhatItWaitsFor) {
  StudyAssembler a(times(), needing(2));
  a.on_association_open(7);
  a.on_instance(instance("1", "a", "1.2", 7), 0);
  ASSERT_EQ(a.waiting(1 * s).size(), 1U);
  EXPECT_TRUE(a.waiting(1 * s)[0].held_by_association);
  a.on_association_closed(7, 2 * s);
  (void)a.take_complete(10 * s);
  const auto waiting = a.waiting(10 * s);
  ASSERT_EQ(waiting.size(), 1U);
  EXPECT_FALSE(waiting[0].held_by_association);
  EXPECT_EQ(waiting[0].waiting_for.size(), 1U);
  EXPECT_EQ(waiting[0].deadline_ms, 1800 * s);
}

}  // namespace
}  // namespace choana::scp
