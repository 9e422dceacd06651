#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "scp/dimse_command.h"
#include "scp/storage_service.h"
#include "scp/upper_layer/pdu.h"

namespace choana::scp {

/// The messages of one association (PS3.7): collects command sets, streams data sets to their operation, says what to do
/// next. One command at a time, as negotiated (asynchronous window 1/1). No socket, no clock of its own.
class DimseService {
 public:
  struct Proceed {};
  /// Send this response on that context.
  struct Respond {
    std::uint8_t context_id = 0;
    DimseCommand response;
    std::optional<StoreRefusal> refusal;
  };
  /// Make the file durable, then send `success` (or `failure`).
  struct Commit {
    std::uint8_t context_id = 0;
    StoreOperation::Stored stored;
    DimseCommand success;
    DimseCommand failure;
  };
  /// A storage commitment report came whole: hand it on, then send the response.
  struct EventReport {
    std::uint8_t context_id = 0;
    DimseCommand request;
    std::string transfer_syntax_uid;
    Bytes data_set;
    DimseCommand response;
  };
  /// The peer broke PS3.7: abort.
  struct GiveUp {
    Abort abort;
    std::string reason;
  };
  using Reaction = std::variant<Proceed, Respond, Commit, EventReport, GiveUp>;

  DimseService(InstanceSpool& spool, const StorageLimits& limits, const Clock& clock, AssociationIdentity peer);

  [[nodiscard]] Reaction on_fragment(const Fragment& fragment, const AcceptedContext& context);

  /// A command or data set has begun and not ended.
  [[nodiscard]] bool inside_message() const { return !command_bytes_.empty() || expecting_data_; }
  /// Octets of the message under way.
  [[nodiscard]] std::uint64_t message_bytes() const { return message_bytes_; }

 private:
  Reaction on_command(const AcceptedContext& context);
  Reaction on_data_end();
  [[nodiscard]] DimseCommand response_to(const DimseCommand& request, std::uint16_t status) const;

  InstanceSpool& spool_;
  const StorageLimits& limits_;
  const Clock& clock_;
  AssociationIdentity peer_;

  Bytes command_bytes_;
  std::uint8_t context_id_ = 0;       // of the message under way
  bool expecting_data_ = false;
  DimseCommand request_;
  std::string transfer_syntax_;
  std::uint64_t message_bytes_ = 0;
  std::unique_ptr<StoreOperation> store_;
  std::optional<DimseCommand> answer_after_data_;  // the data set is read and dropped
  bool collecting_report_ = false;
  Bytes report_;
};

}  // namespace choana::scp
