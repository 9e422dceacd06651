#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/received_instance.h"
#include "dicom/association_client.h"
#include "node/child_process.h"
#include "node/job_store.h"
#include "scp/acceptor.h"

namespace choana::test {

/// A folder of its own that goes away with the test, or stays when $CHOANA_KEEP is set.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A PACS that keeps everything it is sent and counts every copy: our own acceptor in this process.
class LoopbackPacs {
 public:
  /// port 0: any free one.
  LoopbackPacs(const std::filesystem::path& folder, int port);
  [[nodiscard]] int port() const;
  /// SOP Instance UID -> the digests of the data sets received under it, in order of arrival.
  [[nodiscard]] std::map<std::string, std::vector<std::string>> received() const;
  [[nodiscard]] std::vector<std::string> sop_classes() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<std::string>> received_;
  std::vector<std::string> sop_classes_;
  std::unique_ptr<scp::Acceptor> acceptor_;
};

struct NodeOptions {
  int pacs_port = 0;                     // 0: no destination
  std::vector<std::string> packages;     // folders
  int quiet_s = 1;
  int deadline_s = 3;
  std::string more;                      // further TOML
};

/// choanad as a process of its own on temporary folders.
class NodeUnderTest {
 public:
  NodeUnderTest(std::filesystem::path folder, NodeOptions options);
  /// Start and wait until its ports are open. False when it ended instead.
  bool start();
  void kill_hard();   // SIGKILL
  int stop();         // SIGTERM; exit status
  [[nodiscard]] bool running();
  [[nodiscard]] int dicom_port() const { return dicom_port_; }
  [[nodiscard]] std::filesystem::path state_dir() const { return folder_ / "state"; }
  [[nodiscard]] std::filesystem::path settings_file() const { return folder_ / "choana.toml"; }
  [[nodiscard]] std::string log() const;
  /// The store, for looking. nullptr while there is none.
  [[nodiscard]] std::unique_ptr<JobStore> store() const;
  [[nodiscard]] std::optional<StudyStory> story(const std::string& study_instance_uid) const;
  /// Poll until the study's story satisfies the question, at most this long.
  [[nodiscard]] std::optional<StudyStory> wait_for(const std::string& study_instance_uid, const std::function<bool(const StudyStory&)>& question,
                                                         int seconds_max = 120) const;

 private:
  std::filesystem::path folder_;
  std::unique_ptr<node::ChildProcess> process_;
  int dicom_port_ = 0;
};

/// True once there is a verdict and everything queued was delivered.
bool settled(const StudyStory& story);

/// Send files on one association; what was answered with success, by file. Stops at the first lost association.
std::vector<std::filesystem::path> send_files(int port, const std::vector<std::filesystem::path>& files, const std::string& called_ae_title = "CHOANA",
                                              const std::string& calling_ae_title = "TEST");

/// Regular files below a folder, by path.
std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder);

}  // namespace choana::test
