#include "node/outbox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>

#include "core/sha256.h"
#include "tests/unit/node/temporary_folder.h"

namespace choana {
namespace {

constexpr std::int64_t minute_ms = 60 * 1000;
constexpr std::int64_t hour_ms = 60 * minute_ms;

class FakeClock final : public Clock {
 public:
  [[nodiscard]] std::int64_t monotonic_ms() const override { return now_ms; }
  [[nodiscard]] std::int64_t wall_ms() const override { return now_ms; }
  std::int64_t now_ms = 1'000'000;
};

// A PACS in memory. What it does with an object is set by its file name.
struct FakePacs {
  bool up = true;
  std::optional<Error> connect_error;
  std::map<std::string, std::vector<std::uint16_t>> answers;  // one after the other, then 0000
  std::map<std::string, Error> losses;                        // the association breaks with this object
  std::vector<std::string> received;                          // contents, in order
  int associations = 0;
  int probes = 0;
  int open = 0;
  std::function<void()> on_store;
  std::vector<std::vector<std::string>> commitments_asked;  // SOP Instance UIDs of each request
  std::string last_transaction;
  std::optional<Error> commitment_error;
  bool reports_at_once = false;
  std::vector<std::string> not_kept;
};

class FakeSender final : public Sender {
 public:
  explicit FakeSender(FakePacs& pacs) : pacs_(pacs) {}

  Status connect(const std::vector<std::filesystem::path>& files) override {
    EXPECT_FALSE(files.empty());
    ++pacs_.associations;
    if (!pacs_.up) return fail(ErrorCode::connection_failed, "associate", "Connection refused.");
    if (pacs_.connect_error) return fail(*pacs_.connect_error);
    ++pacs_.open;
    return {};
  }
  Result<std::uint16_t> send(const std::filesystem::path& file) override {
    if (pacs_.on_store) pacs_.on_store();
    const std::string name = file.stem().string();
    if (const auto loss = pacs_.losses.find(name); loss != pacs_.losses.end()) return fail(loss->second);
    auto& answers = pacs_.answers[name];
    std::uint16_t status = 0;
    if (!answers.empty()) {
      status = answers.front();
      answers.erase(answers.begin());
    }
    if (classify_status(status) == DeliveryClass::delivered) {
      std::ifstream stream(file);
      pacs_.received.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
    }
    return status;
  }
  void release() override { --pacs_.open; }
  Status probe() override {
    ++pacs_.probes;
    if (!pacs_.up) return fail(ErrorCode::connection_failed, "echo", "Connection refused.");
    return {};
  }

  Result<std::optional<CommitmentReport>> request_commitment(const std::string& transaction_uid, const std::vector<CommitmentItem>& items,
                                                             int wait_s) override {
    if (pacs_.commitment_error) return fail(*pacs_.commitment_error);
    pacs_.last_transaction = transaction_uid;
    std::vector<std::string>& asked = pacs_.commitments_asked.emplace_back();
    CommitmentReport report;
    report.transaction_uid = transaction_uid;
    for (const CommitmentItem& item : items) {
      asked.push_back(item.sop_instance_uid);
      const bool kept = std::find(pacs_.not_kept.begin(), pacs_.not_kept.end(), item.sop_instance_uid) == pacs_.not_kept.end();
      (kept ? report.committed : report.failed).push_back(item);
    }
    if (!pacs_.reports_at_once || wait_s == 0) return std::optional<CommitmentReport>();
    return std::optional<CommitmentReport>(report);
  }

 private:
  FakePacs& pacs_;
};

class OutboxTest : public testing::Test {
 protected:
  void SetUp() override {
    open_store();
    make_outbox();
  }

  void open_store() {
    outbox.reset();
    store.reset();
    auto opened = open_sqlite_job_store(folder.path() / "choana.db");
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
  }

