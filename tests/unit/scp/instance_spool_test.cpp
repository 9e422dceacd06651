#include "scp/instance_spool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <iterator>

#include "scp/spool_committer.h"
#include "tests/support/data_set_bytes.h"
#include "tests/support/temporary_folder.h"

namespace choana::scp {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t noon_ms = 1'790'000'000'000;

struct Spool {
  test::TemporaryFolder folder;
  InstanceSpool::Recovery recovery;
  std::unique_ptr<InstanceSpool> spool;

  void open(const std::function<void(InstanceSpool::Settings&)>& change = {}) {
    spool.reset();
    InstanceSpool::Settings settings;
    settings.directory = folder.path() / "spool";
    settings.quarantine = folder.path() / "quarantine";
    if (change) change(settings);
    recovery = {};
    auto opened = InstanceSpool::open(settings, &recovery);
    ASSERT_TRUE(opened) << to_string(opened.error());
    spool = std::move(*opened);
  }
  SpoolFile::Completed store(const Bytes& data_set, std::string uid = "1.2.3.100.1") {
    auto file = spool->begin({"1.2.840.10008.5.1.4.1.1.4", std::move(uid), "1.2.840.10008.1.2.1", "MR1", "CHOANA", "127.0.0.1", 42}, noon_ms);
    EXPECT_TRUE(file);
    EXPECT_TRUE((*file)->write(data_set));
    auto completed = (*file)->complete(noon_ms + 5);
    EXPECT_TRUE(completed);
    ::close(completed->file_descriptor);
    return *completed;
  }
  [[nodiscard]] fs::path path(const std::string& name) const { return folder.path() / "spool" / name; }
  [[nodiscard]] std::size_t count(const std::string& extension) const {
    std::size_t n = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder.path() / "spool")) n += entry.path().extension() == extension ? 1 : 0;
    return n;
  }
};

void overwrite(const fs::path& path, std::streamoff at, char value) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(at);
  file.put(value);
}

TEST(SpoolPreamble, SurvivesWritingAndReading) {
  SpoolPreamble p{7, 1234, 0xDEADBEEF, noon_ms, 42, "10.1.2.3"};
  const Bytes bytes = encode(p);
  ASSERT_EQ(bytes.size(), preamble_bytes);
  const auto read = decode_preamble(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->receive_id, p.receive_id);
  EXPECT_EQ(read->file_bytes, p.file_bytes);
  EXPECT_EQ(read->content_crc, p.content_crc);
  EXPECT_EQ(read->received_at_ms, p.received_at_ms);
  EXPECT_EQ(read->association_id, p.association_id);
  EXPECT_EQ(read->peer_address, "10.1.2.3");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes damaged = bytes;
    damaged[i] ^= 0x10;
    EXPECT_FALSE(decode_preamble(damaged)) << i;
  }
}

