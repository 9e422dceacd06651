#include "scp/connection.h"

#include <algorithm>

#include "core/log.h"
#include "scp/dimse_status.h"

namespace choana::scp {
namespace {

constexpr std::size_t studies_per_association_max = 1024;
constexpr auto timer_step = std::chrono::seconds(1);
constexpr auto refusals_window = std::chrono::seconds(10);
constexpr int refusals_per_window = 20;

std::chrono::steady_clock::time_point now() { return std::chrono::steady_clock::now(); }

}  // namespace

void AcceptorShared::fatal(const Error& error) {
  {
    const std::lock_guard lock(mutex);
    if (std::exchange(failed, true)) return;
  }
  log::error("scp", "spool_failed", {{"code", to_string(error.code)}, {"message", error.message}});
  if (callbacks.on_fatal) callbacks.on_fatal(error);
}

void AcceptorShared::refused(const std::string& event, const std::string& reason, const std::string& peer_address,
                             const std::string& calling_ae_title) {
  bool log_it = false;
  {
    const std::lock_guard lock(mutex);
    // A stranger who knocks all night must not fill the journal.
    if (now() - refusals_window > scp::refusals_window) {
      refusals_window = now();
      refusals_logged = 0;
    }
    log_it = ++refusals_logged <= refusals_per_window;
  }
  std::string peer = peer_address;
  if (is_valid_ae_title(calling_ae_title)) peer += " " + calling_ae_title;
  if (callbacks.on_refused) return callbacks.on_refused(event, reason, peer);
  if (log_it) log::warn("scp", event + "_refused", {{"reason", reason}, {"peer", peer}});
}

Connection::Connection(AcceptorShared& shared, std::unique_ptr<ByteStream> stream, const AddressBytes& address)
    : shared_(shared), stream_(std::move(stream)), timer_(stream_->executor()), address_(address), address_text_(to_string(address)) {
  started_ = last_octet_ = message_started_ = now();
}

void Connection::start() {
  arm_timer();
  stream_->handshake([self = shared_from_this()](const boost::system::error_code& error) {
    if (self->phase_ != Phase::handshaking) return;
    if (error) return self->close("handshake_failed");
    self->phase_ = Phase::open;
    self->process();
  });
}

void Connection::evict() {
  asio::post(stream_->executor(), [self = shared_from_this()] {
    if (!self->associated_) self->close("evicted");
  });
}

void Connection::drain(bool at_once) {
  asio::post(stream_->executor(), [self = shared_from_this(), at_once] {
    if (self->phase_ == Phase::closed) return;
    self->draining_ = true;
    if (at_once) return self->close("drained");
    if (self->phase_ != Phase::open) return;
    const bool busy = self->committing_ || !self->writing_.empty() || (self->dimse_ && self->dimse_->inside_message());
    if (!busy) self->send_last(self->association_.abort(abort_reason::not_specified), "drained");
  });
}

void Connection::read() {
  if (reading_ || phase_ == Phase::closed) return;
  reading_ = true;
  stream_->read_some(association_.writable(), [self = shared_from_this()](const boost::system::error_code& error, std::size_t count) {
    self->reading_ = false;
    self->on_read(error, count);
  });
}

void Connection::on_read(const boost::system::error_code& error, std::size_t count) {
  if (phase_ == Phase::closed) return;
  if (error) return close(ended_.empty() ? "closed_by_peer" : ended_);
  stream_->acknowledge_quickly();
  last_octet_ = now();
  association_.written(count);
  if (phase_ == Phase::open) process();
}

void Connection::process() {
  // One thing at a time: while a response is on its way or an instance waits for its sync, nothing more is taken.
  while (phase_ == Phase::open && !committing_ && writing_.empty()) {
    if (draining_ && dimse_ && !dimse_->inside_message()) return send_last(association_.abort(abort_reason::not_specified), "drained");
    const Association::Event event = association_.poll();
    if (std::holds_alternative<Association::NeedMore>(event)) break;
    if (const auto* fragment = std::get_if<Fragment>(&event)) {
      on_fragment(*fragment);
    } else if (const auto* request = std::get_if<AssociateRequest>(&event)) {
      on_request(*request);
    } else if (std::holds_alternative<Association::ReleaseRequested>(event)) {
      if (dimse_->inside_message()) return send_last(association_.abort(abort_reason::by_user), "release_in_message");
      return send_last(association_.release_reply(), "released");
    } else if (std::holds_alternative<Association::Aborted>(event)) {
      return close("aborted_by_peer");
    } else if (const auto* violation = std::get_if<Association::Violation>(&event)) {
      log::debug("scp", "protocol_violation", {{"association", identity_.association_id}, {"reason", violation->reason}});
      return send_last(encode(violation->abort), "violation");
    }
  }
  if (phase_ == Phase::closed || phase_ == Phase::lingering) return;
  const bool in_message = association_.inside_pdu() || (dimse_ && dimse_->inside_message());
  if (in_message && !in_message_) message_started_ = now();
  in_message_ = in_message;
  if (phase_ == Phase::open && !committing_ && writing_.empty()) read();
}

void Connection::on_request(const AssociateRequest& request) {
  const std::string called = trim_ae_title(request.titles.called);
  const std::string calling = trim_ae_title(request.titles.calling);
  std::optional<AssociateReject> no;
  std::string reason;
  std::string peer;
  // The disk is asked before the lock is taken.
  const auto free = shared_.spool->free_bytes();
  {
    const std::lock_guard lock(shared_.mutex);
    if ((request.protocol_version & 1U) == 0) {
      no = reject::protocol_version;
      reason = "protocol_version";
    } else if (auto decision = shared_.policy->decide(called, calling, address_); decision.reject) {
      no = decision.reject;
      reason = decision.reason;
    } else if (request.application_context != dicom_application_context) {
      no = reject::application_context;
      reason = "application_context";
    } else if (request.contexts.empty()) {
      no = reject::no_presentation_context;
      reason = "no_presentation_context";
    } else if (request.user.maximum_length && *request.user.maximum_length != 0 && *request.user.maximum_length < 8) {
      no = AssociateReject{1, 2, 1};  // nothing fits in such a PDU
      reason = "maximum_length";
    } else if (shared_.draining || shared_.failed) {
      no = reject::temporary_congestion;
      reason = "draining";
    } else if (shared_.counters.associations_open >= static_cast<std::uint64_t>(shared_.settings.associations_max)) {
      no = reject::local_limit;
      reason = "associations_max";
    } else if (shared_.settings.associations_per_ae_max > 0 &&
               shared_.associations_by_title[calling] >= shared_.settings.associations_per_ae_max) {
      no = reject::local_limit;
      reason = "associations_per_ae_max";
    } else if (!free || *free < shared_.settings.disk_low_bytes) {
      no = reject::temporary_congestion;
      reason = "disk_low";
    } else {
      peer = decision.peer;
      associated_ = true;
      ++shared_.counters.associations_open;
      ++shared_.counters.associations_accepted;
      ++shared_.associations_by_title[calling];
      identity_ = {shared_.next_association_id++, calling, called, address_text_};
    }
    if (no) ++shared_.counters.associations_refused[reason];
  }
  if (no) {
    shared_.refused("association", reason, address_text_, calling);
    return send_last(association_.reject(*no), "rejected");
  }
  leave_unassociated();
  log::info("scp", "association_accepted", {{"association", identity_.association_id}, {"peer", peer}, {"address", address_text_}});
  if (shared_.callbacks.on_association) shared_.callbacks.on_association(identity_.association_id, true, {});
  dimse_.emplace(*shared_.spool, shared_.storage_limits, *shared_.clock, identity_);
  const Negotiation negotiation = negotiate(request, shared_.offered, AssociationLimits{}.maximum_length);
  send(association_.accept(request, negotiation));
}

void Connection::on_fragment(const Fragment& fragment) {
  auto reaction = dimse_->on_fragment(fragment, *association_.context(fragment.context_id));
  if (std::holds_alternative<DimseService::Proceed>(reaction)) return;
  if (const auto* respond_now = std::get_if<DimseService::Respond>(&reaction)) {
    if (respond_now->refusal) note_refusal(*respond_now->refusal);
    return respond(respond_now->context_id, respond_now->response);
  }
  if (auto* commit = std::get_if<DimseService::Commit>(&reaction)) {
    committing_ = true;
    // The instance must reach on_committed even if this connection is gone by then: it is durable all the same.
    auto shared_commit = std::make_shared<DimseService::Commit>(std::move(*commit));
    SpoolCommitter::Item item;
    item.file_descriptor = std::exchange(shared_commit->stored.file_descriptor, -1);
    item.spool_file = shared_commit->stored.instance.spool_file;
    item.done = [self = shared_from_this(), shared_commit](bool durable) {
      if (durable) {
        {
          const std::lock_guard lock(self->shared_.mutex);
          ++self->shared_.counters.instances;
          self->shared_.counters.instance_bytes += shared_commit->stored.instance.size_bytes;
        }
        if (self->shared_.callbacks.on_committed) self->shared_.callbacks.on_committed(shared_commit->stored.instance);
      }
      asio::post(self->stream_->executor(), [self, shared_commit, durable] { self->on_committed(durable, *shared_commit); });
    };
    shared_.committer->submit(std::move(item));
    return;
  }
  if (auto* report = std::get_if<DimseService::EventReport>(&reaction)) {
    const bool taken = shared_.callbacks.on_commitment_report &&
                       shared_.callbacks.on_commitment_report(report->request.event_type_id.value_or(0), report->transfer_syntax_uid, report->data_set);
    if (!taken) report->response.status = dimse_status::processing_failure;
    return respond(report->context_id, report->response);
  }
  const auto& give_up = std::get<DimseService::GiveUp>(reaction);
  log::info("scp", "association_aborted", {{"association", identity_.association_id}, {"reason", give_up.reason}});
  send_last(association_.abort(give_up.abort), "violation");
}

void Connection::on_committed(bool durable, const DimseService::Commit& commit) {
  committing_ = false;
  if (phase_ == Phase::closed) return;
  if (durable) {
    if (studies_.size() < studies_per_association_max) studies_.insert(commit.stored.instance.study_instance_uid);
  } else {
    note_refusal({dimse_status::out_of_resources, "sync_failed", {}});
  }
  last_octet_ = now();
  respond(commit.context_id, durable ? commit.success : commit.failure);
}

void Connection::note_refusal(const StoreRefusal& refusal) {
  {
    const std::lock_guard lock(shared_.mutex);
    ++shared_.counters.store_failures[refusal.status];
    ++shared_.counters.store_refusals[refusal.reason];
  }
  shared_.refused("c_store", refusal.reason, address_text_, identity_.calling_ae_title);
  if (refusal.machine_failed) shared_.fatal({ErrorCode::io_error, "store", "Writing to the spool failed. Check the disk; the node must start anew.", {}});
}

void Connection::respond(std::uint8_t context_id, const DimseCommand& response) {
  send(association_.data(context_id, true, encode(response)));
}

void Connection::send(Bytes bytes) {
  writing_ = std::move(bytes);
  write_started_ = now();
  stream_->write(writing_, [self = shared_from_this()](const boost::system::error_code& error, std::size_t) { self->on_written(error); });
}

void Connection::on_written(const boost::system::error_code& error) {
  if (phase_ == Phase::closed) return;
  writing_.clear();
  if (error) return close(ended_.empty() ? "closed_by_peer" : ended_);
  if (!last_) return process();
  phase_ = Phase::lingering;
  linger_started_ = now();
  arm_timer();
  stream_->finish([self = shared_from_this()] { self->close(self->ended_); });
}

void Connection::send_last(Bytes bytes, std::string how) {
  last_ = true;
  ended_ = std::move(how);
  // The place is free before the peer can know it.
  end_association(ended_);
  send(std::move(bytes));
}

void Connection::close(const std::string& how) {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  stream_->close();
  timer_.cancel();
  dimse_.reset();  // an instance under way leaves nothing behind
  leave_unassociated();
  end_association(how);
  {
    const std::lock_guard lock(shared_.mutex);
    ++shared_.counters.connections_ended[how];
    shared_.connections.erase(shared_from_this());
    shared_.counters.connections_open = shared_.connections.size();
    shared_.changed.notify_all();  // under the lock: afterwards a waiting drain may destroy all
  }
}

void Connection::end_association(const std::string& how) {
  if (!associated_ || std::exchange(association_ended_, true)) return;
  {
    const std::lock_guard lock(shared_.mutex);
    --shared_.counters.associations_open;
    const auto by_title = shared_.associations_by_title.find(identity_.calling_ae_title);
    if (by_title != shared_.associations_by_title.end() && --by_title->second <= 0) shared_.associations_by_title.erase(by_title);
  }
  log::info("scp", "association_ended", {{"association", identity_.association_id}, {"how", how}, {"studies", studies_.size()}});
  if (shared_.callbacks.on_association) {
    shared_.callbacks.on_association(identity_.association_id, false, std::vector<std::string>(studies_.begin(), studies_.end()));
  }
}

void Connection::leave_unassociated() {
  const std::lock_guard lock(shared_.mutex);
  shared_.unassociated.remove_if([this](const AcceptorShared::Unassociated& u) {
    const auto other = u.connection.lock();
    return other == nullptr || other.get() == this;
  });
}

std::optional<Connection::Time> Connection::deadline(std::string& how) const {
  const Deadlines& limits = shared_.settings.deadlines;
  how = "timed_out";
  if (phase_ == Phase::handshaking) {
    how = "handshake_timed_out";
    return started_ + limits.handshake;
  }
  if (phase_ == Phase::lingering) {
    how = ended_;
    return linger_started_ + limits.artim;
  }
  if (!writing_.empty()) {
    how = "write_timed_out";
    return write_started_ + limits.write;
  }
  if (!associated_) {
    how = "associate_timed_out";
    return started_ + limits.associate;
  }
  if (committing_) return std::nullopt;
  if (in_message_) {
    how = "message_timed_out";
    return last_octet_ + limits.message_idle;
  }
  how = "idle_timed_out";
  return last_octet_ + limits.association_idle;
}

void Connection::arm_timer() {
  std::string how;
  const Time latest = now() + timer_step;
  timer_.expires_at(std::min(deadline(how).value_or(latest), latest));
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (self && !error) self->on_timer();
  });
}

void Connection::on_timer() {
  if (phase_ == Phase::closed) return;
  std::string how;
  const Time at = now();
  auto limit = deadline(how);
  bool expired = limit && at >= *limit;
  if (!expired && in_message_ && !committing_ && associated_ && writing_.empty() && phase_ == Phase::open) {
    const Deadlines& limits = shared_.settings.deadlines;
    const auto elapsed_ms = std::chrono::duration_cast<std::chrono::milliseconds>(at - message_started_).count();
    const std::uint64_t bytes = dimse_ ? dimse_->message_bytes() : 0;
    if (at - message_started_ > limits.rate_grace && bytes < limits.rate_floor_bytes_per_s * static_cast<std::uint64_t>(elapsed_ms) / 1000) {
      expired = true;
      how = "too_slow";
    }
  }
  if (!expired) return arm_timer();
  log::info("scp", "connection_timed_out", {{"association", identity_.association_id}, {"address", address_text_}, {"how", how}});
  if (phase_ == Phase::open && associated_ && writing_.empty()) {
    // The peer learns why, if it still listens; the write has its own deadline.
    send_last(association_.abort(abort_reason::not_specified), how);
    return arm_timer();
  }
  close(how);
}

}  // namespace choana::scp
