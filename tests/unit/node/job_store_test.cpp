#include "node/job_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/node/temporary_folder.h"

namespace choana {
namespace {

namespace fs = std::filesystem;

ReceivedInstance instance(std::uint64_t id, const std::string& sop, const std::string& sha256, const std::string& study = "1.2.3") {
  ReceivedInstance i;
  i.receive_id = id;
  i.spool_file = "2026112110/" + std::to_string(id) + ".dcm";
  i.sop_class_uid = "1.2.840.10008.5.1.4.1.1.4";
  i.sop_instance_uid = sop;
  i.study_instance_uid = study;
  i.series_instance_uid = study + ".1";
  i.transfer_syntax_uid = "1.2.840.10008.1.2.1";
  i.calling_ae_title = "MR1";
  i.sha256 = sha256;
  i.size_bytes = 1000;
  i.received_at_ms = 1'000'000 + static_cast<std::int64_t>(id);
  i.acquisition.modality = "MR";
  i.acquisition.repetition_time_ms = 500.5;
  i.acquisition.image_type = {"ORIGINAL", "PRIMARY"};
  i.referenced_sop_instance_uids = {"9.9"};
  return i;
}

ResultObject object(const std::string& kind, const std::string& uid) { return {kind, "1.2.840.10008.5.1.4.1.1.88.22", uid, uid + ".0", uid + ".dcm", "aa"}; }

class JobStoreTest : public testing::Test {
 protected:
  void SetUp() override { reopen(); }

  // What a kill -9 leaves: the store of before is simply gone, the next one opens the same files.
  void reopen() {
    store.reset();
    auto opened = open_sqlite_job_store(file());
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
  }
  [[nodiscard]] fs::path file() const { return folder.path() / "choana.db"; }

  InstanceDecision add(const ReceivedInstance& i) {
    const auto added = store->add_instances({i});
    EXPECT_TRUE(added) << added.error().message;
    return added ? added->at(0).decision : InstanceDecision::known;
  }

  JobLease run_to_lease(const std::string& key = "key") {
    add(instance(1, "1.1", "a"));
    const auto revision = store->open_study_revision("1.2.3", 10);
    EXPECT_TRUE(revision && revision->changed);
    EXPECT_TRUE(store->create_job({key, "1.2.3", revision->revision, "s"}, 11));
    const auto lease = store->lease_job(12);
    EXPECT_TRUE(lease && *lease);
    return **lease;
  }

  JobOutcome three_objects() {
    JobOutcome outcome;
    outcome.result_json = R"({"format":"choana-result/1"})";
    outcome.objects = {object("SC", "7.3"), object("SR-R", "7.2"), object("SEG-ROI", "7.1")};
    outcome.destinations = {"pacs", "archive"};
    return outcome;
  }

  std::vector<Delivery> due(const std::string& destination, std::int64_t now) {
    auto rows = store->due_outbox(destination, now, 100);
    EXPECT_TRUE(rows) << rows.error().message;
    return rows ? std::move(*rows) : std::vector<Delivery>();
  }

  std::vector<std::string> due_kinds(const std::string& destination, std::int64_t now) {
    std::vector<std::string> kinds;
    for (const Delivery& d : due(destination, now)) kinds.push_back(d.kind);
    return kinds;
  }

