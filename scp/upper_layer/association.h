#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "scp/upper_layer/pdu.h"
#include "scp/upper_layer/presentation_context.h"

namespace choana::scp {

struct AssociationLimits {
  std::size_t request_bytes_max = 256 * 1024;  // of an A-ASSOCIATE-RQ; 128 contexts with 40 syntaxes need 140 kB
  std::uint32_t maximum_length = 131072;       // of a P-DATA-TF we accept, and announce
};

/// The acceptor's half of the state machine of PS3.8 9.2, without a socket and without a clock: octets go in through
/// `writable` and `written`, events come out of `poll` one at a time, and the answers are octets for the caller to send.
/// Memory grows with what has arrived, never with what a length field announces.
class Association {
 public:
  enum class State {
    awaiting_request,  // Sta2
    deciding,          // Sta3: the request was handed out
    established,       // Sta6
    releasing,         // Sta8: the release request was handed out
    closing,           // Sta13: everything that still comes is dropped
  };

  struct NeedMore {};
  struct ReleaseRequested {};
  struct Aborted {
    Abort abort;
  };
  /// The peer broke the protocol; send `abort` and close.
  struct Violation {
    Abort abort;
    std::string reason;
  };
  using Event = std::variant<NeedMore, AssociateRequest, Fragment, ReleaseRequested, Aborted, Violation>;

  explicit Association(AssociationLimits limits = {});

  /// Room for octets from the peer; call `written` with the count that was filled. Empty while undelivered octets
  /// already fill the largest PDU: poll first.
  [[nodiscard]] std::span<std::uint8_t> writable();
  void written(std::size_t count);

  /// The next event. A Fragment's bytes are valid until the next call of `writable`. After a Violation, an abort or a
  /// release the state is `closing` (`releasing` until the reply is made) and only NeedMore follows.
  [[nodiscard]] Event poll();

  /// Answers. Each is legal in one state only (asserted): `accept` and `reject` while deciding, `release_reply` while releasing.
  [[nodiscard]] Bytes accept(const AssociateRequest& request, const Negotiation& negotiation);
  [[nodiscard]] Bytes reject(const AssociateReject& reason);
  [[nodiscard]] Bytes release_reply();
  [[nodiscard]] Bytes abort(const Abort& reason);
  /// P-DATA-TF PDUs with one command set or data set, split to what the peer accepts.
  [[nodiscard]] Bytes data(std::uint8_t context_id, bool is_command, ByteView bytes) const;

  [[nodiscard]] State state() const { return state_; }
  /// Null unless this context was accepted.
  [[nodiscard]] const AcceptedContext* context(std::uint8_t id) const;
  /// Octets received that have not come out of `poll` yet: a PDU is under way.
  [[nodiscard]] bool inside_pdu() const { return begin_ != end_ || !fragments_.empty(); }

 private:
  Event violation(const Abort& abort, std::string reason);
  Event next_pdu();
  Event next_fragment();

  AssociationLimits limits_;
  State state_ = State::awaiting_request;
  Bytes buffer_;
  std::size_t begin_ = 0;   // of the octets not consumed yet
  std::size_t end_ = 0;
  ByteView fragments_;      // rest of the P-DATA-TF being handed out
  std::vector<AcceptedContext> contexts_;
  std::uint32_t peer_maximum_length_ = 0;
};

}  // namespace choana::scp
