#include "scp/upper_layer/association.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace choana::scp {
namespace {

constexpr std::size_t buffer_first_bytes = 4096;

}  // namespace

Association::Association(AssociationLimits limits) : limits_(limits) {}

std::span<std::uint8_t> Association::writable() {
  assert(fragments_.empty());
  if (begin_ == end_) begin_ = end_ = 0;
  const std::size_t largest =
      pdu_header_bytes + std::max<std::size_t>(limits_.maximum_length, state_ == State::awaiting_request ? limits_.request_bytes_max : 0);
  if (end_ == buffer_.size()) {
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    // Doubling as octets arrive: at most twice what the peer has really sent.
    if (end_ == buffer_.size()) buffer_.resize(std::min(std::max(buffer_first_bytes, 2 * buffer_.size()), std::max(largest, end_)));
  }
  return std::span(buffer_).subspan(end_);
}

void Association::written(std::size_t count) {
  assert(count <= buffer_.size() - end_);
  end_ += count;
  if (state_ == State::closing) begin_ = end_ = 0;
}

Association::Event Association::violation(const Abort& abort, std::string reason) {
  state_ = State::closing;
  fragments_ = {};
  begin_ = end_ = 0;
  return Violation{abort, std::move(reason)};
}

Association::Event Association::poll() {
  if (state_ == State::closing || state_ == State::deciding || state_ == State::releasing) return NeedMore{};
  if (!fragments_.empty()) return next_fragment();
  return next_pdu();
}

Association::Event Association::next_fragment() {
  auto fragment = take_fragment(fragments_);
  if (!fragment) return violation(abort_reason::invalid_parameter, fragment.error().message);
  if (context(fragment->context_id) == nullptr) {
    return violation(abort_reason::invalid_parameter, "A presentation data value names a context that was not accepted.");
  }
  return *fragment;
}

Association::Event Association::next_pdu() {
  const ByteView waiting = ByteView(buffer_).subspan(begin_, end_ - begin_);
  // The first octet alone tells strangers (HTTP, TLS, SSH) from DICOM; waiting for six would let them stay.
  if (waiting.empty()) return NeedMore{};
  const std::uint8_t type = waiting[0];
  if (type < 0x01 || type > 0x07) return violation(abort_reason::unrecognised_pdu, "A PDU has an unknown type.");
  if (state_ == State::awaiting_request && type != static_cast<std::uint8_t>(PduType::associate_request)) {
    if (type == static_cast<std::uint8_t>(PduType::abort)) {  // AA-2: nothing to answer
      state_ = State::closing;
      return Aborted{};
    }
    return violation(abort_reason::unexpected_pdu, "The first PDU is not an association request.");
  }
  if (waiting.size() < pdu_header_bytes) return NeedMore{};
  const std::size_t length = ByteReader(waiting.subspan(2)).u32();
  const std::size_t length_max = state_ == State::awaiting_request ? limits_.request_bytes_max : limits_.maximum_length;
  if (length > length_max) return violation(abort_reason::invalid_parameter, "A PDU is longer than the limit.");
  if (waiting.size() < pdu_header_bytes + length) return NeedMore{};
  const ByteView body = waiting.subspan(pdu_header_bytes, length);
  begin_ += pdu_header_bytes + length;

  switch (static_cast<PduType>(type)) {
    case PduType::associate_request: {
      if (state_ != State::awaiting_request) return violation(abort_reason::unexpected_pdu, "A second association request came.");
      auto request = decode_associate_request(body);
      if (!request) return violation(abort_reason::invalid_parameter, request.error().message);
      state_ = State::deciding;
      return std::move(*request);
    }
    case PduType::data:
      if (body.empty()) return violation(abort_reason::invalid_parameter, "A P-DATA-TF holds no presentation data value.");
      fragments_ = body;
      return next_fragment();
    case PduType::release_request:
      if (length != 4) return violation(abort_reason::invalid_parameter, "An A-RELEASE-RQ has a wrong length.");
      state_ = State::releasing;
      return ReleaseRequested{};
    case PduType::abort: {
      const auto abort = decode_abort(body);
      state_ = State::closing;
      begin_ = end_ = 0;
      return Aborted{abort.value_or(Abort{})};
    }
    case PduType::associate_accept:
    case PduType::associate_reject:
    case PduType::release_reply: break;
  }
  return violation(abort_reason::unexpected_pdu, "A PDU came that only an acceptor may send.");
}

Bytes Association::accept(const AssociateRequest& request, const Negotiation& negotiation) {
  assert(state_ == State::deciding);
  state_ = State::established;
  contexts_ = negotiation.accepted;
  peer_maximum_length_ = request.user.maximum_length.value_or(0);
  AssociateAccept answer;
  answer.titles = request.titles;
  answer.contexts = negotiation.answers;
  answer.user = negotiation.user;
  return encode(answer);
}

Bytes Association::reject(const AssociateReject& reason) {
  assert(state_ == State::deciding);
  state_ = State::closing;
  return encode(reason);
}

Bytes Association::release_reply() {
  assert(state_ == State::releasing);
  state_ = State::closing;
  return encode_release_reply();
}

Bytes Association::abort(const Abort& reason) {
  state_ = State::closing;
  fragments_ = {};
  begin_ = end_ = 0;
  return encode(reason);
}

Bytes Association::data(std::uint8_t context_id, bool is_command, ByteView bytes) const {
  return encode_data(context_id, is_command, bytes, peer_maximum_length_);
}

const AcceptedContext* Association::context(std::uint8_t id) const {
  const auto found = std::find_if(contexts_.begin(), contexts_.end(), [id](const AcceptedContext& c) { return c.id == id; });
  return found == contexts_.end() ? nullptr : &*found;
}

}  // namespace choana::scp
