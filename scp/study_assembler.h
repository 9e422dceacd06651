#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/received_instance.h"

namespace choana::scp {

/// All of a study as it stands: the instances a new revision would hold. References are valid during the call only.
struct StudySnapshot {
  const std::string& study_instance_uid;
  int revision;                                        // the one that would be closed
  const std::vector<ReceivedInstance>& instances;      // one for each SOP Instance UID, in the order of receipt
};

/// What the pipeline still needs of a study.
struct Readiness {
  bool ready = false;
  /// Ready because nothing particular is required (radiomics of whatever a ROI binds to): only the quiet period can tell
  /// that the study has ended. False: the evidence itself is complete, and a short settling time is enough.
  bool needs_quiet_period = false;
  std::vector<std::string> waiting_for;                // one sentence each, empty when ready
};

/// Why a revision was closed.
enum class CloseReason {
  evidence_complete,  // all required roles and regions, and every instance the regions name, are here
  quiet_period,       // nothing particular is required, and nothing came for the quiet period
  deadline,           // evidence is missing still; `waiting_for` says what
};
[[nodiscard]] std::string_view to_string(CloseReason reason);

struct ClosedStudy {
  std::string study_instance_uid;
  int revision = 1;
  CloseReason reason = CloseReason::deadline;
  std::vector<std::string> waiting_for;
  std::vector<ReceivedInstance> instances;    // all of the revision, earlier revisions' included
  std::vector<ReceivedInstance> conflicting;  // other contents under the UID of one of them: kept aside, not used
};

/// What became of an instance.
enum class Arrival {
  added,         // new to its study
  duplicate,     // the same octets were here already: nothing changes
  conflicting,   // the same SOP Instance UID with other octets: the first is kept for analysis, this one aside
  not_an_input,  // kept with its study; neither opens a revision nor delays one (our own results coming back)
};
[[nodiscard]] std::string_view to_string(Arrival arrival);

/// Decides when a study is complete enough to be analysed. A plain state machine: no thread, no clock, no disk; times are
/// milliseconds of one monotonic clock, passed in.
///
/// A revision closes when
///   1. its evidence is complete, nothing came for the settling time (2 s, or the quiet period if that is shorter), and
///      no open association holds it; or
///   2. nothing particular is required, and nothing came for the quiet period, and no open association holds it; or
///   3. nothing came for the deadline (default 30 min): then with the verdict what is missing.
/// An association holds a study from its first instance until it closes, or until it has sent nothing to the study for
/// `hold`: routers keep associations open for ever. The end of an association is never the end of a study.
/// An instance that comes later opens the next revision, which holds everything. Same octets again change nothing.
class StudyAssembler {
 public:
  struct Settings {
    std::int64_t quiet_ms = 60'000;
    std::int64_t deadline_ms = 1'800'000;
    std::int64_t settle_ms = 2'000;
    std::int64_t hold_ms = 300'000;
    /// A closed study is dropped from memory after this; `load` brings it back when more of it comes.
    std::int64_t forget_ms = 3'600'000;
  };
  /// The last closed revision of a study and everything received for it, as the job store has it.
  struct StoredStudy {
    std::vector<ReceivedInstance> instances;         // in the order of receipt, also those no revision holds yet
    int closed_revision = 0;                         // 0: none yet
    std::set<std::uint64_t> closed_receive_ids;      // what that revision holds
  };
  struct Hooks {
    /// Required. Asked when a study could close, not at each instance.
    std::function<Readiness(const StudySnapshot&)> readiness;
    /// Is this instance input of the pipeline? Unset: MR images, RTSTRUCT and SEG are. Say no to our own results.
    std::function<bool(const ReceivedInstance&)> is_input;
    /// What the job store knows of a study that is not in memory. Unset: nothing.
    std::function<std::optional<StoredStudy>(const std::string& study_instance_uid)> load;
  };

  StudyAssembler(Settings settings, Hooks hooks);

  /// Times and hooks may change while studies are open.
  void configure(Settings settings) { settings_ = settings; }

  Arrival on_instance(const ReceivedInstance& instance, std::int64_t now_ms);
  void on_association_open(std::int64_t association_id);
  /// The studies need not be named: the instances told.
  void on_association_closed(std::int64_t association_id, std::int64_t now_ms);
  /// Something outside changed what `readiness` would say (a query came back, a package was enabled).
  void reconsider(const std::string& study_instance_uid);
  void reconsider_all();

  /// Rebuild one study after a restart. Instances that the closed revision does not hold open the next one; its times
  /// begin at `now_ms`. Associations of before the restart hold nothing.
  void restore(const std::string& study_instance_uid, StoredStudy stored, std::int64_t now_ms);

  /// The studies that close now, each exactly once. Call it at the times `next_due_ms` names, or every second.
  [[nodiscard]] std::vector<ClosedStudy> take_complete(std::int64_t now_ms);
  /// When `take_complete` may next have something to say; empty when nothing waits.
  [[nodiscard]] std::optional<std::int64_t> next_due_ms() const;

  struct Waiting {
    std::string study_instance_uid;
    int revision = 1;
    std::size_t instances = 0;
    std::int64_t last_instance_ms = 0;
    std::int64_t deadline_ms = 0;
    bool held_by_association = false;
    std::vector<std::string> waiting_for;  // as of the last time readiness was asked
  };
  /// The open revisions, for the status page.
  [[nodiscard]] std::vector<Waiting> waiting(std::int64_t now_ms) const;
  /// Drop a study (retention removed its files).
  void forget(const std::string& study_instance_uid);
  [[nodiscard]] std::size_t studies_in_memory() const { return studies_.size(); }

 private:
  struct Study {
    std::vector<ReceivedInstance> instances;
    std::vector<ReceivedInstance> conflicting;
    std::unordered_map<std::string, std::size_t> by_sop_uid;  // into instances
    int closed_revision = 0;
    bool open = false;                      // a revision is being collected
    std::int64_t last_instance_ms = 0;      // of an input
    std::int64_t closed_at_ms = 0;
    std::map<std::int64_t, std::int64_t> holders;  // association -> time it last sent to this study
    std::optional<Readiness> readiness;     // of the present instances; empty: to be asked
  };
  Arrival add(Study& study, const ReceivedInstance& instance);
  [[nodiscard]] bool is_input(const ReceivedInstance& instance) const;
  [[nodiscard]] std::optional<std::int64_t> held_until(const Study& study) const;
  [[nodiscard]] std::int64_t settle_ms() const;
  [[nodiscard]] std::int64_t earliest_close_ms(const Study& study) const;

  Settings settings_;
  Hooks hooks_;
  std::map<std::string, Study> studies_;
  std::set<std::int64_t> open_associations_;
};

}  // namespace choana::scp
