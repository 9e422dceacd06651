#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/log.h"
#include "scp/acceptor.h"
#include "scp/dimse_status.h"
#include "scp/sop_classes.h"
#include "tests/support/data_set_bytes.h"
#include "tests/support/raw_peer.h"
#include "tests/support/temporary_folder.h"

namespace choana::test {

inline constexpr std::string_view mr_class = "1.2.840.10008.5.1.4.1.1.4";
inline const std::string echo_class{scp::verification_class};
inline const std::string explicit_le{scp::explicit_little_endian};
inline const std::string implicit_le{scp::implicit_little_endian};

/// An acceptor on a free port with a spool of its own, and what it committed.
class Receiver {
 public:
  explicit Receiver(const std::function<void(scp::AcceptorSettings&)>& change = {}) {
    log::configure("error", (folder_.path() / "log").string());
    scp::AcceptorSettings settings;
    settings.listen = "127.0.0.1:0";
    settings.spool_dir = folder_.path() / "spool";
    settings.quarantine_dir = folder_.path() / "quarantine";
    settings.disk_low_bytes = 0;
    settings.disk_reserve_bytes = 0;
    settings.threads = 2;
    settings.associations_max = 256;
    settings.object_max_bytes = 64 * 1024 * 1024;
    settings.peers = {{"mr", "MR1", {"127.0.0.0/8"}}, {"far", "FAR", {"10.0.0.0/8", "fd00::/8"}}};
    if (change) change(settings);
    scp::AcceptorCallbacks callbacks;
    callbacks.on_committed = [this](const ReceivedInstance& instance) {
      const std::lock_guard lock(mutex_);
      committed_.push_back(instance);
    };
    callbacks.on_commitment_report = [this](int type, const std::string&, const std::vector<std::uint8_t>&) {
      report_type_ = type;
      return true;
    };
    auto started = scp::Acceptor::start(settings, callbacks);
    if (!started) throw std::runtime_error(to_string(started.error()));
    acceptor_ = std::move(*started);
  }

  [[nodiscard]] int port() const { return acceptor_->port(); }
  [[nodiscard]] scp::Acceptor& acceptor() { return *acceptor_; }
  [[nodiscard]] std::filesystem::path spool() const { return folder_.path() / "spool"; }
  [[nodiscard]] std::vector<ReceivedInstance> committed() const {
    const std::lock_guard lock(mutex_);
    return committed_;
  }
  [[nodiscard]] int report_type() const { return report_type_; }

 private:
  TemporaryFolder folder_;
  mutable std::mutex mutex_;
  std::vector<ReceivedInstance> committed_;
  std::atomic<int> report_type_ = 0;
  std::unique_ptr<scp::Acceptor> acceptor_;
};

/// The contexts most cases use: 1 verification, 3 MR explicit, 5 MR implicit, 7 MR big endian, 9 RTSTRUCT explicit.
inline std::vector<scp::ProposedContext> usual_contexts() {
  return {{1, echo_class, {implicit_le}},
          {3, std::string(mr_class), {explicit_le}},
          {5, std::string(mr_class), {implicit_le}},
          {7, std::string(mr_class), {std::string(scp::explicit_big_endian)}},
          {9, std::string(scp::rt_structure_set_class), {explicit_le}},
          {11, std::string(mr_class), {std::string(scp::deflated_little_endian)}},
          {13, std::string(mr_class), {"1.2.840.10008.1.2.4.70"}}};
}

/// An association under way.
class Client {
 public:
  explicit Client(Receiver& receiver) : peer(receiver.port()) {}

  RawPeer peer;
  std::optional<scp::AssociateAccept> accept;
  std::optional<scp::AssociateReject> reject;
  std::optional<scp::Abort> abort;

  /// True when accepted; otherwise `reject` or `abort` says what came, or neither when the connection just ended.
  bool associate(const scp::AssociateRequest& request = association_request(usual_contexts())) { return associate(encode(request)); }
  bool associate(const scp::Bytes& request) {
    peer.send(request);
    return read_answer();
  }
  bool read_answer() {
    const auto pdu = peer.receive();
    if (!pdu) return false;
    if (pdu->type == 2) {
      if (auto decoded = scp::decode_associate_accept(pdu->body)) accept = *decoded;
    } else if (pdu->type == 3) {
      if (auto decoded = scp::decode_associate_reject(pdu->body)) reject = *decoded;
    } else if (pdu->type == 7) {
      if (auto decoded = scp::decode_abort(pdu->body)) abort = *decoded;
    }
    return accept.has_value();
  }
  [[nodiscard]] scp::ContextResult result_of(std::uint8_t id) const {
    for (const auto& context : accept->contexts) {
      if (context.id == id) return context.result;
    }
    return scp::ContextResult::no_reason;
  }

  void command(std::uint8_t context, const scp::DimseCommand& command) { peer.send(scp::encode_data(context, true, encode(command), 16384)); }
  void data(std::uint8_t context, ByteView bytes, std::uint32_t maximum = 16384) { peer.send(scp::encode_data(context, false, bytes, maximum)); }
  /// Send one C-STORE; the status, or nothing when the association ended.
  std::optional<std::uint16_t> store(const scp::Bytes& data_set, std::uint8_t context = 3, const InstanceIdentity& id = {}, std::uint32_t maximum = 16384) {
    command(context, store_request(id.sop_class, id.sop_instance));
    data(context, data_set, maximum);
    return status();
  }
  std::optional<std::uint16_t> status() {
    const auto response = receive_command(peer);
    return response ? response->status : std::nullopt;
  }
  bool echo(std::uint16_t id = 77) {
    command(1, echo_request(id));
    const auto response = receive_command(peer);
    return response && response->status == 0 && response->message_id_responded_to == id && response->command_field == 0x8030;
  }
  bool release() {
    peer.send(scp::encode_release_request());
    const auto pdu = peer.receive();
    return pdu && pdu->type == 6 && peer.ended();
  }
  /// An A-ABORT came, or the connection ended without one.
  bool aborted() {
    while (const auto pdu = peer.receive()) {
      if (pdu->type == 7) return peer.ended();
    }
    return !peer.hung();
  }
};

}  // namespace choana::test
