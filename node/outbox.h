#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/result.h"
#include "dicom/commitment_report.h"
#include "node/job_store.h"
#include "node/node_settings.h"

namespace choana {

/// What one attempt to deliver an object means (durability 4.5).
enum class DeliveryClass {
  delivered,      // 0000, the warnings Bxxx, 0107, 0116, and 0111: it has this very object already
  transient,      // try for ever: the peer is away, busy or full
  configuration,  // an operator must act; try every 15 minutes
  permanent,      // this object will not be taken; dead letter after three
};
[[nodiscard]] std::string_view to_string(DeliveryClass delivery_class);

/// Class of a C-STORE response status (PS3.4 B.2.3, PS3.7 annex C).
[[nodiscard]] DeliveryClass classify_status(std::uint16_t status);
/// Class of a failure to connect, associate or get an answer. peer_refused = no accepted presentation context (permanent);
/// association_rejected with context "permanent" = configuration.
[[nodiscard]] DeliveryClass classify_error(const Error& error);

/// Wait before the next try: 1 s x 2^failures up to 15 min, times 0.8 to 1.2. The jitter is a function of (seed,
/// failures), so a restart does not change it. failures >= 1.
[[nodiscard]] std::int64_t backoff_ms(int failures, std::uint64_t seed);

inline constexpr std::int64_t configuration_retry_ms = 15 * 60 * 1000;
inline constexpr int refusals_max = 3;
/// A transient failure becomes a dead letter only after both: a clock that jumps cannot expire anything.
inline constexpr std::int64_t transient_age_max_ms = 14LL * 24 * 3600 * 1000;
inline constexpr int transient_attempts_min = 1000;
inline constexpr std::int64_t probe_interval_ms = 30 * 1000;
/// storage_commitment = "same": how long an association stays open for its report.
inline constexpr int commitment_report_wait_s = 20;

/// One association to a destination; one thread uses it at a time.
class Sender {
 public:
  virtual ~Sender() = default;
  /// Open an association that proposes a context for each SOP class of these objects (files: absolute paths).
  [[nodiscard]] virtual Status connect(const std::vector<std::filesystem::path>& files) = 0;
  /// Send one file; the peer's status. An error other than peer_refused means that the association is gone.
  [[nodiscard]] virtual Result<std::uint16_t> send(const std::filesystem::path& file) = 0;
  virtual void release() = 0;
  /// C-ECHO on an association of its own.
  [[nodiscard]] virtual Status probe() = 0;
  /// N-ACTION for storage commitment on an association of its own; wait_s: how long to wait there for the report.
  [[nodiscard]] virtual Result<std::optional<CommitmentReport>> request_commitment(const std::string& transaction_uid,
                                                                                   const std::vector<CommitmentItem>& items, int wait_s) = 0;
};
using SenderFactory = std::function<std::unique_ptr<Sender>(const DestinationSettings&)>;

/// What the outbox tells others: called from its threads after the store has committed.
struct OutboxEvents {
  std::function<void(const Delivery&, std::uint16_t status)> delivered;
  std::function<void(const Delivery&, const DeliveryFailure&)> failed;
};

/// Delivers what the store holds: one queue and thread per destination, so that a dead one delays nobody; one
/// association per burst. Rows are marked `sending` before and `delivered` after, each durably: a crash in between
/// sends identical bytes again.
class Outbox {
 public:
  Outbox(JobStore& store, std::vector<DestinationSettings> destinations, std::filesystem::path results_dir,
         SenderFactory make_sender, const Clock& clock, OutboxEvents events = {});
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  /// One pass over one destination, in the calling thread: send what is due. Returns the Unix time in ms when the next
  /// pass makes sense, or none when nothing waits. (The threads call this; tests do, too.)
  [[nodiscard]] Result<std::optional<std::int64_t>> run_once(const std::string& destination);

  /// A storage commitment report that came to our port (PS3.4 J.3.3), its data set as received. Returns whether it is
  /// durably taken; false asks the peer to try again.
  [[nodiscard]] bool take_commitment_report(const std::string& transfer_syntax_uid, const std::vector<std::uint8_t>& data_set);

  /// Start a thread per destination.
  void start();
  /// New rows may be there.
  void notify();
  /// Let the object in flight end, then release and join. What was not sent stays in the store.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace choana