  test::TemporaryFolder folder;
  std::unique_ptr<JobStore> store;
};

using Kinds = std::vector<std::string>;

TEST_F(JobStoreTest, AnInstanceComesBackAsItWasReceived) {
  ReceivedInstance sent = instance(5, "1.1", "a");
  sent.acquisition.series_description = "T1 \xE9 \"quoted\"";  // Latin-1 byte: no UTF-8
  EXPECT_EQ(add(sent), InstanceDecision::added);
  reopen();
  const auto back = store->instances_of("1.2.3");
  ASSERT_TRUE(back && back->size() == 1);
  EXPECT_EQ(back->at(0).spool_file, sent.spool_file);
  EXPECT_EQ(back->at(0).acquisition.repetition_time_ms, 500.5);
  EXPECT_FALSE(back->at(0).acquisition.echo_time_ms);
  EXPECT_EQ(back->at(0).acquisition.image_type, sent.acquisition.image_type);
  EXPECT_EQ(back->at(0).referenced_sop_instance_uids, sent.referenced_sop_instance_uids);
  EXPECT_TRUE(back->at(0).references_complete);
  EXPECT_EQ(*store->last_receive_id(), 5U);
}

TEST_F(JobStoreTest, TheSameContentAgainIsADuplicateAndMakesNoWork) {
  EXPECT_EQ(add(instance(1, "1.1", "a")), InstanceDecision::added);
  EXPECT_EQ(add(instance(2, "1.1", "a")), InstanceDecision::duplicate);
  EXPECT_EQ(store->instances_of("1.2.3")->size(), 1U);
  EXPECT_EQ(store->study("1.2.3")->duplicates, 1);
  EXPECT_TRUE(store->open_study_revision("1.2.3", 1)->changed);
  EXPECT_EQ(add(instance(3, "1.1", "a")), InstanceDecision::duplicate);
  EXPECT_FALSE(store->open_study_revision("1.2.3", 2)->changed);
}

TEST_F(JobStoreTest, OtherContentUnderTheSameUidIsKeptAsideAndFlagged) {
  add(instance(1, "1.1", "a"));
  EXPECT_EQ(add(instance(2, "1.1", "b")), InstanceDecision::conflict);
  EXPECT_EQ(add(instance(3, "1.1", "b")), InstanceDecision::duplicate) << "one copy of each content is kept";
  EXPECT_EQ(add(instance(4, "1.1", "c", "1.2.4")), InstanceDecision::conflict) << "also in another study";
  const auto active = store->instances_of("1.2.3");
  ASSERT_EQ(active->size(), 1U);
  EXPECT_EQ(active->at(0).receive_id, 1U);
  EXPECT_EQ(store->study("1.2.3")->conflicts, 1);
  EXPECT_EQ(store->known_receive_ids({2})->count(2), 1U) << "its file must stay";
}

TEST_F(JobStoreTest, AdoptingAFileTwiceChangesNothing) {
  add(instance(1, "1.1", "a"));
  reopen();
  EXPECT_EQ(add(instance(1, "1.1", "a")), InstanceDecision::known);
  EXPECT_EQ(store->study("1.2.3")->duplicates, 0);
  const auto known = store->known_receive_ids({1, 2});
  ASSERT_TRUE(known);
  EXPECT_EQ(known->size(), 1U);
  EXPECT_EQ(known->at(1), "2026112110/1.dcm");
}

TEST_F(JobStoreTest, AnEarlierRevisionKeepsItsInputs) {
  add(instance(1, "1.1", "a"));
  EXPECT_EQ(store->open_study_revision("1.2.3", 1)->revision, 1);
  add(instance(2, "1.2", "b"));
  EXPECT_EQ(*store->open_studies(10), std::vector<std::string>{"1.2.3"});
  EXPECT_EQ(store->open_study_revision("1.2.3", 2)->revision, 2);
  EXPECT_EQ(store->instances_of("1.2.3", 1)->size(), 1U);
  EXPECT_EQ(store->instances_of("1.2.3", 2)->size(), 2U);
  EXPECT_TRUE(store->open_studies(10)->empty());
}

TEST_F(JobStoreTest, AJobKeyMakesOneJobHoweverOftenItIsAskedFor) {
  add(instance(1, "1.1", "a"));
  static_cast<void>(store->open_study_revision("1.2.3", 1));
  const auto first = store->create_job({"key", "1.2.3", 1, "s"}, 1);
  reopen();
  const auto second = store->create_job({"key", "1.2.3", 1, "s"}, 2);
  EXPECT_TRUE(first->created);
  EXPECT_FALSE(second->created);
  EXPECT_EQ(first->job_id, second->job_id);
  ASSERT_TRUE(store->lease_job(3)->has_value());
  EXPECT_FALSE(store->lease_job(4)->has_value()) << "one job, one worker";
}

TEST_F(JobStoreTest, TheJobKeyDoesNotDependOnTheOrderOfArrival) {
  const auto a = instance(1, "1.1", "a");
  const auto b = instance(2, "1.2", "b");
  EXPECT_EQ(make_job_key("1.2.3", {a, b}, "p", "s"), make_job_key("1.2.3", {b, a}, "p", "s"));
  EXPECT_NE(make_job_key("1.2.3", {a, b}, "p", "s"), make_job_key("1.2.3", {a}, "p", "s"));
  EXPECT_NE(make_job_key("1.2.3", {a}, "p", "s"), make_job_key("1.2.3", {a}, "p", "t"));
  EXPECT_NE(make_job_key("1.2.3", {a}, "ps", ""), make_job_key("1.2.3", {a}, "p", "s"));
}

TEST_F(JobStoreTest, FinishingStoresResultsAndOutboxTogether) {
  const JobLease lease = run_to_lease();
  EXPECT_EQ(*store->finish_job(lease, three_objects(), 20), FinishedAs::finished);
  reopen();
  EXPECT_EQ(store->study("1.2.3")->state, StudyState::sending);
  EXPECT_EQ(due_kinds("pacs", 30), (Kinds{"SEG-ROI", "SR-R", "SC"}));
  EXPECT_EQ(due_kinds("archive", 30), (Kinds{"SEG-ROI", "SR-R", "SC"}));
  const auto story = store->study_story("1.2.3");
  ASSERT_TRUE(story);
  EXPECT_EQ(story->result_json, three_objects().result_json);
  ASSERT_EQ(story->jobs.size(), 1U);
  EXPECT_EQ(story->jobs[0].attempts.size(), 1U);
  EXPECT_EQ(story->deliveries.size(), 6U);
  EXPECT_EQ(story->series.at(0).instances, 1);
}

TEST_F(JobStoreTest, ACrashAtAnyStepOfAJobIsTakenUpAgain) {
  run_to_lease();
  reopen();
  EXPECT_FALSE(store->lease_job(13)->has_value()) << "still marked as running";
  EXPECT_EQ(*store->recover(14), 1);
  auto again = store->lease_job(15);
  ASSERT_TRUE(*again);
  EXPECT_EQ((*again)->attempt, 2);
  ASSERT_TRUE(store->mark_reporting(**again, 16));
  reopen();
  EXPECT_EQ(*store->recover(17), 1);
  again = store->lease_job(18);
  ASSERT_TRUE(*again);
  ASSERT_TRUE(store->finish_job(**again, three_objects(), 19));
  reopen();
  EXPECT_EQ(*store->recover(20), 0);
  const auto story = store->study_story("1.2.3");
  ASSERT_EQ(story->jobs.at(0).attempts.size(), 3U);
  EXPECT_EQ(story->jobs[0].attempts[0].error, "worker_crashed: The node stopped during this attempt.");
  EXPECT_EQ(story->jobs[0].attempts[1].error, "worker_crashed: The node stopped during this attempt.");
  EXPECT_TRUE(story->jobs[0].attempts[2].error.empty());
}

TEST_F(JobStoreTest, AnAttemptThatWasTakenOverCannotFinish) {
  const JobLease old = run_to_lease();
  static_cast<void>(store->recover(13));
  const auto fresh = store->lease_job(14);
  ASSERT_TRUE(*fresh);
  const auto late = store->finish_job(old, three_objects(), 15);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(due_kinds("pacs", 20).empty());
  EXPECT_TRUE(store->finish_job(**fresh, three_objects(), 16));
}

TEST_F(JobStoreTest, AFailedAttemptWaitsAndIsRepeatedUntilItIsFinal) {
  JobLease lease = run_to_lease();
  const Error crash{ErrorCode::worker_crashed, "run", "The worker ended with signal 11.", {}};
  ASSERT_TRUE(store->fail_job(lease, crash, 1000, 20));
  EXPECT_FALSE(store->lease_job(999)->has_value());
  lease = **store->lease_job(1000);
  EXPECT_EQ(lease.attempt, 2);
  ASSERT_TRUE(store->fail_job(lease, crash, std::nullopt, 1001));
  EXPECT_FALSE(store->lease_job(100'000)->has_value());
  const auto study = store->study("1.2.3");
  EXPECT_EQ(study->state, StudyState::failed);
  EXPECT_EQ(study->reason_code, "worker_crashed");
  EXPECT_EQ(study->reason_text, "The worker ended with signal 11.");
  EXPECT_EQ(store->study_story("1.2.3")->jobs.at(0).attempts.size(), 2U);
}

TEST_F(JobStoreTest, AClockThatWasWrongDoesNotHoldAJobForYears) {
  const JobLease lease = run_to_lease();
  const std::int64_t in_ten_years = 10LL * 365 * 24 * 3600 * 1000;
  ASSERT_TRUE(store->fail_job(lease, {ErrorCode::internal, "run", "x", {}}, in_ten_years, in_ten_years - 1000));
  EXPECT_TRUE(store->lease_job(1000)->has_value());
}

TEST_F(JobStoreTest, ANotAnalysedStudySaysWhy) {
  const JobLease lease = run_to_lease();
  JobOutcome outcome = three_objects();
  outcome.outcome = Outcome::not_analysed;
  outcome.reason = {ErrorCode::missing_role, "admission", "No contrast-enhanced T1 series was found.", {}};
  ASSERT_TRUE(store->finish_job(lease, outcome, 20));
  const auto study = store->study("1.2.3");
  EXPECT_EQ(study->state, StudyState::not_analysed);
  EXPECT_EQ(study->outcome, "not_analysed");
  EXPECT_EQ(study->reason_code, "missing_role");
  EXPECT_EQ(due_kinds("pacs", 30).size(), 3U) << "the short report is sent";
}

TEST_F(JobStoreTest, LateDataSupersedeAndNameWhatTheyReplace) {
  const JobLease first = run_to_lease("first");
  ASSERT_TRUE(store->finish_job(first, three_objects(), 20));
  add(instance(2, "1.2", "b"));
  EXPECT_EQ(store->study("1.2.3")->state, StudyState::collecting);
  EXPECT_EQ(store->open_study_revision("1.2.3", 30)->revision, 2);
  ASSERT_TRUE(store->create_job({"second", "1.2.3", 2, "s"}, 31)->created);
  const auto second = store->lease_job(32);
  const auto before = store->predecessor_results("1.2.3", 2);
  ASSERT_TRUE(before);
  ASSERT_EQ(before->size(), 3U);
  EXPECT_EQ(before->at(1).sop_instance_uid, "7.2");
  JobOutcome outcome = three_objects();
  for (ResultObject& o : outcome.objects) o.sop_instance_uid += ".2";
  ASSERT_TRUE(store->finish_job(**second, outcome, 40));
  const auto story = store->study_story("1.2.3");
  EXPECT_EQ(story->jobs.at(0).state, StudyState::superseded);
  EXPECT_EQ(story->jobs.at(1).state, StudyState::sending);
  EXPECT_EQ(story->deliveries.at(0).sop_instance_uid, "7.1.2") << "deliveries of the newest run";
  EXPECT_EQ(due_kinds("pacs", 50).size(), 6U) << "the predecessor is named, so it is sent too, first";
  EXPECT_EQ(store->due_outbox("pacs", 50, 1)->at(0).sop_instance_uid, "7.1");
}

TEST_F(JobStoreTest, ARunThatIsOvertakenWhileItRunsSendsNothing) {
  const JobLease first = run_to_lease("first");
  add(instance(2, "1.2", "b"));
  EXPECT_EQ(store->study("1.2.3")->state, StudyState::running);
  static_cast<void>(store->open_study_revision("1.2.3", 30));
  ASSERT_TRUE(store->create_job({"second", "1.2.3", 2, "s"}, 31)->created);
  EXPECT_EQ(*store->finish_job(first, three_objects(), 32), FinishedAs::superseded);
  EXPECT_TRUE(due_kinds("pacs", 50).empty());
  EXPECT_TRUE(store->predecessor_results("1.2.3", 2)->empty());
  EXPECT_EQ((*store->lease_job(33))->key, "second");
}

TEST_F(JobStoreTest, NothingOvertakesAnEarlierObjectOfItsStudy) {
  const JobLease lease = run_to_lease();
  ASSERT_TRUE(store->finish_job(lease, three_objects(), 20));
  const auto rows = store->due_outbox("pacs", 30, 10);
  ASSERT_EQ(rows->size(), 3U);
  const std::int64_t seg = rows->at(0).id;
  ASSERT_TRUE(store->mark_sending({seg}, 30));
  EXPECT_TRUE(due_kinds("pacs", 30).empty()) << "the SEG is under way";
  ASSERT_TRUE(store->mark_failed({{seg, false, false, 5000, "a700", "Refused: out of resources."}}, 31));
  EXPECT_TRUE(due_kinds("pacs", 4999).empty()) << "the SEG waits, so SR and SC do";
  EXPECT_EQ(*store->next_due_at("pacs"), 5000);
  EXPECT_EQ(due_kinds("pacs", 5000), (Kinds{"SEG-ROI", "SR-R", "SC"}));
  ASSERT_TRUE(store->mark_failed({{seg, true, true, 0, "0122", "SOP class not supported."}}, 5001));
  EXPECT_EQ(due_kinds("pacs", 5001), (Kinds{"SR-R", "SC"})) << "a dead letter holds nobody back";
  EXPECT_EQ(due_kinds("archive", 5001).size(), 3U) << "another destination is not concerned";
}

TEST_F(JobStoreTest, OtherStudiesGoBeforeOneThatFailedOften) {
  const JobLease lease = run_to_lease();
  ASSERT_TRUE(store->finish_job(lease, three_objects(), 20));
  add(instance(2, "2.1", "b", "1.2.4"));
  static_cast<void>(store->open_study_revision("1.2.4", 21));
  static_cast<void>(store->create_job({"other", "1.2.4", 1, "s"}, 22));
  JobOutcome outcome;
  outcome.objects = {object("SR-R", "8.1")};
  outcome.destinations = {"pacs"};
  ASSERT_TRUE(store->finish_job(**store->lease_job(23), outcome, 24));
  EXPECT_EQ(store->due_outbox("pacs", 30, 1)->at(0).sop_instance_uid, "7.1");
  ASSERT_TRUE(store->mark_failed({{store->due_outbox("pacs", 30, 1)->at(0).id, false, false, 40, "", "The peer aborted."}}, 31));
  EXPECT_EQ(store->due_outbox("pacs", 50, 1)->at(0).sop_instance_uid, "8.1");
}

TEST_F(JobStoreTest, TheLastDeliveryMakesTheStudyDelivered) {
  const JobLease lease = run_to_lease();
  ASSERT_TRUE(store->finish_job(lease, three_objects(), 20));
  for (const char* destination : {"pacs", "archive"})
    for (const Delivery& d : due(destination, 30)) {
      EXPECT_EQ(store->study("1.2.3")->state, StudyState::sending);
      ASSERT_TRUE(store->mark_sending({d.id}, 30));
      reopen();
      ASSERT_TRUE(store->recover(31));
      ASSERT_TRUE(store->mark_delivered(d.id, "0000", 32));
      reopen();
    }
  EXPECT_EQ(store->study("1.2.3")->state, StudyState::delivered);
  EXPECT_FALSE(store->next_due_at("pacs")->has_value());
  EXPECT_EQ(store->study_story("1.2.3")->deliveries.at(0).last_status, "0000");
}

TEST_F(JobStoreTest, ARefusedObjectMakesTheStudyFailedAndAResendOpensItAgain) {
  const JobLease lease = run_to_lease();
  JobOutcome outcome = three_objects();
  outcome.destinations = {"pacs"};
  ASSERT_TRUE(store->finish_job(lease, outcome, 20));
  const auto rows = store->due_outbox("pacs", 30, 10);
  ASSERT_TRUE(store->mark_failed({{rows->at(0).id, true, true, 0, "0122", "SOP class not supported."}}, 31));
  ASSERT_TRUE(store->mark_delivered(rows->at(1).id, "0000", 32));
  ASSERT_TRUE(store->mark_delivered(rows->at(2).id, "0000", 32));
  EXPECT_EQ(store->study("1.2.3")->state, StudyState::failed);
  EXPECT_EQ(store->study("1.2.3")->outcome, "reported");
  EXPECT_EQ(store->study("1.2.3")->reason_code, "peer_refused");
  EXPECT_EQ(*store->resend("7.1", 40), 1);
  EXPECT_EQ(store->study("1.2.3")->state, StudyState::sending);
  const auto again = store->due_outbox("pacs", 41, 10);
  ASSERT_EQ(again->size(), 1U);
  EXPECT_EQ(again->at(0).file, "7.1.dcm") << "the identical stored bytes";
  EXPECT_EQ(again->at(0).sha256, "aa");
  ASSERT_TRUE(store->mark_delivered(again->at(0).id, "0000", 42));
  EXPECT_EQ(store->study("1.2.3")->state, StudyState::delivered);
  EXPECT_EQ(store->resend("no.such", 43).error().code, ErrorCode::not_found);
}

TEST_F(JobStoreTest, AnOwnResultThatComesBackMakesNoWork) {
  const JobLease lease = run_to_lease();
  ASSERT_TRUE(store->finish_job(lease, three_objects(), 20));
  EXPECT_TRUE(*store->is_own_result("7.2"));
  EXPECT_EQ(add(instance(9, "7.2", "zz")), InstanceDecision::own_result);
  EXPECT_FALSE(store->open_study_revision("1.2.3", 30)->changed);
}

TEST_F(JobStoreTest, ReprocessingMakesANewRunOnTheSameInputs) {
  const JobLease lease = run_to_lease();
  ASSERT_TRUE(store->finish_job(lease, three_objects(), 20));
  const auto created = store->reprocess("1.2.3", 30);
  ASSERT_TRUE(created && created->created);
  const auto again = store->lease_job(31);
  ASSERT_TRUE(*again);
  EXPECT_EQ((*again)->revision, 2);
  EXPECT_NE((*again)->key, lease.key) << "new result UIDs";
  EXPECT_EQ(store->instances_of("1.2.3", 2)->size(), 1U);
  EXPECT_EQ(store->predecessor_results("1.2.3", 2)->size(), 3U);
  EXPECT_EQ(store->reprocess("unknown", 30).error().code, ErrorCode::not_found);
}

TEST_F(JobStoreTest, AWaitOfTheOutboxDoesNotSurviveAClockThatWasWrong) {
  const JobLease lease = run_to_lease();
  ASSERT_TRUE(store->finish_job(lease, three_objects(), 20));
  const std::int64_t seg = store->due_outbox("pacs", 30, 1)->at(0).id;
  const std::int64_t in_ten_years = 10LL * 365 * 24 * 3600 * 1000;
  ASSERT_TRUE(store->mark_failed({{seg, false, false, in_ten_years, "a700", "x"}}, in_ten_years));
  EXPECT_EQ(due_kinds("pacs", 1000).size(), 3U);
}

TEST_F(JobStoreTest, TheStateOfADestinationOutlivesARestart) {
  EXPECT_EQ(store->destination_state("pacs")->failures, 0);
  DestinationState state{"pacs", 4, 12345, true, false, "Connection refused.", 99};
  ASSERT_TRUE(store->set_destination_state(state));
  reopen();
  const auto back = store->destination_state("pacs");
  EXPECT_EQ(back->failures, 4);
  EXPECT_EQ(back->retry_at_ms, 12345);
  EXPECT_TRUE(back->unreachable);
  EXPECT_EQ(back->last_error, "Connection refused.");
}

TEST_F(JobStoreTest, StudiesAreListedNewestFirstInPages) {
  for (int n = 0; n < 7; ++n) add(instance(static_cast<std::uint64_t>(n + 1), "1." + std::to_string(n), "a", "5." + std::to_string(n)));
  const auto first = store->list_studies(std::nullopt, 3, std::nullopt);
  ASSERT_EQ(first->studies.size(), 3U);
  EXPECT_EQ(first->studies[0].study_instance_uid, "5.6");
  const auto second = store->list_studies(StudyState::collecting, 3, first->next);
  EXPECT_EQ(second->studies[0].study_instance_uid, "5.3");
  const auto last = store->list_studies(std::nullopt, 3, second->next);
  EXPECT_EQ(last->studies.size(), 1U);
  EXPECT_FALSE(last->next);
  EXPECT_TRUE(store->list_studies(StudyState::failed, 3, std::nullopt)->studies.empty());
  EXPECT_FALSE(store->list_studies(std::nullopt, 0, std::nullopt));
}

TEST_F(JobStoreTest, InputsExpireOnlyWhenEverythingIsDelivered) {
  const JobLease lease = run_to_lease();
  JobOutcome outcome = three_objects();
  outcome.destinations = {"pacs"};
  ASSERT_TRUE(store->finish_job(lease, outcome, 20));
  EXPECT_TRUE(store->take_expired(INT64_MAX, 0, 10)->spool_files.empty()) << "not delivered yet";
  for (const Delivery& d : due("pacs", 30)) ASSERT_TRUE(store->mark_delivered(d.id, "0000", 31));
  EXPECT_TRUE(store->take_expired(1000, 0, 10)->spool_files.empty()) << "not old enough";
  EXPECT_EQ(store->take_expired(INT64_MAX, 0, 10)->spool_files, std::vector<std::string>{"2026112110/1.dcm"});
  reopen();
  EXPECT_EQ(store->known_receive_ids({1})->at(1), "") << "being removed";
  EXPECT_EQ(store->take_expired(0, 0, 10)->spool_files.size(), 1U) << "a crash before the files went is repeated";
  ASSERT_TRUE(store->forget_removed());
  EXPECT_TRUE(store->known_receive_ids({1})->empty());
  EXPECT_EQ(store->study("1.2.3")->state, StudyState::delivered);
  EXPECT_EQ(store->reprocess("1.2.3", 50).error().code, ErrorCode::not_found);
  EXPECT_EQ(add(instance(7, "1.1", "a")), InstanceDecision::added) << "sent again, it is new";
  const auto results = store->take_expired(0, INT64_MAX, 10);
  EXPECT_EQ(results->result_files.size(), 3U);
  ASSERT_TRUE(store->forget_removed());
  EXPECT_EQ(store->resend("7.1", 60).error().code, ErrorCode::not_found);
  EXPECT_TRUE(*store->is_own_result("7.1"));
}

TEST_F(JobStoreTest, TwoNodesCannotShareAStateFolder) {
  const auto second = open_sqlite_job_store(file());
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("Another node"), std::string::npos);
}

TEST_F(JobStoreTest, ACommandBesideTheNodeReadsButCannotChange) {
  add(instance(1, "1.1", "a"));
  const auto reader = open_sqlite_job_store_read_only(file());
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_EQ((*reader)->study("1.2.3")->instances, 1);
  EXPECT_EQ((*reader)->reprocess("1.2.3", 1).error().code, ErrorCode::invalid_argument);
  add(instance(2, "1.2", "b"));
  EXPECT_EQ((*reader)->study("1.2.3")->instances, 2);
  EXPECT_EQ(open_sqlite_job_store_read_only(folder.path() / "none.db").error().code, ErrorCode::not_found);
}

TEST_F(JobStoreTest, ANewerSchemaAndADamagedFileAreRefused) {
  store.reset();
  {
    std::fstream damage(file(), std::ios::in | std::ios::out | std::ios::binary);
    damage.write("this is not a database at all", 29);
  }
  const auto damaged = open_sqlite_job_store(file());
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::io_error);
}

TEST_F(JobStoreTest, ABackupIsAStoreOfItsOwn) {
  add(instance(1, "1.1", "a"));
  ASSERT_TRUE(store->backup(folder.path() / "copy.db"));
  EXPECT_FALSE(store->backup(folder.path() / "copy.db"));
  const auto copy = open_sqlite_job_store(folder.path() / "copy.db");
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_EQ((*copy)->study("1.2.3")->instances, 1);
}

TEST_F(JobStoreTest, TheFilesAreForTheOwnerOnly) {
  add(instance(1, "1.1", "a"));
  for (const char* suffix : {"", "-wal", "-shm"}) {
    const auto rights = fs::status(file().string() + suffix).permissions();
    EXPECT_EQ(rights & (fs::perms::group_all | fs::perms::others_all), fs::perms::none) << suffix;
  }
}

TEST_F(JobStoreTest, CountsSayHowMuchWaits) {
  const JobLease lease = run_to_lease();
  ASSERT_TRUE(store->finish_job(lease, three_objects(), 20));
  const auto counts = store->counts();
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->studies_by_state.at("sending"), 1);
  EXPECT_EQ(counts->outbox_by_destination.at("pacs").pending, 3);
  EXPECT_EQ(counts->outbox_by_destination.at("pacs").oldest_pending_at_ms, 20);
  EXPECT_EQ(counts->instances, 1);
  EXPECT_GT(counts->database_bytes, 0);
}

TEST_F(JobStoreTest, TheWriteAheadLogStaysBounded) {
  std::vector<ReceivedInstance> batch;
  std::uint64_t id = 0;
  for (int n = 0; n < 40; ++n) {
    batch.clear();
    for (int k = 0; k < 256; ++k) {
      ++id;
      batch.push_back(instance(id, "1." + std::to_string(id), "a"));
    }
    ASSERT_TRUE(store->add_instances(batch));
    EXPECT_LT(store->counts()->wal_bytes, 24LL << 20);
  }
  EXPECT_EQ(store->study("1.2.3")->instances, 40 * 256);
  ASSERT_TRUE(store->checkpoint());
  EXPECT_EQ(store->counts()->wal_bytes, 0);
}

}  // namespace
}  // namespace choana