  void make_outbox() {
    std::vector<DestinationSettings> destinations;
    for (const char* name : {"pacs", "archive"}) {
      DestinationSettings destination;
      destination.name = name;
      destination.storage_commitment = commitment;
      destinations.push_back(destination);
    }
    outbox = std::make_unique<Outbox>(
        *store, destinations, folder.path(), [this](const DestinationSettings& d) { return std::make_unique<FakeSender>(pacs[d.name]); }, clock);
  }

  // A finished study with SEG, SR and SC, whose files hold "<study>/<kind>".
  void finish_study(const std::string& study, std::vector<std::string> destinations = {"pacs"}) {
    ReceivedInstance instance;
    instance.receive_id = ++receive_id;
    instance.study_instance_uid = study;
    instance.series_instance_uid = study + ".1";
    instance.sop_instance_uid = study + ".1.1";
    instance.sha256 = "a";
    ASSERT_TRUE(store->add_instances({instance}));
    ASSERT_TRUE(store->open_study_revision(study, clock.now_ms));
    ASSERT_TRUE(store->create_job({study + "key", study, 1, "s"}, clock.now_ms));
    const auto lease = store->lease_job(clock.now_ms);
    ASSERT_TRUE(lease && *lease);
    JobOutcome outcome;
    outcome.destinations = std::move(destinations);
    for (const char* kind : {"SR-R", "SC", "SEG-ROI"}) {
      const std::string content = study + "/" + kind;
      const std::string file = study + "_" + kind + ".dcm";
      std::ofstream(folder.path() / file) << content;
      const std::string uid = study + (kind[1] == 'E' ? ".101" : kind[1] == 'R' ? ".102" : ".103");
      outcome.objects.push_back({kind, "1.2", uid, study + ".9", file, sha256_hex(content)});
    }
    ASSERT_TRUE(store->finish_job(**lease, outcome, clock.now_ms));
  }

  std::optional<std::int64_t> run(const std::string& destination = "pacs") {
    const auto next = outbox->run_once(destination);
    EXPECT_TRUE(next) << next.error().message;
    return next ? *next : std::nullopt;
  }

  // Run passes as the thread would until the time is over; returns when the last object had arrived.
  void run_for(std::int64_t duration_ms, const std::function<void()>& at_each = {}) {
    const std::int64_t end = clock.now_ms + duration_ms;
    while (clock.now_ms < end) {
      if (at_each) at_each();
      const auto next = run();
      clock.now_ms = next ? std::min(end, std::max(clock.now_ms + 1, *next)) : end;
    }
  }

  StudyState state_of(const std::string& study) { return store->study(study)->state; }

  test::TemporaryFolder folder;
  FakeClock clock;
  std::map<std::string, FakePacs> pacs;
  std::unique_ptr<JobStore> store;
  std::unique_ptr<Outbox> outbox;
  std::uint64_t receive_id = 0;
  StorageCommitmentMode commitment = StorageCommitmentMode::off;

