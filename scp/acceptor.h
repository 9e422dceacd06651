#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/received_instance.h"
#include "core/result.h"
#include "scp/association_policy.h"
#include "scp/instance_spool.h"
#include "scp/spool_committer.h"

namespace choana::scp {

/// How long a peer may take. Nothing a peer does or leaves undone holds a connection beyond one of these.
struct Deadlines {
  std::chrono::milliseconds handshake{5'000};         // TLS
  std::chrono::milliseconds associate{10'000};        // connection to complete A-ASSOCIATE-RQ
  std::chrono::milliseconds association_idle{300'000};  // between messages
  std::chrono::milliseconds message_idle{30'000};     // without an octet inside a PDU, command or data set
  std::chrono::milliseconds rate_grace{60'000};       // of a message, before the floor counts
  std::uint64_t rate_floor_bytes_per_s = 8192;        // mean rate of a message
  std::chrono::milliseconds write{30'000};            // for the peer to take what we send
  std::chrono::milliseconds artim{2'000};             // for the peer to close after release, reject or abort (PS3.8 9.1.5)
};

/// A second port that speaks TLS only, certificates on both sides (PS3.15 B.12). PEM files.
struct AcceptorTls {
  std::string listen = "0.0.0.0:2762";
  std::filesystem::path certificate_file;
  std::filesystem::path key_file;
  std::filesystem::path trusted_file;                 // authorities that sign our peers
};

struct AcceptorSettings {
  std::string ae_title = "CHOANA";
  std::string listen = "127.0.0.1:11112";             // host:port, "[::1]:104"; port 0 = any free one
  std::optional<AcceptorTls> tls;
  int associations_max = 64;
  int associations_per_ae_max = 0;                    // of one calling title; 0 = no limit of its own
  int connections_unassociated_max = 1024;            // that have not said who they are; beyond, the oldest is closed
  int connections_per_known_address_max = 1024;       // of them, from an address that a peer rule knows
  int connections_per_unknown_address_max = 8;        // of them, from any other address
  std::uint64_t object_max_bytes = std::uint64_t{2048} * 1024 * 1024;
  bool accept_unknown_peers = false;
  std::vector<PeerRule> peers;
  std::vector<std::string> extra_sop_classes;
  std::vector<std::string> extra_transfer_syntaxes;   // stored as they are, not decoded here
  Deadlines deadlines;
  std::filesystem::path spool_dir;
  std::filesystem::path quarantine_dir;
  std::uint64_t disk_low_bytes = std::uint64_t{2048} * 1024 * 1024;     // below: new associations are refused, transient
  std::uint64_t disk_reserve_bytes = std::uint64_t{512} * 1024 * 1024;  // below: C-STORE gets A700
  int threads = 0;                                    // 0: one a processor, at least 2, at most 4
  int committer_threads = 1;
  SyncMode sync_mode = SyncMode::adaptive;
  std::uint64_t first_receive_id = 1;                 // one more than the job store has seen
  std::int64_t verify_content_after_ms = 0;
  std::function<bool(std::uint64_t receive_id)> is_recorded;  // see InstanceSpool::Settings
};

/// Called from several threads, one call at a time per association. They must return at once: hand work on to a queue.
struct AcceptorCallbacks {
  /// An instance is durable. Comes before its response is sent, and before its association is reported closed.
  std::function<void(const ReceivedInstance&)> on_committed;
  /// An association was accepted (open, no studies yet) or has ended (closed, the studies it sent).
  std::function<void(std::int64_t association_id, bool open, const std::vector<std::string>& study_instance_uids)> on_association;
  /// The spool cannot be trusted any more: nothing is acknowledged from here on; end the process.
  std::function<void(const Error&)> on_fatal;
  /// What was turned away: event "association" or "c_store", reason one word as in the counters, peer its address
  /// and, where it named itself properly, its title: "10.1.2.3 MR1".
  std::function<void(const std::string& event, const std::string& reason, const std::string& peer)> on_refused;
  /// A storage commitment report (PS3.4 J.3.3) as received: event type 1 (all) or 2 (failures exist).
  /// Returns whether it is durably taken; otherwise the peer is told to try again.
  std::function<bool(int event_type_id, const std::string& transfer_syntax_uid, const std::vector<std::uint8_t>& data_set)> on_commitment_report;
};

/// One moment's figures, for metrics and the watchdog. Reasons are words of a fixed list, never what a peer sent.
struct AcceptorCounters {
  std::uint64_t connections_total = 0;
  std::uint64_t connections_open = 0;
  std::uint64_t associations_open = 0;
  std::uint64_t associations_accepted = 0;
  std::map<std::string, std::uint64_t> associations_refused;  // by reason
  std::map<std::string, std::uint64_t> connections_ended;     // released, closed, aborted_by_peer, violation, timed_out, ...
  std::uint64_t instances = 0;
  std::uint64_t instance_bytes = 0;
  std::map<std::uint16_t, std::uint64_t> store_failures;      // by DIMSE status
  std::map<std::string, std::uint64_t> store_refusals;        // by reason
  std::uint64_t commit_batches = 0;
  std::uint64_t commit_file_system_syncs = 0;                 // of the batches, those by syncfs
  std::uint64_t commits_waiting = 0;
  std::int64_t commit_busy_since_ms = 0;                      // monotonic; 0 = idle
  std::uint64_t progress = 0;                                 // grows every second while the threads turn
};

/// The receiving side of the node: DICOM associations in, durable files out.
class Acceptor {
 public:
  /// Recovers the spool, then listens. Raises the process's soft limit of open files to what its settings need.
  /// Errors: invalid_settings, io_error, connection_failed (the port is taken).
  static Result<std::unique_ptr<Acceptor>> start(AcceptorSettings settings, AcceptorCallbacks callbacks,
                                                 const Clock& clock = system_clock());
  ~Acceptor();

  /// What the spool held at start and the job store did not.
  [[nodiscard]] const InstanceSpool::Recovery& recovery() const;
  [[nodiscard]] int port() const;
  /// Port of the TLS listener; 0 when there is none.
  [[nodiscard]] int tls_port() const;
  [[nodiscard]] AcceptorCounters counters() const;
  /// Take these peers and this policy for associations from now on. Errors: invalid_settings.
  [[nodiscard]] Status replace_peers(std::vector<PeerRule> peers, bool accept_unknown_peers);
  /// Remove one file of the spool (retention).
  [[nodiscard]] Status remove_spool_file(const std::string& spool_file);

  /// Stop listening, let commands in flight end until the time is up, abort the rest, commit what waits, end the
  /// threads. The acceptor is then only good for its counters.
  void drain(std::chrono::milliseconds time);

 private:
  struct State;
  explicit Acceptor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace choana::scp
