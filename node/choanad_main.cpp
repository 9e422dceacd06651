// choanad: the daemon. `choanad --worker FILE` is the process of one study, started by the daemon itself.

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>

#include "core/clock.h"
#include "core/log.h"
#include "core/version.h"
#include "node/files.h"
#include "node/node.h"
#include "node/settings_reader.h"
#include "node/study_job.h"
#include "node/systemd_notifier.h"

namespace {

using namespace choana;  // NOLINT

int usage(std::FILE* out, int code) {
  std::fprintf(out, "choanad %s, the daemon of Choana\n\nUsage: choanad --config FILE\n\nSIGTERM drains and ends. SIGHUP reads the log level anew. Settings: see conf/choana.toml.\n", version);
  return code;
}

std::string series_rules_beside(const std::filesystem::path& config) {
  auto text = node::read_file(config.parent_path() / "series-rules.toml", 1U << 20);
  return text ? *text : std::string();
}

int serve(const std::filesystem::path& config) {
  auto settings = read_settings(config);
  if (!settings) {
    std::fprintf(stderr, "choanad: %s\n", settings.error().message.c_str());
    return 2;
  }
  log::configure(settings->log.level);

  // Signals are taken in one place; every thread started later inherits the mask.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  const auto notifier = SystemdNotifier::from_environment();
  notifier.extend_timeout(600);  // recovery of a large spool takes longer than systemd's patience
  std::error_code failed;
  auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
  auto node = node::Node::start(*settings, program, series_rules_beside(std::filesystem::absolute(config)));
  if (!node) {
    log::error("node", "start_failed", {{"code", to_string(node.error().code)}, {"reason", node.error().message}});
    return node.error().code == ErrorCode::invalid_settings || node.error().code == ErrorCode::invalid_package ? 2 : 1;
  }
  notifier.ready((*node)->status_line());

  const std::int64_t heartbeat_ms = notifier.heartbeat_interval_ms().value_or(5000);
  std::int64_t status_at_ms = 0;
  int code = 0;
  for (;;) {
    timespec wait{};
    const std::int64_t step_ms = std::min<std::int64_t>(heartbeat_ms, 1000);
    wait.tv_sec = step_ms / 1000;
    wait.tv_nsec = step_ms % 1000 * 1000000;
    const int signal = sigtimedwait(&signals, nullptr, &wait);
    if (signal == SIGTERM || signal == SIGINT) {
      log::info("node", "draining");
      break;
    }
    if (signal == SIGHUP) {
      notifier.reloading();
      if (auto read = read_settings(config)) {
        log::configure(read->log.level);
        log::info("node", "reloaded", {{"log_level", read->log.level}});
      } else {
        log::error("node", "reload_refused", {{"reason", read.error().message}});
      }
      notifier.ready((*node)->status_line());
    }
    if (const std::string reason = (*node)->fatal(); !reason.empty()) {
      log::error("node", "fatal", {{"reason", reason}});
      code = 1;
      break;
    }
    if ((*node)->healthy()) notifier.watchdog();
    const std::int64_t now_ms = system_clock().monotonic_ms();
    if (now_ms - status_at_ms > 10'000) {
      notifier.status((*node)->status_line());
      status_at_ms = now_ms;
    }
  }
  notifier.stopping();
  // After a failed sync nothing may be promised any more: leave at once, recovery is the same as after a power cut.
  if (code != 0) _exit(code);
  (*node)->drain();
  node->reset();
  log::info("node", "stopped");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--worker") == 0) return choana::node::run_worker_main(argv[2]);
  if (argc == 2 && (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0)) return usage(stdout, 0);
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    std::printf("choanad %s\n", choana::version);
    return 0;
  }
  if (argc == 3 && std::strcmp(argv[1], "--config") == 0) return serve(argv[2]);
  return usage(stderr, 2);
}
