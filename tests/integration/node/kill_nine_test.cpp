// kill -9 of choanad at random moments between the first C-STORE and the last result, each followed by a start.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <set>
#include <thread>

#include "dicom-fixtures/synthetic/npc_study.h"
#include "dicom/dicom_reader.h"
#include "tests/integration/node/node_under_test.h"

namespace choana::test {
namespace {

namespace fs = std::filesystem;

const std::string demo_package = std::string(CHOANA_SOURCE_DIR) + "/conf/models/demo-npc-response";

fixtures::NpcStudy write_study(const fs::path& folder, fixtures::NpcStudyOptions options) {
  options.small = true;
  auto study = fixtures::write_npc_study(options, folder);
  if (!study) throw std::runtime_error(to_string(study.error()));
  return std::move(*study);
}

// Kills choanad at `kills` seeded moments between the first C-STORE and the last result, each followed by a start.
void kill_at_random_moments(int kills, unsigned seed) {
  const TemporaryFolder folder;
  LoopbackPacs pacs(folder.path() / "pacs", 0);
  NodeUnderTest node(folder.path() / "node", {.pacs_port = pacs.port(), .packages = {demo_package}});
  ASSERT_TRUE(node.start()) << node.log();
  std::mt19937 random(seed);
  std::printf("seed %u\n", seed);
  std::size_t acknowledged_all = 0, copies = 0, objects = 0;
  for (int n = 0; n < kills; ++n) {
    fixtures::NpcStudyOptions options;
    options.seed = 100 + static_cast<std::uint64_t>(n);
    const fs::path study_dir = folder.path() / ("study" + std::to_string(n));
    const auto study = write_study(study_dir, options);
    auto files = files_below(study_dir);
    // One half of the kills falls into receiving, the other after it.
    std::vector<fs::path> acknowledged;
    if (n % 2 == 0) {
      const std::size_t cut = 1 + random() % (files.size() - 1);
      acknowledged = send_files(node.dicom_port(), {files.begin(), files.begin() + static_cast<std::ptrdiff_t>(cut)});
      node.kill_hard();
    } else {
      acknowledged = send_files(node.dicom_port(), files);
      const auto delay = std::chrono::milliseconds(random() % 4000);
      std::this_thread::sleep_for(delay);
      node.kill_hard();
    }
    ASSERT_TRUE(node.start()) << node.log();
    acknowledged_all += acknowledged.size();
    // Every acknowledged instance is known after the start, before anything is sent again.
    const auto store = node.store();
    ASSERT_TRUE(store);
    if (!acknowledged.empty()) {
      ASSERT_TRUE(node.wait_for(study.study_instance_uid, [&](const StudyStory& s) { return s.study.instances >= static_cast<std::int64_t>(acknowledged.size()); }, 30));
      auto rows = store->instances_of(study.study_instance_uid);
      ASSERT_TRUE(rows);
      std::set<std::string> known;
      for (const ReceivedInstance& row : *rows) {
        EXPECT_TRUE(fs::exists(node.state_dir() / "spool" / row.spool_file));
        known.insert(row.sop_instance_uid);
      }
      for (const fs::path& file : acknowledged) EXPECT_TRUE(known.contains(dicom::read_instance_facts(file)->sop_instance_uid)) << file;
    }
    // The sender sends again what was not acknowledged (as modalities do), and the study must end once.
    std::vector<fs::path> rest;
    for (const fs::path& file : files)
      if (std::find(acknowledged.begin(), acknowledged.end(), file) == acknowledged.end()) rest.push_back(file);
    if (!rest.empty()) {
      EXPECT_EQ(send_files(node.dicom_port(), rest).size(), rest.size());
    }
    const auto story = node.wait_for(study.study_instance_uid, [&](const StudyStory& s) { return s.study.instances >= static_cast<std::int64_t>(files.size()) && settled(s); });
    ASSERT_TRUE(story);
    const auto received = pacs.received();
    for (const Delivery& delivery : story->deliveries) {
      const auto found = received.find(delivery.sop_instance_uid);
      ASSERT_NE(found, received.end()) << "a result is missing";
      ++objects;
      copies += found->second.size();
      for (const std::string& digest : found->second) EXPECT_EQ(digest, found->second.front()) << "two contents under one UID";
    }
  }
  std::printf("kills %d, acknowledged %zu, lost 0, result objects %zu, copies received %zu (a copy may come again when the kill fell between the PACS' answer and our row)\n",
              kills, acknowledged_all, objects, copies);
}

// $CHOANA_KILLS asks for more; scripts/test --reliability for twenty.
TEST(KillNine, LosesNothingAndDuplicatesNothing) {
  const char* asked = std::getenv("CHOANA_KILLS");
  kill_at_random_moments(asked != nullptr ? std::atoi(asked) : 3, 20260101);
}

}  // namespace
}  // namespace choana::test