  std::vector<std::string> commitments(const std::string& study) {
    std::vector<std::string> states;
    const auto record = store->study(study);
    for (const Delivery& d : record->deliveries) states.push_back(d.commitment);
    return states;
  }
};

// The data set of an N-EVENT-REPORT in Implicit VR Little Endian, PS3.4 table J.3-3, written by hand.
std::vector<std::uint8_t> report_bytes(const std::string& transaction, const std::vector<std::string>& committed, const std::vector<std::string>& failed) {
  std::vector<std::uint8_t> out;
  const auto number = [](std::vector<std::uint8_t>& to, std::uint32_t value, int bytes) {
    for (int n = 0; n < bytes; ++n) to.push_back(static_cast<std::uint8_t>(value >> (8 * n)));
  };
  const auto element = [&](std::vector<std::uint8_t>& to, std::uint32_t group, std::uint32_t tag, const std::vector<std::uint8_t>& value) {
    number(to, group, 2);
    number(to, tag, 2);
    number(to, static_cast<std::uint32_t>(value.size()), 4);
    to.insert(to.end(), value.begin(), value.end());
  };
  const auto text = [](std::string value) {
    if (value.size() % 2 != 0) value += '\0';
    return std::vector<std::uint8_t>(value.begin(), value.end());
  };
  const auto sequence = [&](std::uint32_t tag, const std::vector<std::string>& uids, bool failures) {
    std::vector<std::uint8_t> items;
    for (const std::string& uid : uids) {
      std::vector<std::uint8_t> item;
      element(item, 0x0008, 0x1150, text("1.2"));
      element(item, 0x0008, 0x1155, text(uid));
      if (failures) element(item, 0x0008, 0x1197, {0x12, 0x01});  // 0112H: no such object instance
      element(items, 0xFFFE, 0xE000, item);
    }
    if (!uids.empty()) element(out, 0x0008, tag, items);
  };
  element(out, 0x0008, 0x1195, text(transaction));
  sequence(0x1198, failed, true);
  sequence(0x1199, committed, false);
  return out;
}

const std::string implicit_little_endian = "1.2.840.10008.1.2";

using Contents = std::vector<std::string>;

TEST(DeliveryClasses, FollowTheStandard) {
  // PS3.4 B.2.3 and PS3.7 annex C; the division is durability.md 4.5.
  for (const int status : {0x0000, 0xB000, 0xB006, 0xB007, 0x0111, 0x0107, 0x0116})
    EXPECT_EQ(classify_status(static_cast<std::uint16_t>(status)), DeliveryClass::delivered) << status;
  for (const int status : {0xA700, 0xA701, 0xA7FF, 0x0110}) EXPECT_EQ(classify_status(static_cast<std::uint16_t>(status)), DeliveryClass::transient);
  EXPECT_EQ(classify_status(0x0124), DeliveryClass::configuration);
  for (const int status : {0x0122, 0x0117, 0xA900, 0xA9FF, 0xC000, 0xCFFF, 0x0112, 0x0211})
    EXPECT_EQ(classify_status(static_cast<std::uint16_t>(status)), DeliveryClass::permanent);
  EXPECT_EQ(classify_error({ErrorCode::association_rejected, "", "", "permanent"}), DeliveryClass::configuration);
  EXPECT_EQ(classify_error({ErrorCode::association_rejected, "", "", "transient"}), DeliveryClass::transient);
  EXPECT_EQ(classify_error({ErrorCode::connection_failed, "", "", ""}), DeliveryClass::transient);
  EXPECT_EQ(classify_error({ErrorCode::timed_out, "", "", ""}), DeliveryClass::transient);
  EXPECT_EQ(classify_error({ErrorCode::peer_refused, "", "", ""}), DeliveryClass::permanent);
}

TEST(Backoff, DoublesFromOneSecondToFifteenMinutesWithinTwentyPercent) {
  for (int failures = 1; failures < 40; ++failures) {
    const double base = std::min(1000.0 * std::pow(2.0, failures - 1), 900'000.0);
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      const auto wait = static_cast<double>(backoff_ms(failures, seed));
      EXPECT_GE(wait, 0.8 * base - 1);
      EXPECT_LE(wait, 1.2 * base);
    }
  }
  EXPECT_EQ(backoff_ms(5, 7), backoff_ms(5, 7)) << "a restart does not change it";
  EXPECT_NE(backoff_ms(5, 7), backoff_ms(5, 8)) << "objects do not come back all at once";
}

TEST_F(OutboxTest, SendsInOrderOverOneAssociation) {
  finish_study("1");
  finish_study("2");
  EXPECT_EQ(run(), std::nullopt);
  EXPECT_EQ(pacs["pacs"].received, (Contents{"1/SEG-ROI", "1/SR-R", "1/SC", "2/SEG-ROI", "2/SR-R", "2/SC"}));
  EXPECT_EQ(pacs["pacs"].associations, 1);
  EXPECT_EQ(pacs["pacs"].open, 0) << "released";
  EXPECT_EQ(state_of("1"), StudyState::delivered);
  EXPECT_EQ(run(), std::nullopt);
  EXPECT_EQ(pacs["pacs"].associations, 1) << "nothing to send, no association";
}

TEST_F(OutboxTest, APacsThatIsAwayForADayGetsEverythingWithinAMinuteOfItsReturn) {
  finish_study("1");
  pacs["pacs"].up = false;
  run_for(8 * hour_ms);
  EXPECT_LE(pacs["pacs"].associations, 45) << "durability.md section 3, test 9";
  EXPECT_GT(pacs["pacs"].associations, 20);
  run_for(16 * hour_ms);
  EXPECT_EQ(state_of("1"), StudyState::sending);
  EXPECT_EQ(store->destination_state("pacs")->last_error, "Connection refused.");
  EXPECT_GT(store->study_story("1")->deliveries.at(0).attempts, 20);
  pacs["pacs"].up = true;
  finish_study("2");
  run_for(minute_ms);
  EXPECT_EQ(pacs["pacs"].received.size(), 6U);
  EXPECT_EQ(state_of("1"), StudyState::delivered);
  EXPECT_EQ(store->destination_state("pacs")->failures, 0);
}

TEST_F(OutboxTest, ARestartKeepsTheWait) {
  finish_study("1");
  pacs["pacs"].up = false;
  run_for(30 * minute_ms);
  const int before = pacs["pacs"].associations;
  open_store();
  make_outbox();
  static_cast<void>(run());
  EXPECT_EQ(pacs["pacs"].associations, before) << "only a probe";
}

TEST_F(OutboxTest, AFullPacsIsAskedAgainWithoutOvertaking) {
  finish_study("1");
  finish_study("2");
  pacs["pacs"].answers["1_SEG-ROI"] = {0xA700, 0xA700, 0xA701, 0xA700};
  run_for(10 * minute_ms);
  EXPECT_EQ(pacs["pacs"].received.size(), 6U);
  const auto& received = pacs["pacs"].received;
  const auto at = [&](const std::string& s) { return std::find(received.begin(), received.end(), s) - received.begin(); };
  EXPECT_LT(at("1/SEG-ROI"), at("1/SR-R"));
  EXPECT_LT(at("1/SR-R"), at("1/SC"));
  EXPECT_LT(at("2/SC"), at("1/SEG-ROI")) << "the other study does not wait for it";
  EXPECT_EQ(state_of("1"), StudyState::delivered);
  EXPECT_EQ(store->study_story("1")->deliveries.at(0).attempts, 5);
}

TEST_F(OutboxTest, ThreeRefusalsAreADeadLetterAndTheRestArrives) {
  finish_study("1");
  pacs["pacs"].answers["1_SEG-ROI"] = {0x0122, 0x0122, 0x0122, 0x0122};
  run_for(10 * minute_ms);
  EXPECT_EQ(pacs["pacs"].received, (Contents{"1/SR-R", "1/SC"}));
  EXPECT_EQ(pacs["pacs"].answers["1_SEG-ROI"].size(), 1U) << "three attempts";
  EXPECT_EQ(state_of("1"), StudyState::failed);
  const Delivery seg = store->study_story("1")->deliveries.at(0);
  EXPECT_EQ(seg.state, DeliveryState::failed);
  EXPECT_EQ(seg.last_status, "0122");
  EXPECT_EQ(seg.last_error, "The destination does not take this SOP class.");
  ASSERT_EQ(*store->resend("1.101", clock.now_ms), 1);
  pacs["pacs"].answers.clear();
  static_cast<void>(run());
  EXPECT_EQ(pacs["pacs"].received.back(), "1/SEG-ROI");
  EXPECT_EQ(state_of("1"), StudyState::delivered);
}

TEST_F(OutboxTest, WarningsAndAlreadyStoredCountAsDelivered) {
  finish_study("1");
  pacs["pacs"].answers["1_SEG-ROI"] = {0xB000};
  pacs["pacs"].answers["1_SR-R"] = {0x0111};
  static_cast<void>(run());
  EXPECT_EQ(state_of("1"), StudyState::delivered);
  EXPECT_EQ(store->study_story("1")->deliveries.at(0).last_status, "b000");
}

TEST_F(OutboxTest, AnObjectThatBreaksEveryAssociationDoesNotHoldTheOthers) {
  finish_study("1");
  finish_study("2");
  pacs["pacs"].losses["1_SEG-ROI"] = {ErrorCode::connection_failed, "store", "The association broke.", ""};
  run_for(5 * minute_ms);
  EXPECT_EQ(state_of("2"), StudyState::delivered);
  EXPECT_EQ(state_of("1"), StudyState::sending);
  pacs["pacs"].losses.clear();
  run_for(30 * minute_ms);
  EXPECT_EQ(state_of("1"), StudyState::delivered);
}

TEST_F(OutboxTest, ARejectionForGoodWaitsForTheOperator) {
  finish_study("1");
  pacs["pacs"].connect_error = Error{ErrorCode::association_rejected, "associate", "PACS does not know our AE title CHOANA.", "permanent"};
  const auto next = run();
  ASSERT_TRUE(next);
  EXPECT_EQ(*next - clock.now_ms, configuration_retry_ms);
  EXPECT_TRUE(store->destination_state("pacs")->alarm);
  run_for(hour_ms);
  EXPECT_EQ(pacs["pacs"].associations, 4) << "every 15 minutes";
  EXPECT_EQ(pacs["pacs"].probes, 0) << "an echo would be rejected, too";
  EXPECT_EQ(store->study_story("1")->deliveries.at(0).state, DeliveryState::pending);
  pacs["pacs"].connect_error.reset();
  run_for(16 * minute_ms);
  EXPECT_EQ(state_of("1"), StudyState::delivered);
  EXPECT_FALSE(store->destination_state("pacs")->alarm);
}

TEST_F(OutboxTest, ADeadDestinationDoesNotDelayAnother) {
  finish_study("1", {"pacs", "archive"});
  pacs["pacs"].up = false;
  static_cast<void>(run("pacs"));
  EXPECT_EQ(run("archive"), std::nullopt);
  EXPECT_EQ(pacs["archive"].received.size(), 3U);
  EXPECT_EQ(state_of("1"), StudyState::sending);
}

TEST_F(OutboxTest, ACrashInTheMiddleOfSendingSendsTheIdenticalBytesAgain) {
  finish_study("1");
  const auto due = store->due_outbox("pacs", clock.now_ms, 10);
  ASSERT_TRUE(store->mark_sending({due->at(0).id, due->at(1).id, due->at(2).id}, clock.now_ms));
  open_store();  // killed here
  ASSERT_TRUE(store->recover(clock.now_ms));
  make_outbox();
  static_cast<void>(run());
  EXPECT_EQ(pacs["pacs"].received, (Contents{"1/SEG-ROI", "1/SR-R", "1/SC"}));
}

TEST_F(OutboxTest, ADamagedFileIsNeverSent) {
  finish_study("1");
  std::ofstream(folder.path() / "1_SR-R.dcm") << "other bytes";
  static_cast<void>(run());
  run_for(minute_ms);
  EXPECT_EQ(pacs["pacs"].received, (Contents{"1/SEG-ROI", "1/SC"}));
  EXPECT_EQ(state_of("1"), StudyState::failed);
  EXPECT_EQ(store->study_story("1")->deliveries.at(1).last_error, "The stored file is damaged; reprocess the study.");
}

TEST_F(OutboxTest, AClockThatJumpsNeitherStopsNorExpiresAnything) {
  finish_study("1");
  pacs["pacs"].up = false;
  clock.now_ms += 10LL * 365 * 24 * hour_ms;  // ten years ahead ...
  run_for(minute_ms);
  EXPECT_EQ(store->study_story("1")->deliveries.at(0).state, DeliveryState::pending);
  clock.now_ms = 1'000'000;  // ... and back
  pacs["pacs"].up = true;
  make_outbox();
  run_for(minute_ms);
  EXPECT_EQ(state_of("1"), StudyState::delivered);
}

TEST_F(OutboxTest, ThreadsDeliverAndStopInOrder) {
  finish_study("1", {"pacs", "archive"});
  std::mutex mutex;
  std::condition_variable done;
  int delivered = 0;
  outbox.reset();
  OutboxEvents events;
  events.delivered = [&](const Delivery&, std::uint16_t) {
    const std::lock_guard lock(mutex);
    ++delivered;
    done.notify_all();
  };
  std::vector<DestinationSettings> destinations(2);
  destinations[0].name = "pacs";
  destinations[1].name = "archive";
  pacs["pacs"];
  pacs["archive"];
  Outbox threaded(*store, destinations, folder.path(), [this](const DestinationSettings& d) { return std::make_unique<FakeSender>(pacs.at(d.name)); },
                  system_clock(), events);
  threaded.start();
  std::unique_lock lock(mutex);
  EXPECT_TRUE(done.wait_for(lock, std::chrono::seconds(60), [&] { return delivered == 6; }));
  lock.unlock();
  threaded.stop();
  EXPECT_EQ(pacs["pacs"].received, pacs["archive"].received);
  EXPECT_EQ(state_of("1"), StudyState::delivered);
}

TEST_F(OutboxTest, StoppingPutsBackWhatWasNotSent) {
  finish_study("1");
  std::vector<DestinationSettings> destinations(1);
  destinations[0].name = "pacs";
  Outbox stopped(*store, destinations, folder.path(), [this](const DestinationSettings& d) { return std::make_unique<FakeSender>(pacs[d.name]); }, clock);
  pacs["pacs"].on_store = [&] { stopped.stop(); };  // SIGTERM while the first object is under way
  static_cast<void>(stopped.run_once("pacs"));
  EXPECT_EQ(pacs["pacs"].received, (Contents{"1/SEG-ROI"})) << "the object in flight ends";
  const auto counts = store->counts()->outbox_by_destination.at("pacs");
  EXPECT_EQ(counts.pending, 2);
  EXPECT_EQ(counts.sending, 0);
}

TEST_F(OutboxTest, AsksForCommitmentOfAWholeRunAndTakesTheReportFromTheSameAssociation) {
  commitment = StorageCommitmentMode::same_association;
  make_outbox();
  pacs["pacs"].reports_at_once = true;
  finish_study("1");
  run_for(minute_ms);
  EXPECT_EQ(pacs["pacs"].commitments_asked, (std::vector<Contents>{{"1.101", "1.102", "1.103"}}));
  EXPECT_EQ(commitments("1"), (Contents{"committed", "committed", "committed"}));
}

TEST_F(OutboxTest, AReportThatComesAfterARestartIsUnderstood) {
  commitment = StorageCommitmentMode::new_association;
  make_outbox();
  finish_study("1");
  run_for(minute_ms);
  EXPECT_EQ(commitments("1"), (Contents{"requested", "requested", "requested"}));
  const std::string transaction = pacs["pacs"].last_transaction;
  open_store();
  make_outbox();
  EXPECT_TRUE(outbox->take_commitment_report(implicit_little_endian, report_bytes(transaction, {"1.101", "1.103"}, {"1.102"})));
  EXPECT_EQ(commitments("1"), (Contents{"committed", "failed", "committed"}));
  EXPECT_EQ(state_of("1"), StudyState::sending);
  run_for(minute_ms);
  EXPECT_EQ(pacs["pacs"].received.back(), "1/SR-R") << "what is not kept is sent again";
  EXPECT_EQ(pacs["pacs"].commitments_asked.back(), (Contents{"1.102"}));
  EXPECT_TRUE(outbox->take_commitment_report(implicit_little_endian, report_bytes(pacs["pacs"].last_transaction, {"1.102"}, {})));
  EXPECT_EQ(commitments("1"), (Contents{"committed", "committed", "committed"}));
  EXPECT_EQ(state_of("1"), StudyState::delivered);
}

TEST_F(OutboxTest, WithoutAReportItAsksAgainAfterADay) {
  commitment = StorageCommitmentMode::new_association;
  make_outbox();
  finish_study("1");
  run_for(minute_ms);
  clock.now_ms += 23 * hour_ms;
  static_cast<void>(run());
  EXPECT_EQ(pacs["pacs"].commitments_asked.size(), 1U);
  const std::string first = pacs["pacs"].last_transaction;
  clock.now_ms += hour_ms;
  static_cast<void>(run());
  EXPECT_EQ(pacs["pacs"].commitments_asked.size(), 2U);
  EXPECT_NE(pacs["pacs"].last_transaction, first);
}

TEST_F(OutboxTest, AnArchiveThatNeverKeepsAnObjectEndsInADeadLetter) {
  commitment = StorageCommitmentMode::same_association;
  make_outbox();
  pacs["pacs"].reports_at_once = true;
  pacs["pacs"].not_kept = {"1.102"};
  finish_study("1");
  run_for(hour_ms);
  EXPECT_EQ(std::count(pacs["pacs"].received.begin(), pacs["pacs"].received.end(), "1/SR-R"), 3);
  EXPECT_EQ(state_of("1"), StudyState::failed);
  EXPECT_EQ(commitments("1"), (Contents{"committed", "failed", "committed"}));
}

TEST_F(OutboxTest, AnArchiveWithoutCommitmentIsAskedRarelyAndDeliveryGoesOn) {
  commitment = StorageCommitmentMode::new_association;
  make_outbox();
  pacs["pacs"].commitment_error = Error{ErrorCode::peer_refused, "request_commitment", "PACS does not offer storage commitment.", ""};
  finish_study("1");
  run_for(minute_ms);
  EXPECT_EQ(state_of("1"), StudyState::delivered);
  EXPECT_EQ(commitments("1"), (Contents{"", "", ""}));
}

TEST_F(OutboxTest, AReportOfAnUnknownTransactionOrRubbishChangesNothing) {
  EXPECT_TRUE(outbox->take_commitment_report(implicit_little_endian, report_bytes("9.9.9", {"1.102"}, {}))) << "repeating it would not help";
  EXPECT_TRUE(outbox->take_commitment_report(implicit_little_endian, {1, 2, 3}));
  EXPECT_TRUE(outbox->take_commitment_report("1.2.840.10008.1.2.4.50", {}));
}

TEST_F(OutboxTest, ABacklogDrainsInBursts) {
  constexpr int studies = 150;
  std::ofstream(folder.path() / "same.dcm") << "x";
  std::vector<ReceivedInstance> instances;
  for (int n = 0; n < studies; ++n) {
    ReceivedInstance instance;
    instance.receive_id = static_cast<std::uint64_t>(n + 1);
    instance.study_instance_uid = "1." + std::to_string(n);
    instance.series_instance_uid = instance.study_instance_uid + ".1";
    instance.sop_instance_uid = instance.study_instance_uid + ".1.1";
    instances.push_back(instance);
  }
  ASSERT_TRUE(store->add_instances(instances));
  for (int n = 0; n < studies; ++n) {
    const std::string study = "1." + std::to_string(n);
    ASSERT_TRUE(store->open_study_revision(study, 1));
    ASSERT_TRUE(store->create_job({study, study, 1, "s"}, 1));
    JobOutcome outcome;
    outcome.destinations = {"pacs"};
    for (const char* kind : {"SR-R", "SR-X", "SEG-ROI", "SC", "SC"})
      outcome.objects.push_back({kind, "1.2", study + "." + std::to_string(outcome.objects.size()), "9", "same.dcm", sha256_hex("x")});
    ASSERT_TRUE(store->finish_job(**store->lease_job(1), outcome, 1));
  }
  int passes = 0;
  while (run() && ++passes < 100) {}
  EXPECT_EQ(pacs["pacs"].received.size(), 750U);
  EXPECT_EQ(pacs["pacs"].associations, 3) << "256 objects an association";
}

}  // namespace
}  // namespace choana
