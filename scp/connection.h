#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scp/acceptor.h"
#include "scp/byte_stream.h"
#include "scp/dimse_service.h"
#include "scp/spool_committer.h"
#include "scp/storage_service.h"
#include "scp/upper_layer/association.h"

namespace choana::scp {

class Connection;

/// What all connections share. Owned by the acceptor and outliving every connection.
struct AcceptorShared {
  AcceptorSettings settings;
  AcceptorCallbacks callbacks;
  const Clock* clock = nullptr;
  std::vector<OfferedClass> offered;
  StorageLimits storage_limits;
  std::unique_ptr<InstanceSpool> spool;
  std::unique_ptr<SpoolCommitter> committer;

  std::mutex mutex;  // guards all below
  std::condition_variable changed;
  std::shared_ptr<const AssociationPolicy> policy;
  AcceptorCounters counters;
  std::int64_t next_association_id = 1;
  std::set<std::shared_ptr<Connection>> connections;
  struct Unassociated {
    AddressBytes address;
    std::weak_ptr<Connection> connection;
  };
  std::list<Unassociated> unassociated;  // oldest first
  std::map<std::string, int> associations_by_title;
  bool draining = false;
  bool failed = false;                   // fatal: nothing is acknowledged any more
  std::chrono::steady_clock::time_point refusals_window{};
  int refusals_logged = 0;

  void fatal(const Error& error);
  void refused(const std::string& event, const std::string& reason, const std::string& peer_address, const std::string& calling_ae_title);
};

/// One TCP connection: moves octets between socket, association and services, and watches the deadlines. Every member
/// function runs on the connection's strand.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(AcceptorShared& shared, std::unique_ptr<ByteStream> stream, const AddressBytes& address);

  void start();
  /// From any thread: close a connection that has not associated, to make room.
  void evict();
  /// From any thread: end after the command in flight; at once if there is none, or if `now`.
  void drain(bool now);

 private:
  using Time = std::chrono::steady_clock::time_point;
  enum class Phase { handshaking, open, lingering, closed };

  void read();
  void on_read(const boost::system::error_code& error, std::size_t count);
  void process();
  void on_request(const AssociateRequest& request);
  void on_fragment(const Fragment& fragment);
  void on_committed(bool durable, const DimseService::Commit& commit);
  void respond(std::uint8_t context_id, const DimseCommand& response);
  void note_refusal(const StoreRefusal& refusal);
  void send(Bytes bytes);
  void on_written(const boost::system::error_code& error);
  /// Send the last PDU, then wait for the peer to close (Sta13).
  void send_last(Bytes bytes, std::string how);
  void close(const std::string& how);
  void end_association(const std::string& how);
  void arm_timer();
  void on_timer();
  [[nodiscard]] std::optional<Time> deadline(std::string& how) const;
  void leave_unassociated();

  AcceptorShared& shared_;
  std::unique_ptr<ByteStream> stream_;
  asio::steady_timer timer_;
  Association association_;
  AddressBytes address_;
  std::string address_text_;
  Phase phase_ = Phase::handshaking;
  bool reading_ = false;
  bool committing_ = false;
  bool last_ = false;             // what is being written is the last PDU
  bool draining_ = false;
  Bytes writing_;
  std::optional<DimseService> dimse_;
  AssociationIdentity identity_;
  bool associated_ = false;
  bool association_ended_ = false;
  std::set<std::string> studies_;
  std::string ended_;             // how the association ended, once known

  Time started_;
  Time last_octet_;
  Time message_started_;
  bool in_message_ = false;
  Time write_started_;
  Time linger_started_;
};

}  // namespace choana::scp
