/// A bare acceptor for measuring and for trying it by hand: prints its port, receives until SIGTERM or end of input, then
/// prints its counters. `choana_receive SPOOL_DIR [PORT] [AE_TITLE]`
#include <sys/resource.h>

#include <csignal>
#include <iostream>
#include <string>

#include "core/log.h"
#include "scp/acceptor.h"

int main(int argc, char** argv) {
  using namespace choana;
  if (argc < 2) {
    std::cerr << "usage: choana_receive SPOOL_DIR [PORT] [AE_TITLE] [COMMITTER_THREADS] [adaptive|syncfs|files]\n";
    return 2;
  }
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  log::configure("error");

  scp::AcceptorSettings settings;
  settings.spool_dir = std::string(argv[1]) + "/spool";
  settings.quarantine_dir = std::string(argv[1]) + "/quarantine";
  settings.listen = std::string("127.0.0.1:") + (argc > 2 ? argv[2] : "0");
  settings.ae_title = argc > 3 ? argv[3] : "CHOANA";
  settings.committer_threads = argc > 4 ? std::stoi(argv[4]) : 1;
  const std::string mode = argc > 5 ? argv[5] : "adaptive";
  settings.sync_mode = mode == "syncfs" ? scp::SyncMode::file_system : mode == "files" ? scp::SyncMode::single_files : scp::SyncMode::adaptive;
  settings.accept_unknown_peers = true;
  settings.disk_low_bytes = 0;
  settings.disk_reserve_bytes = 0;
  auto acceptor = scp::Acceptor::start(settings, {});
  if (!acceptor) {
    std::cerr << to_string(acceptor.error()) << '\n';
    return 1;
  }
  std::cout << "port " << (*acceptor)->port() << std::endl;
  int number = 0;
  sigwait(&ends, &number);
  (*acceptor)->drain(std::chrono::seconds(5));
  const auto counters = (*acceptor)->counters();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::cout << "adopted " << (*acceptor)->recovery().adopted.size() << " instances " << counters.instances << " bytes " << counters.instance_bytes << " batches " << counters.commit_batches << " syncfs " << counters.commit_file_system_syncs
            << " associations " << counters.associations_accepted << " peak_rss_kib " << usage.ru_maxrss << '\n';
  for (const auto& [how, count] : counters.connections_ended) std::cout << "ended " << how << ' ' << count << '\n';
  for (const auto& [why, count] : counters.store_refusals) std::cout << "refused " << why << ' ' << count << '\n';
}
