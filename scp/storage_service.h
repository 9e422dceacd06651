#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/received_instance.h"
#include "scp/dataset_scanner.h"
#include "scp/dimse_command.h"
#include "scp/instance_spool.h"
#include "scp/upper_layer/presentation_context.h"

namespace choana::scp {

/// Who is at the other end of an association.
struct AssociationIdentity {
  std::int64_t association_id = 0;
  std::string calling_ae_title;
  std::string called_ae_title;
  std::string peer_address;
};

/// Why a C-STORE was not accepted.
struct StoreRefusal {
  std::uint16_t status = 0;
  std::string reason;   // one word for metrics and logs: "truncated", "uid_mismatch", ...
  std::string comment;  // for the sender, at most 64 characters, no value of the data set
  bool machine_failed = false;  // an I/O error that is not "disk full": the process should end
};

struct StorageLimits {
  std::uint64_t object_max_bytes = std::uint64_t{2048} * 1024 * 1024;
  std::uint64_t discard_max_bytes = std::uint64_t{64} * 1024 * 1024;  // read beyond the limit to keep an association alive
  std::uint64_t disk_reserve_bytes = std::uint64_t{512} * 1024 * 1024;
  std::size_t references_max = 20000;
};

/// One C-STORE under way: the data set streams through the scanner into the spool and is never held. The first reason
/// to refuse is remembered; the rest of the data set is then read and dropped, so that the association lives on.
class StoreOperation {
 public:
  StoreOperation(InstanceSpool& spool, const StorageLimits& limits, const Clock& clock, const DimseCommand& command,
                 const AcceptedContext& context, const AssociationIdentity& peer);

  void write(ByteView bytes);
  /// More came than may even be dropped: abort the association.
  [[nodiscard]] bool endless() const;

  struct Stored {
    ReceivedInstance instance;
    int file_descriptor = -1;
  };
  /// The data set is complete: the file to commit, or why not.
  [[nodiscard]] tl::expected<Stored, StoreRefusal> finish();

 private:
  void refuse(std::uint16_t status, std::string reason, std::string comment, bool machine_failed = false);
  void refuse(const Error& error);

  InstanceSpool& spool_;
  const StorageLimits& limits_;
  const Clock& clock_;
  AssociationIdentity peer_;
  std::string sop_class_uid_;
  std::string sop_instance_uid_;
  std::unique_ptr<SpoolFile> file_;
  std::unique_ptr<DatasetScanner> scanner_;
  std::optional<StoreRefusal> refusal_;
  std::uint64_t bytes_ = 0;
  std::uint64_t next_space_check_ = 0;
};

}  // namespace choana::scp