TEST(InstanceSpool, WritesAPart10FileUnderItsOwnNumber) {
  Spool s;
  s.open();
  const Bytes data_set = test::mr_image();
  const auto completed = s.store(data_set);
  EXPECT_EQ(completed.spool_file, "2026092114/000000000001.dcm");  // date -u -d @1790000000
  std::ifstream stream(s.path(completed.spool_file), std::ios::binary);
  const Bytes bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  EXPECT_EQ(bytes.size(), completed.size_bytes);
  EXPECT_EQ(as_text(ByteView(bytes).subspan(128, 4)), "DICM");
  EXPECT_EQ(Bytes(bytes.end() - static_cast<std::ptrdiff_t>(data_set.size()), bytes.end()), data_set);
  EXPECT_EQ(completed.sha256, sha256_hex(as_text(data_set)));
  EXPECT_EQ(fs::status(s.path(completed.spool_file)).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST(InstanceSpool, LeavesNothingOfAnInstanceThatWasNotCompleted) {
  Spool s;
  s.open();
  {
    auto file = s.spool->begin({}, noon_ms);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write(Bytes(200'000, 1)));
    EXPECT_EQ(s.count(".part"), 1U);
  }
  EXPECT_EQ(s.count(".part"), 0U);
  EXPECT_EQ(s.count(".dcm"), 0U);
}

TEST(InstanceSpool, WritesLargeAndSmallPiecesAlike) {
  Spool s;
  s.open();
  const Bytes data_set = test::mr_image({}, 400'000);
  for (const std::size_t piece : {1000U, 65'536U, 131'072U, 500'000U}) {
    auto file = s.spool->begin({"1.2.840.10008.5.1.4.1.1.4", "1.2.3.100.1", "1.2.840.10008.1.2.1", "A", "B", "", 1}, noon_ms);
    ByteView rest = data_set;
    while (!rest.empty()) {
      const auto part = rest.first(std::min(piece, rest.size()));
      rest = rest.subspan(part.size());
      ASSERT_TRUE((*file)->write(part));
    }
    const auto completed = (*file)->complete(noon_ms);
    ASSERT_TRUE(completed);
    ::close(completed->file_descriptor);
    const auto read = read_spool_file(s.folder.path() / "spool", completed->spool_file, true, 1 << 30);
    ASSERT_TRUE(read) << to_string(read.error());
    EXPECT_EQ(read->sha256, sha256_hex(as_text(data_set)));
  }
}

TEST(InstanceSpool, AdoptsWhatWasCompletedAndRemovesWhatWasNot) {
  Spool s;
  s.open();
  const auto first = s.store(test::mr_image());
  const auto second = s.store(test::mr_image({}, 100'000));
  std::ofstream(s.path("2026092114/000000000099.part")) << "half an instance";
  s.open();
  ASSERT_EQ(s.recovery.adopted.size(), 2U);
  EXPECT_EQ(s.recovery.partial_removed, 1U);
  EXPECT_EQ(s.count(".part"), 0U);
  const ReceivedInstance& i = s.recovery.adopted[0];
  EXPECT_EQ(i.receive_id, first.receive_id);
  EXPECT_EQ(i.spool_file, first.spool_file);
  EXPECT_EQ(i.sha256, first.sha256);
  EXPECT_EQ(i.size_bytes, first.size_bytes);
  EXPECT_EQ(i.received_at_ms, noon_ms + 5);
  EXPECT_EQ(i.association_id, 42);
  EXPECT_EQ(i.calling_ae_title, "MR1");
  EXPECT_EQ(i.called_ae_title, "CHOANA");
  EXPECT_EQ(i.peer_address, "127.0.0.1");
  EXPECT_EQ(i.transfer_syntax_uid, "1.2.840.10008.1.2.1");
  EXPECT_EQ(i.study_instance_uid, "1.2.3.100.2");
  EXPECT_EQ(i.acquisition.series_description, "t1_tse_tra");
  EXPECT_EQ(s.recovery.adopted[1].receive_id, second.receive_id);
}

TEST(InstanceSpool, MovesDamagedFilesToQuarantine) {
  Spool s;
  s.open();
  const auto changed = s.store(test::mr_image());
  const auto cut = s.store(test::mr_image());
  const auto no_preamble = s.store(test::mr_image());
  const auto good = s.store(test::mr_image());
  overwrite(s.path(changed.spool_file), static_cast<std::streamoff>(changed.size_bytes) - 10, 'x');
  fs::resize_file(s.path(cut.spool_file), cut.size_bytes - 1);
  overwrite(s.path(no_preamble.spool_file), 0, 0);
  s.open();
  ASSERT_EQ(s.recovery.adopted.size(), 1U);
  EXPECT_EQ(s.recovery.adopted[0].receive_id, good.receive_id);
  EXPECT_EQ(s.recovery.quarantined.size(), 3U);
  std::size_t kept = 0;
  for (const auto& entry : fs::directory_iterator(s.folder.path() / "quarantine")) kept += entry.is_regular_file() ? 1 : 0;
  EXPECT_EQ(kept, 3U);
}

TEST(InstanceSpool, DoesNotReadAgainWhatTheJobStoreKnows) {
  Spool s;
  s.open();
  const auto known = s.store(test::mr_image());
  const auto lost = s.store(test::mr_image());
  s.open([&](InstanceSpool::Settings& settings) {
    settings.is_recorded = [&](std::uint64_t id) { return id == known.receive_id; };
  });
  ASSERT_EQ(s.recovery.adopted.size(), 1U);
  EXPECT_EQ(s.recovery.adopted[0].receive_id, lost.receive_id);
  EXPECT_EQ(s.recovery.recorded, 1U);
}

TEST(InstanceSpool, NeverUsesANumberTwice) {
  Spool s;
  s.open();
  std::uint64_t highest = 0;
  for (int start = 0; start < 3; ++start) {
    const auto completed = s.store(test::mr_image());
    EXPECT_GT(completed.receive_id, highest);
    highest = completed.receive_id;
    fs::remove(s.path(completed.spool_file));  // retention took it
    s.open();
  }
  s.open([&](InstanceSpool::Settings& settings) { settings.first_receive_id = 50'000'000; });
  EXPECT_GE(s.store(test::mr_image()).receive_id, 50'000'000U);
}

TEST(InstanceSpool, DropsTheFoldersOfHoursThatAreEmpty) {
  Spool s;
  s.open();
  const auto completed = s.store(test::mr_image());
  ASSERT_TRUE(s.spool->remove(completed.spool_file));
  s.open();
  EXPECT_FALSE(fs::exists(s.path("2026092114")));
}

TEST(InstanceSpool, RemovesAFileAndSaysWhenThereIsNone) {
  Spool s;
  s.open();
  const auto completed = s.store(test::mr_image());
  EXPECT_TRUE(s.spool->remove(completed.spool_file));
  EXPECT_EQ(s.spool->remove(completed.spool_file).error().code, ErrorCode::not_found);
}

TEST(SpoolCommitter, AnswersEveryItemOnceItIsDurable) {
  for (const SyncMode mode : {SyncMode::adaptive, SyncMode::file_system, SyncMode::single_files}) {
    Spool s;
    s.open();
    SpoolCommitter committer(*s.spool, {2, mode}, {});
    std::vector<std::future<bool>> answers;
    for (int i = 0; i < 20; ++i) {
      auto file = s.spool->begin({"1.2.840.10008.5.1.4.1.1.4", "1.2.3.100.1", "1.2.840.10008.1.2.1", "A", "B", "", 1}, noon_ms);
      ASSERT_TRUE((*file)->write(test::mr_image()));
      auto completed = (*file)->complete(noon_ms);
      ASSERT_TRUE(completed);
      auto promise = std::make_shared<std::promise<bool>>();
      answers.push_back(promise->get_future());
      committer.submit({completed->file_descriptor, completed->spool_file, [promise](bool durable) { promise->set_value(durable); }});
    }
    for (auto& answer : answers) EXPECT_TRUE(answer.get());
    committer.stop();
    EXPECT_EQ(committer.counters().items, 20U);
  }
}

TEST(SpoolCommitter, SaysNoAndRaisesTheAlarmOnceWhenASyncFails) {
  Spool s;
  s.open();
  std::atomic<int> alarms = 0;
  SpoolCommitter committer(*s.spool, {1, SyncMode::single_files}, [&](const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::io_error);
    ++alarms;
  });
  // A descriptor that cannot be synced stands for a disk that cannot be written.
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::promise<bool> first;
  committer.submit({ends[1], "2026092114/000000000001.dcm", [&](bool durable) { first.set_value(durable); }});
  EXPECT_FALSE(first.get_future().get());
  // From here on nothing is acknowledged, whatever the disk says: a failed sync is never tried again.
  std::promise<bool> second;
  committer.submit({-1, "2026092114/000000000002.dcm", [&](bool durable) { second.set_value(durable); }});
  EXPECT_FALSE(second.get_future().get());
  committer.stop();
  EXPECT_EQ(alarms, 1);
  ::close(ends[0]);
}

TEST(SpoolCommitter, RefusesWhatComesAfterItsEnd) {
  Spool s;
  s.open();
  SpoolCommitter committer(*s.spool, {}, {});
  committer.stop();
  bool answered = false;
  committer.submit({-1, "x/y.dcm", [&](bool durable) {
                      answered = true;
                      EXPECT_FALSE(durable);
                    }});
  EXPECT_TRUE(answered);
}

}  // namespace
}  // namespace choana::scp
