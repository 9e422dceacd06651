#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "dicom/commitment_report.h"

namespace choana {

/// Who is called, by whom, and how long to wait.
struct PeerAddress {
  std::string called_ae_title;
  std::string calling_ae_title;
  std::string host;
  std::uint16_t port = 104;
  bool tls = false;
  std::filesystem::path certificate_file;  // with tls; PEM. Certificate and key may both be empty (anonymous client)
  std::filesystem::path key_file;
  std::filesystem::path trusted_file;
};

struct AssociationTimeouts {
  int connect_s = 5;
  int associate_s = 30;
  int response_s = 60;                        // plus the object's size over this floor
  std::int64_t floor_bytes_per_s = 100'000;
};

/// SCU for C-ECHO and C-STORE through DCMTK: one association at a time, one thread at a time. TCP_NODELAY is set on the
/// socket itself. Errors: connection_failed (not reachable, TLS, lost), timed_out, association_rejected (context
/// "permanent" or "transient" as the peer said), peer_refused (no accepted presentation context for this object).
class StoreClient {
 public:
  explicit StoreClient(PeerAddress peer, AssociationTimeouts timeouts = {});
  ~StoreClient();
  StoreClient(StoreClient&&) noexcept;
  StoreClient& operator=(StoreClient&&) noexcept;

  /// Verification on an association of its own (PS3.4 annex A).
  [[nodiscard]] Status echo();

  /// Associate, proposing for every (SOP class, transfer syntax) among these Part 10 files a context of its own, each
  /// uncompressed class also with Implicit VR Little Endian. At most 128 contexts. Errors of unreadable files: io_error, not_dicom.
  [[nodiscard]] Status connect(const std::vector<std::filesystem::path>& files);

  /// C-STORE of one file; returns the peer's status. After any error but peer_refused, io_error and not_dicom the
  /// association has been aborted and must not be used again.
  [[nodiscard]] Result<std::uint16_t> store(const std::filesystem::path& file);

  /// Ask the peer to take responsibility for these objects (PS3.4 annex J), on an association of its own. wait_s > 0: keep
  /// it open that long for the report; none if it has not come by then (it may still come to our own port).
  /// Errors: as connect; peer_refused also when the peer answers N-ACTION with a failure.
  [[nodiscard]] Result<std::optional<CommitmentReport>> request_commitment(const std::string& transaction_uid,
                                                                           const std::vector<CommitmentItem>& items, int wait_s);

  /// A-RELEASE; a peer that does not answer is aborted.
  void release();
  [[nodiscard]] bool connected() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace choana
