#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "scp/dimse_command.h"
#include "scp/upper_layer/pdu.h"

namespace choana::test {

using scp::Bytes;
using scp::ByteView;

/// The other end of an association, octet by octet: blocking, with a guard that only a hang reaches.
class RawPeer {
 public:
  struct Pdu {
    std::uint8_t type = 0;
    Bytes body;
  };

  explicit RawPeer(int port) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawPeer() { close(); }
  RawPeer(RawPeer&& other) noexcept : socket_(std::exchange(other.socket_, -1)), connected_(other.connected_) {}
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

  /// False when the other end has gone.
  bool send(ByteView bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return true;
  }
  bool send(std::string_view text) { return send(ByteView(reinterpret_cast<const std::uint8_t*>(text.data()), text.size())); }

  /// Nothing when the connection has ended, or when the guard of `guard_ms` ran out (then `hung` is true).
  std::optional<Pdu> receive(int guard_ms = 20'000) {
    Bytes head(6);
    if (!read(head, guard_ms)) return std::nullopt;
    Pdu pdu;
    pdu.type = head[0];
    const std::size_t length = scp::ByteReader(ByteView(head).subspan(2)).u32();
    if (length > 1'000'000) return std::nullopt;
    pdu.body.resize(length);
    if (!read(pdu.body, guard_ms)) return std::nullopt;
    return pdu;
  }
  /// The other end closed (whatever it sent before).
  bool ended(int guard_ms = 20'000) {
    Bytes octet(1);
    while (read(octet, guard_ms)) {
    }
    return !hung_;
  }
  [[nodiscard]] bool hung() const { return hung_; }

 private:
  bool read(Bytes& into, int guard_ms) {
    std::size_t have = 0;
    while (have < into.size()) {
      pollfd wait{socket_, POLLIN, 0};
      if (::poll(&wait, 1, guard_ms) <= 0) {
        hung_ = true;
        return false;
      }
      const ssize_t got = ::recv(socket_, into.data() + have, into.size() - have, 0);
      if (got <= 0) return false;
      have += static_cast<std::size_t>(got);
    }
    return true;
  }

  int socket_ = -1;
  bool connected_ = false;
  bool hung_ = false;
};

inline scp::AssociateRequest association_request(std::vector<scp::ProposedContext> contexts, std::string_view called = "CHOANA",
                                                 std::string_view calling = "MR1") {
  scp::AssociateRequest request;
  request.titles.called = scp::pad_ae_title(called);
  request.titles.calling = scp::pad_ae_title(calling);
  request.application_context = std::string(scp::dicom_application_context);
  request.contexts = std::move(contexts);
  request.user.maximum_length = 16384;
  request.user.implementation_class_uid = "1.2.3.4";
  return request;
}

/// One DIMSE message from the other side; nothing when the connection ended or something else came.
inline std::optional<scp::DimseCommand> receive_command(RawPeer& peer, std::uint32_t* largest_pdu = nullptr) {
  Bytes command;
  while (true) {
    auto pdu = peer.receive();
    if (!pdu || pdu->type != 4) return std::nullopt;
    if (largest_pdu != nullptr) *largest_pdu = std::max(*largest_pdu, static_cast<std::uint32_t>(pdu->body.size()));
    ByteView rest = pdu->body;
    while (!rest.empty()) {
      auto fragment = scp::take_fragment(rest);
      if (!fragment || !fragment->is_command) return std::nullopt;
      command.insert(command.end(), fragment->bytes.begin(), fragment->bytes.end());
      if (!fragment->is_last) continue;
      auto decoded = scp::decode_command(command);
      if (!decoded) return std::nullopt;
      return *decoded;
    }
  }
}

inline scp::DimseCommand echo_request(std::uint16_t id = 1) {
  scp::DimseCommand command;
  command.command_field = scp::dimse_command::echo_request;
  command.message_id = id;
  command.affected_sop_class_uid = "1.2.840.10008.1.1";
  return command;
}

inline scp::DimseCommand store_request(std::string sop_class, std::string sop_instance, std::uint16_t id = 1) {
  scp::DimseCommand command;
  command.command_field = scp::dimse_command::store_request;
  command.message_id = id;
  command.priority = 0;
  command.has_data_set = true;
  command.affected_sop_class_uid = std::move(sop_class);
  command.affected_sop_instance_uid = std::move(sop_instance);
  return command;
}

}  // namespace choana::test
