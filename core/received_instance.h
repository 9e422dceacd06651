#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/acquired_slice.h"

namespace choana {

/// One instance that lies durably in the spool. Filled by the bounded scanner while the data set streamed past;
/// nothing here has been parsed by a DICOM toolkit, and every string is limited and may be malformed text.
struct ReceivedInstance {
  std::uint64_t receive_id = 0;
  std::string spool_file;                // relative to the spool folder
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string patient_key;               // see core/clinical_value.h; the Patient ID itself is not kept
  std::string transfer_syntax_uid;
  std::string calling_ae_title;
  std::string called_ae_title;
  std::string peer_address;
  std::string sha256;                    // of the data set bytes as received, hex
  std::uint64_t size_bytes = 0;          // of the file
  std::int64_t received_at_ms = 0;       // Unix time
  std::int64_t association_id = 0;       // our own running number
  int series_number = 0;
  int instance_number = 0;
  AcquisitionFacts acquisition;          // what the scanner saw at the top level
  std::vector<std::string> referenced_sop_instance_uids;  // of an RTSTRUCT or SEG, bounded
  bool references_complete = true;       // false when the bound was reached
};

}  // namespace choana
