#include "scp/dimse_service.h"

#include "core/unique_identifier.h"
#include "scp/dimse_status.h"
#include "scp/sop_classes.h"

namespace choana::scp {
namespace {

// A report on some ten thousand instances.
constexpr std::size_t report_bytes_max = 8 * 1024 * 1024;
// What is read and dropped after a command that was refused at once.
constexpr std::uint64_t dropped_bytes_max = std::uint64_t{64} * 1024 * 1024;

DimseService::GiveUp give_up(std::string reason) { return {abort_reason::by_user, std::move(reason)}; }

}  // namespace

DimseService::DimseService(InstanceSpool& spool, const StorageLimits& limits, const Clock& clock, AssociationIdentity peer)
    : spool_(spool), limits_(limits), clock_(clock), peer_(std::move(peer)) {}

DimseCommand DimseService::response_to(const DimseCommand& request, std::uint16_t status) const {
  DimseCommand response;
  response.command_field = static_cast<std::uint16_t>(request.command_field | dimse_command::response_bit);
  response.message_id_responded_to = request.message_id;
  response.status = status;
  // Echoed only where it is what it should be: nothing odd goes back to the wire.
  if (is_valid_uid(request.affected_sop_class_uid)) response.affected_sop_class_uid = request.affected_sop_class_uid;
  if (is_valid_uid(request.affected_sop_instance_uid)) response.affected_sop_instance_uid = request.affected_sop_instance_uid;
  return response;
}

DimseService::Reaction DimseService::on_fragment(const Fragment& fragment, const AcceptedContext& context) {
  if (inside_message() && fragment.context_id != context_id_) return give_up("A message continued on another presentation context.");
  context_id_ = fragment.context_id;
  message_bytes_ += fragment.bytes.size();
  if (fragment.is_command) {
    if (expecting_data_) return give_up("A command came in the middle of a data set.");
    if (command_bytes_.size() + fragment.bytes.size() > command_bytes_max) return give_up("A command set is longer than the limit.");
    command_bytes_.insert(command_bytes_.end(), fragment.bytes.begin(), fragment.bytes.end());
    return fragment.is_last ? on_command(context) : Reaction{Proceed{}};
  }
  if (!expecting_data_) return give_up("A data set came without its command.");
  if (store_) {
    store_->write(fragment.bytes);
    if (store_->endless()) {
      store_.reset();
      return give_up("A data set does not end.");
    }
  } else if (collecting_report_) {
    if (report_.size() + fragment.bytes.size() > report_bytes_max) return give_up("A report is longer than the limit.");
    report_.insert(report_.end(), fragment.bytes.begin(), fragment.bytes.end());
  } else if (message_bytes_ > dropped_bytes_max + command_bytes_max) {
    return give_up("A data set that was refused does not end.");
  }
  return fragment.is_last ? on_data_end() : Reaction{Proceed{}};
}

DimseService::Reaction DimseService::on_command(const AcceptedContext& context) {
  auto decoded = decode_command(command_bytes_);
  command_bytes_.clear();
  if (!decoded) return give_up(decoded.error().message);
  request_ = std::move(*decoded);
  if (request_.command_field == dimse_command::cancel_request) {
    // Nothing runs that could be cancelled; PS3.7 knows no response to a C-CANCEL.
    message_bytes_ = 0;
    return request_.has_data_set ? Reaction{give_up("A C-CANCEL announced a data set.")} : Reaction{Proceed{}};
  }
  if ((request_.command_field & dimse_command::response_bit) != 0) return give_up("A response came to a request that was never made.");
  if (!request_.message_id) return give_up("A request has no message ID.");

  transfer_syntax_ = context.transfer_syntax;
  DimseCommand answer = response_to(request_, dimse_status::success);
  const bool class_matches = request_.affected_sop_class_uid == context.abstract_syntax;
  const bool is_verification = context.abstract_syntax == verification_class;
  const bool is_commitment = context.abstract_syntax == storage_commitment_push_class;
  std::optional<StoreRefusal> refusal;
  const auto refuse = [&](std::uint16_t status, std::string reason, std::string comment) {
    answer.status = status;
    answer.error_comment = comment;
    refusal = StoreRefusal{status, std::move(reason), std::move(comment)};
  };
  bool stores = false;
  bool reports = false;
  switch (request_.command_field) {
    case dimse_command::echo_request:
      if (!is_verification) {
        refuse(dimse_status::sop_class_not_supported, "class_of_context", "C-ECHO on a context that is not for verification");
      } else if (!class_matches) {
        refuse(dimse_status::sop_class_not_supported, "class_of_context", "SOP class differs from that of the presentation context");
      }
      break;
    case dimse_command::store_request:
      if (is_verification || is_commitment) {
        refuse(dimse_status::sop_class_not_supported, "class_of_context", "C-STORE on a context that is not for storage");
      } else if (!request_.has_data_set) {
        refuse(dimse_status::cannot_understand, "no_data_set", "C-STORE without a data set");
      } else {
        stores = true;
      }
      break;
    case dimse_command::event_report_request:
      answer.event_type_id = request_.event_type_id;
      if (!is_commitment) {
        refuse(dimse_status::unrecognised_operation, "unknown_command", "This operation is not offered");
      } else if (!class_matches) {
        refuse(dimse_status::sop_class_not_supported, "class_of_context", "SOP class differs from that of the presentation context");
      } else {
        reports = request_.has_data_set;
        if (!reports) refuse(dimse_status::mistyped_argument, "no_data_set", "N-EVENT-REPORT without a data set");
      }
      break;
    default: refuse(dimse_status::unrecognised_operation, "unknown_command", "This operation is not offered"); break;
  }
  if (!request_.has_data_set) {
    message_bytes_ = 0;
    return Respond{context_id_, std::move(answer), std::move(refusal)};
  }
  expecting_data_ = true;
  if (stores) {
    store_ = std::make_unique<StoreOperation>(spool_, limits_, clock_, request_, context, peer_);
  } else if (reports) {
    collecting_report_ = true;
    report_.clear();
  } else {
    answer_after_data_ = std::move(answer);
  }
  return Proceed{};
}

DimseService::Reaction DimseService::on_data_end() {
  expecting_data_ = false;
  message_bytes_ = 0;
  if (store_) {
    auto outcome = store_->finish();
    store_.reset();
    if (!outcome) {
      DimseCommand response = response_to(request_, outcome.error().status);
      response.error_comment = outcome.error().comment;
      return Respond{context_id_, std::move(response), std::move(outcome.error())};
    }
    return Commit{context_id_, std::move(*outcome), response_to(request_, dimse_status::success), response_to(request_, dimse_status::out_of_resources)};
  }
  if (std::exchange(collecting_report_, false)) {
    DimseCommand response = response_to(request_, dimse_status::success);
    response.event_type_id = request_.event_type_id;
    return EventReport{context_id_, request_, transfer_syntax_, std::move(report_), std::move(response)};
  }
  DimseCommand response = std::move(*answer_after_data_);
  answer_after_data_.reset();
  StoreRefusal refusal{response.status.value_or(0), "refused", response.error_comment};
  const bool refused = refusal.status != 0;
  return Respond{context_id_, std::move(response), refused ? std::optional(std::move(refusal)) : std::nullopt};
}

}  // namespace choana::scp
