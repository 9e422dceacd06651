#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>

#include "tests/unit/node/commands/extract_case.h"

namespace choana::node {
namespace {

class ExtractResume : public test::ExtractCase {
 protected:
  void SetUp() override {
    test::ExtractCase::SetUp();
    write("batch.csv", "Case,Image,Mask,Label\na,image.nrrd,mask.nrrd,1\nb,image.nrrd,mask.nrrd,2\nc,image.nrrd,mask.nrrd,5\n");
  }
  std::vector<std::string> words(std::vector<std::string> more) {
    more.insert(more.begin(), {path("batch.csv"), "-f", "csv", "-o", out_});
    return more;
  }
};

TEST_F(ExtractResume, ContinuesFromTheFolderOfCases) {
  ASSERT_EQ(run(words({"--out-dir", path("cases")})), 0);
  const std::string before = text_of(out_);
  std::filesystem::remove(folder_ / "mask.nrrd");
  EXPECT_EQ(run(words({"--out-dir", path("cases"), "--resume"})), 0);
  EXPECT_NE(said_.find("not there any more"), std::string::npos);
  EXPECT_EQ(text_of(out_), before) << "the table is renewed, not appended to";
}

TEST_F(ExtractResume, DropsAHalfRecordAndComputesTheRest) {
  ASSERT_EQ(run(words({})), 0);
  const std::string whole = text_of(out_);
  // As a kill in the middle of the last case leaves it: no table yet, and half a record.
  const std::string journal = path("out.journal");
  std::filesystem::resize_file(journal, std::filesystem::file_size(journal) - 1000);
  std::filesystem::remove(out_);
  ASSERT_EQ(run(words({"--resume", "-v", "4"})), 0) << said_;
  EXPECT_EQ(text_of(out_), whole);
  EXPECT_NE(said_.find("case 3: started"), std::string::npos) << said_;
  EXPECT_EQ(said_.find("case 1: started"), std::string::npos) << said_;
}

TEST_F(ExtractResume, TakesNewAndChangedCasesAndFailedOnesAgain) {
  write("batch.csv", "Case,Image,Mask,Label\na,image.nrrd,mask.nrrd,1\nb,image.nrrd,later.nrrd,2\n");
  ASSERT_EQ(run(words({})), 1);
  std::filesystem::copy_file(folder_ / "mask.nrrd", folder_ / "later.nrrd");
  write("batch.csv", "Case,Image,Mask,Label\na,image.nrrd,mask.nrrd,1\nb,image.nrrd,later.nrrd,2\nc,image.nrrd,mask.nrrd,5\n");
  ASSERT_EQ(run(words({"--resume", "-v", "4"})), 0) << said_;
  EXPECT_EQ(said_.find("case 1: started"), std::string::npos) << said_;
  const auto values = column("original_shape_VoxelVolume");
  ASSERT_EQ(values.size(), 3u);
  EXPECT_FALSE(values[1].empty());
  // The content counts, not the name.
  const test::RandomCase other = test::random_case(9);
  ASSERT_TRUE(processing::write_mask_file(other.mask, folder_ / "mask.nrrd"));
  ASSERT_EQ(run(words({"--resume"})), 1) << "label 5 is gone";
  EXPECT_NE(said_.find("case 1: Its image or mask changed"), std::string::npos) << said_;
  EXPECT_EQ(said_.find("case 2: Its image"), std::string::npos) << said_;
}

// The command in a process of its own, which gets `signal_number` when it says that it starts case 12 of 300. It waits for its reader once a page of
// messages lies unread, so that it cannot have run to the end by then. Returns what wait says.
class ExtractInterrupted : public ExtractResume {
 protected:
  void SetUp() override {
    ExtractResume::SetUp();
    std::string table = "Case,Image,Mask,Label\n";
    for (int n = 0; n < 300; ++n) table += std::to_string(n) + ",image.nrrd,mask.nrrd,1\n";
    write("batch.csv", table);
    write("fast.yaml", "featureClass: {firstorder: [Mean, Entropy]}\n");
  }
  std::vector<std::string> fast(std::vector<std::string> more) {
    more.insert(more.end(), {"-p", path("fast.yaml")});
    return words(std::move(more));
  }
  int interrupt(std::vector<std::string> arguments, int signal_number) {
    int pipe_ends[2];
    if (::pipe(pipe_ends) != 0 || ::fcntl(pipe_ends[0], F_SETPIPE_SZ, 4096) != 4096) return -1;
    const pid_t child = ::fork();
    if (child == 0) {
      ::dup2(pipe_ends[1], STDERR_FILENO);
      ::close(pipe_ends[0]);
      ::close(pipe_ends[1]);
      arguments.insert(arguments.begin(), "choana extract");
      std::vector<char*> pointers;
      for (std::string& argument : arguments) pointers.push_back(argument.data());
      ::_exit(run_extract(static_cast<int>(pointers.size()), pointers.data()));
    }
    ::close(pipe_ends[1]);
    FILE* messages = ::fdopen(pipe_ends[0], "r");
    std::setvbuf(messages, nullptr, _IONBF, 0);
    char line[1024];
    bool sent = false;
    while (std::fgets(line, sizeof line, messages) != nullptr) {
      said_ += line;
      if (sent || std::string(line).find("case 12: started") == std::string::npos) continue;
      ::kill(child, signal_number);
      sent = true;
    }
    std::fclose(messages);
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
  }
  void expect_the_whole_after(int signal_number, int jobs) {
    ASSERT_EQ(run(fast({"-j", "2"})), 0);
    const std::string whole = text_of(out_);
    std::filesystem::remove(out_);
    std::filesystem::remove(out_ + ".journal");
    said_.clear();
    const int status = interrupt(fast({"-v", "4", "-j", std::to_string(jobs)}), signal_number);
    if (signal_number == SIGKILL) {
      EXPECT_TRUE(WIFSIGNALED(status));
      EXPECT_FALSE(std::filesystem::exists(out_)) << "a table is whole or not there";
    } else {
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << said_;
      EXPECT_NE(said_.find("--resume goes on"), std::string::npos) << said_;
      const auto rows = test::read_csv(out_);
      ASSERT_GT(rows.size(), 2u);
      EXPECT_LT(rows.size(), 301u);
      for (const auto& row : rows) EXPECT_EQ(row.size(), rows[0].size());
    }
    ASSERT_EQ(run(fast({"--resume", "-v", "4"})), 0) << said_;
    if (jobs == 1) {
      EXPECT_EQ(said_.find("case 1: started"), std::string::npos) << "case 1 was finished";
    }
    EXPECT_NE(said_.find("case 300: started"), std::string::npos);
    EXPECT_EQ(text_of(out_), whole);
  }
};

TEST_F(ExtractInterrupted, GoesOnAfterAKill) { expect_the_whole_after(SIGKILL, 1); }
TEST_F(ExtractInterrupted, GoesOnAfterCtrlC) { expect_the_whole_after(SIGINT, 1); }
TEST_F(ExtractInterrupted, GoesOnAfterCtrlCWithThreads) { expect_the_whole_after(SIGINT, 3); }

TEST_F(ExtractResume, RefusesToMixSettings) {
  ASSERT_EQ(run(words({})), 0);
  const std::string before = text_of(out_);
  EXPECT_EQ(run(words({"--resume", "-s", "binWidth:10"})), 2);
  EXPECT_NE(said_.find("binWidth 25, now 10"), std::string::npos) << said_;
  EXPECT_EQ(text_of(out_), before);
  EXPECT_EQ(run(words({"-s", "binWidth:10"})), 0) << "without --resume a new table is appended, as pyradiomics does";
  EXPECT_TRUE(text_of(out_).starts_with(before));
  EXPECT_GT(text_of(out_).size(), before.size());
  EXPECT_EQ(run(words({"--resume", "-s", "binWidth:10"})), 0);
  EXPECT_TRUE(text_of(out_).starts_with(before)) << "what stood there before stays";
}

TEST_F(ExtractResume, RefusesResultsWithoutARecord) {
  write("out", "Case,Image\n");
  EXPECT_EQ(run(words({"--resume"})), 2);
  EXPECT_NE(said_.find("no record"), std::string::npos) << said_;
  std::filesystem::create_directories(folder_ / "cases");
  write("cases/features_1.csv", "Image,Mask\n");
  EXPECT_EQ(run({path("batch.csv"), "--out-dir", path("cases"), "--resume"}), 2);
  EXPECT_EQ(run({path("batch.csv"), "--resume"}), 2);
}

}  // namespace
}  // namespace choana::node
