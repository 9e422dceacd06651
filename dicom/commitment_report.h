#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"

namespace choana {

struct CommitmentItem {
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::uint16_t failure_reason = 0;  // (0008,1197), of a failed item
};

/// What an archive says it keeps (PS3.4 J.3.3).
struct CommitmentReport {
  std::string transaction_uid;
  std::vector<CommitmentItem> committed;  // Referenced SOP Sequence
  std::vector<CommitmentItem> failed;     // Failed SOP Sequence
};

/// Read the data set of an N-EVENT-REPORT. It comes from the network, so this is a bounded reader of its own, no
/// toolkit: at most 1 MiB, two levels, 10,000 items; other elements are skipped. Implicit and Explicit VR Little Endian.
/// Errors: unsupported_transfer_syntax, limit_exceeded, truncated, invalid_attribute, missing_attribute.
[[nodiscard]] Result<CommitmentReport> read_commitment_report(const std::string& transfer_syntax_uid, const std::vector<std::uint8_t>& data_set);

}  // namespace choana
