#include "tests/integration/node/node_under_test.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "node/api_client.h"

namespace choana::test {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "choana-test-XXXXXX").string();
  path_ = mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (std::getenv("CHOANA_KEEP") == nullptr) fs::remove_all(path_, ignored);
}

LoopbackPacs::LoopbackPacs(const fs::path& folder, int port) {
  fs::create_directories(folder / "spool");
  fs::create_directories(folder / "quarantine");
  scp::AcceptorSettings settings;
  settings.ae_title = "PACS";
  settings.listen = "127.0.0.1:" + std::to_string(port);
  settings.accept_unknown_peers = true;
  settings.spool_dir = folder / "spool";
  settings.quarantine_dir = folder / "quarantine";
  scp::AcceptorCallbacks callbacks;
  callbacks.on_committed = [this](const ReceivedInstance& instance) {
    const std::lock_guard lock(mutex_);
    received_[instance.sop_instance_uid].push_back(instance.sha256);
    sop_classes_.push_back(instance.sop_class_uid);
  };
  auto started = scp::Acceptor::start(settings, std::move(callbacks));
  if (!started) throw std::runtime_error(to_string(started.error()));
  acceptor_ = std::move(*started);
}

int LoopbackPacs::port() const { return acceptor_->port(); }

std::map<std::string, std::vector<std::string>> LoopbackPacs::received() const {
  const std::lock_guard lock(mutex_);
  return received_;
}

std::vector<std::string> LoopbackPacs::sop_classes() const {
  const std::lock_guard lock(mutex_);
  return sop_classes_;
}

NodeUnderTest::NodeUnderTest(fs::path folder, NodeOptions options) : folder_(std::move(folder)) {
  fs::create_directories(folder_);
  std::ofstream toml(settings_file());
  toml << "[node]\nae_title = \"CHOANA\"\nstate_dir = \"" << state_dir().string() << "\"\n[receive]\nlisten = \"127.0.0.1:0\"\n"
       << "[[peer]]\nname = \"test\"\nae_title = \"TEST\"\nnetworks = [\"127.0.0.0/8\"]\n[study]\nquiet_s = " << options.quiet_s
       << "\ndeadline_s = " << options.deadline_s << "\n[retention]\ndisk_low_mib = 64\ndisk_reserve_mib = 32\n[http]\nlisten = \"127.0.0.1:0\"\n";
  if (options.pacs_port != 0)
    toml << "[[destination]]\nname = \"pacs\"\nae_title = \"PACS\"\nhost = \"127.0.0.1\"\nport = " << options.pacs_port << "\n";
  for (const std::string& package : options.packages) toml << "[[package]]\npath = \"" << package << "\"\n";
  toml << options.more;
}

bool NodeUnderTest::start() {
  std::error_code ignored;
  fs::remove(state_dir() / "ports.json", ignored);
  auto started = node::ChildProcess::start({std::string(CHOANA_BIN_DIR) + "/choanad", "--config", settings_file().string()}, folder_ / "node.log");
  if (!started) return false;
  process_ = std::make_unique<node::ChildProcess>(std::move(*started));
  for (int n = 0; n < 3000; ++n) {
    if (!process_->running()) return false;
    if (auto ports = node::read_ports(state_dir() / "ports.json")) {
      dicom_port_ = ports->dicom;
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

void NodeUnderTest::kill_hard() {
  if (!process_) return;
  kill(process_->pid(), SIGKILL);
  process_->stop();
  process_.reset();
}

int NodeUnderTest::stop() {
  const int status = process_ ? process_->stop() : -1;
  process_.reset();
  return status;
}

bool NodeUnderTest::running() { return process_ && process_->running(); }

std::string NodeUnderTest::log() const {
  std::ifstream in(folder_ / "node.log");
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::unique_ptr<JobStore> NodeUnderTest::store() const {
  auto opened = open_sqlite_job_store_read_only(state_dir() / "choana.db");
  return opened ? std::move(*opened) : nullptr;
}

std::optional<StudyStory> NodeUnderTest::story(const std::string& study_instance_uid) const {
  const auto opened = store();
  if (!opened) return std::nullopt;
  auto found = opened->study_story(study_instance_uid);
  if (!found) return std::nullopt;
  return std::move(*found);
}

std::optional<StudyStory> NodeUnderTest::wait_for(const std::string& study_instance_uid, const std::function<bool(const StudyStory&)>& question,
                                                        int seconds_max) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds_max);
  std::optional<StudyStory> last;
  while (std::chrono::steady_clock::now() < deadline) {
    last = story(study_instance_uid);
    if (last && question(*last)) return last;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ADD_FAILURE() << "waited " << seconds_max << " s; the study is " << (last ? std::string(to_string(last->study.state)) : "unknown") << "\n" << log();
  return std::nullopt;
}

bool settled(const StudyStory& story) {
  if (story.result_json.empty()) return false;
  if (story.study.state == StudyState::collecting || story.study.state == StudyState::ready || story.study.state == StudyState::running ||
      story.study.state == StudyState::reporting)
    return false;
  return std::all_of(story.deliveries.begin(), story.deliveries.end(), [](const Delivery& d) { return d.state == DeliveryState::delivered; });
}

std::vector<fs::path> send_files(int port, const std::vector<fs::path>& files, const std::string& called_ae_title, const std::string& calling_ae_title) {
  StoreClient client({.called_ae_title = called_ae_title, .calling_ae_title = calling_ae_title, .host = "127.0.0.1", .port = static_cast<std::uint16_t>(port)});
  std::vector<fs::path> acknowledged;
  if (!client.connect(files)) return acknowledged;
  for (const fs::path& file : files) {
    auto status = client.store(file);
    if (!status) return acknowledged;
    if (*status == 0) acknowledged.push_back(file);
  }
  client.release();
  return acknowledged;
}

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().extension() == ".dcm") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace choana::test
