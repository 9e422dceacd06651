#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <random>

#include "node/job_store.h"
#include "tests/unit/node/temporary_folder.h"

namespace choana {
namespace {

// What the writer was told is done; one octet down a pipe after the call has returned.
enum class Done : char { added = 'a', revision = 'r', created = 'c', leased = 'l', finished = 'f', sending = 's', delivered = 'd' };

std::string study_uid(int n) { return "1." + std::to_string(n); }

// Takes studies through their whole life, one after the other, until it is killed.
[[noreturn]] void live(const std::filesystem::path& file, int pipe, int first) {
  auto opened = open_sqlite_job_store(file);
  if (!opened) _exit(3);
  JobStore& store = **opened;
  const auto tell = [pipe](Done done) {
    const char octet = static_cast<char>(done);
    if (::write(pipe, &octet, 1) != 1) _exit(4);
  };
  for (int n = first;; ++n) {
    const std::string study = study_uid(n);
    std::vector<ReceivedInstance> batch(5);
    for (std::size_t k = 0; k < batch.size(); ++k) {
      batch[k].receive_id = static_cast<std::uint64_t>(n) * 10 + k + 1;
      batch[k].study_instance_uid = study;
      batch[k].series_instance_uid = study + ".1";
      batch[k].sop_instance_uid = study + ".1." + std::to_string(k);
      batch[k].sha256 = "x";
    }
    if (!store.add_instances(batch)) _exit(5);
    tell(Done::added);
    if (!store.open_study_revision(study, 1)) _exit(5);
    tell(Done::revision);
    if (!store.create_job({study, study, 1, "s"}, 1)) _exit(5);
    tell(Done::created);
    const auto lease = store.lease_job(1);
    if (!lease || !*lease) _exit(5);
    tell(Done::leased);
    JobOutcome outcome;
    outcome.destinations = {"pacs", "archive"};
    for (const char* kind : {"SEG-ROI", "SR-R", "SC"}) outcome.objects.push_back({kind, "1.2", study + "." + kind, study + ".9", "f", "h"});
    if (!store.finish_job(**lease, outcome, 1)) _exit(5);
    tell(Done::finished);
    const auto due = store.due_outbox("pacs", 1, 100);
    if (!due || due->empty()) _exit(6);
    if (!store.mark_sending({due->front().id}, 1)) _exit(5);
    tell(Done::sending);
    if (!store.mark_delivered(due->front().id, "0000", 1)) _exit(5);
    tell(Done::delivered);
    // Settle the rest, so that the first row due is always that of the newest study.
    for (std::size_t k = 1; k < due->size(); ++k)
      if (!store.mark_delivered((*due)[k].id, "0000", 1)) _exit(5);
  }
}

// Whatever instant it is killed at: what it was told is there, what belongs together is there together.
TEST(JobStoreUnderKill, KeepsEverythingItAcknowledged) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "choana.db";
  int next_study = 0;
  for (int round = 0; round < 40; ++round) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      live(file, ends[1], next_study);
    }
    ::close(ends[1]);
    std::string told;
    const std::size_t enough = std::uniform_int_distribution<std::size_t>(0, 30)(random);
    char octet = 0;
    while (told.size() < enough && ::read(ends[0], &octet, 1) == 1) told += octet;
    ::kill(child, SIGKILL);
    while (::read(ends[0], &octet, 1) == 1) told += octet;  // told before it died
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself with " << WEXITSTATUS(status);

    const auto opened = open_sqlite_job_store(file);
    ASSERT_TRUE(opened) << opened.error().message;
    JobStore& store = **opened;
    ASSERT_TRUE(store.recover(2));
    int study = next_study;
    int last_study = next_study;
    for (const char done : told) {
      const std::string uid = study_uid(study);
      const auto story = store.study_story(uid);
      ASSERT_TRUE(story) << uid;
      EXPECT_EQ(story->study.instances, 5);
      switch (static_cast<Done>(done)) {
        case Done::added: break;
        case Done::revision: EXPECT_GE(story->study.revision, 1); break;
        case Done::created: EXPECT_EQ(story->jobs.size(), 1U); break;
        case Done::leased: EXPECT_GE(story->jobs.at(0).attempts.size(), 1U); break;
        case Done::finished: EXPECT_EQ(story->deliveries.size(), 6U); break;
        case Done::sending: break;
        case Done::delivered:
          EXPECT_EQ(story->deliveries.at(0).state, DeliveryState::delivered);
          ++study;
          break;
      }
      last_study = study;
    }
    // Results and outbox rows come together or not at all, told or not.
    for (int n = next_study; n <= last_study + 1; ++n) {
      const auto story = store.study_story(study_uid(n));
      if (!story || story->jobs.empty()) continue;
      const auto& job = story->jobs.at(0);
      EXPECT_TRUE(story->deliveries.size() == 0 || story->deliveries.size() == 6) << n;
      EXPECT_EQ(job.objects.size(), story->deliveries.size() / 2);
      EXPECT_NE(story->study.state, StudyState::running) << "recovered";
      if (!job.objects.empty()) {
        EXPECT_EQ(job.outcome, "reported");
      }
    }
    // What was open goes out of the way of the next round.
    while (true) {
      const auto lease = store.lease_job(3);
      ASSERT_TRUE(lease);
      if (!*lease) break;
      ASSERT_TRUE(store.fail_job(**lease, {ErrorCode::cancelled, "test", "x", {}}, std::nullopt, 3));
    }
    const auto due = store.due_outbox("pacs", 3, 1000);
    ASSERT_TRUE(due);
    for (const Delivery& d : *due) ASSERT_TRUE(store.mark_delivered(d.id, "0000", 3));
    next_study = last_study + 2;
  }
}

}  // namespace
}  // namespace choana
