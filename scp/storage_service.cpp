#include "scp/storage_service.h"

#include "core/unique_identifier.h"
#include "scp/dimse_status.h"
#include "scp/sop_classes.h"

namespace choana::scp {
namespace {

constexpr std::uint64_t space_check_interval_bytes = 8 * 1024 * 1024;

}  // namespace

StoreOperation::StoreOperation(InstanceSpool& spool, const StorageLimits& limits, const Clock& clock, const DimseCommand& command,
                               const AcceptedContext& context, const AssociationIdentity& peer)
    : spool_(spool), limits_(limits), clock_(clock), peer_(peer), sop_class_uid_(command.affected_sop_class_uid),
      sop_instance_uid_(command.affected_sop_instance_uid) {
  if (sop_class_uid_ != context.abstract_syntax) {
    refuse(dimse_status::sop_class_not_supported, "class_of_context", "SOP class differs from that of the presentation context");
    return;
  }
  if (!is_valid_uid(sop_instance_uid_)) {
    refuse(dimse_status::invalid_sop_instance, "invalid_uid", "Affected SOP Instance UID is not a UID");
    return;
  }
  if (auto status = [&]() -> Status {
        auto free = spool_.free_bytes();
        if (!free) return fail(free.error());
        if (*free < limits_.disk_reserve_bytes) return fail(ErrorCode::disk_full, "store", "The spool's disk is full.");
        return {};
      }(); !status) {
    refuse(status.error());
    return;
  }
  auto file = spool_.begin({sop_class_uid_, sop_instance_uid_, context.transfer_syntax, peer.calling_ae_title, peer.called_ae_title,
                            peer.peer_address, peer.association_id},
                           clock_.wall_ms());
  if (!file) {
    refuse(file.error());
    return;
  }
  file_ = std::move(*file);
  ScannerLimits scanner_limits;
  scanner_limits.bytes_max = limits_.object_max_bytes;
  scanner_limits.references_max = limits_.references_max;
  scanner_limits.collect_references = collects_references(sop_class_uid_);
  scanner_ = std::make_unique<DatasetScanner>(context.transfer_syntax, scanner_limits);
  next_space_check_ = space_check_interval_bytes;
}

void StoreOperation::refuse(std::uint16_t status, std::string reason, std::string comment, bool machine_failed) {
  if (!refusal_) refusal_ = StoreRefusal{status, std::move(reason), std::move(comment), machine_failed};
  file_.reset();
  scanner_.reset();
}

void StoreOperation::refuse(const Error& error) {
  std::string comment = error.message.substr(0, 64);
  const bool machine_failed = error.code == ErrorCode::io_error;
  if (machine_failed) comment = "The receiver cannot write to its disk";
  refuse(status_of(error.code), std::string(to_string(error.code)), std::move(comment), machine_failed);
}

void StoreOperation::write(ByteView bytes) {
  bytes_ += bytes.size();
  if (refusal_) return;
  if (bytes_ > limits_.object_max_bytes) return refuse(dimse_status::out_of_resources, "object_too_large", "The data set is larger than the receiver's limit");
  if (bytes_ >= next_space_check_) {
    next_space_check_ = bytes_ + space_check_interval_bytes;
    if (const auto free = spool_.free_bytes(); free && *free < limits_.disk_reserve_bytes) {
      return refuse(dimse_status::out_of_resources, "disk_full", "The receiver's disk is full");
    }
  }
  if (auto status = scanner_->feed(bytes); !status) return refuse(status.error());
  if (auto status = file_->write(bytes); !status) return refuse(status.error());
}

bool StoreOperation::endless() const {
  return bytes_ > limits_.object_max_bytes && bytes_ - limits_.object_max_bytes > limits_.discard_max_bytes;
}

tl::expected<StoreOperation::Stored, StoreRefusal> StoreOperation::finish() {
  Stored stored;
  if (!refusal_) {
    if (auto status = scanner_->finish(); !status) refuse(status.error());
  }
  if (!refusal_) {
    ReceivedInstance& instance = stored.instance;
    scanner_->describe(instance);
    if (instance.sop_class_uid != sop_class_uid_) {
      refuse(dimse_status::data_set_mismatch, "class_mismatch", "SOP Class UID of data set and command differ");
    } else if (instance.sop_instance_uid != sop_instance_uid_) {
      refuse(dimse_status::data_set_mismatch, "uid_mismatch", "SOP Instance UID of data set and command differ");
    } else if (!is_valid_uid(instance.study_instance_uid)) {
      refuse(dimse_status::data_set_mismatch, "study_uid", "Study Instance UID is missing or not a UID");
    } else if (!is_valid_uid(instance.series_instance_uid)) {
      refuse(dimse_status::data_set_mismatch, "series_uid", "Series Instance UID is missing or not a UID");
    }
  }
  if (!refusal_) {
    auto completed = file_->complete(clock_.wall_ms());
    if (!completed) {
      refuse(completed.error());
    } else {
      ReceivedInstance& instance = stored.instance;
      instance.receive_id = completed->receive_id;
      instance.spool_file = std::move(completed->spool_file);
      instance.sha256 = std::move(completed->sha256);
      instance.size_bytes = completed->size_bytes;
      instance.received_at_ms = completed->received_at_ms;
      instance.calling_ae_title = peer_.calling_ae_title;
      instance.called_ae_title = peer_.called_ae_title;
      instance.peer_address = peer_.peer_address;
      instance.association_id = peer_.association_id;
      stored.file_descriptor = completed->file_descriptor;
      return stored;
    }
  }
  return tl::unexpected<StoreRefusal>(std::move(*refusal_));
}

}  // namespace choana::scp
