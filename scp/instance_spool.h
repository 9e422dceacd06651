#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/received_instance.h"
#include "core/result.h"
#include "core/sha256.h"
#include "scp/upper_layer/bytes.h"

namespace choana::scp {

/// Who sent an instance and as what: known before its first octet.
struct SpoolHeading {
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string transfer_syntax_uid;
  std::string calling_ae_title;
  std::string called_ae_title;
  std::string peer_address;
  std::int64_t association_id = 0;
};

/// The 128 octets of the Part 10 preamble, which PS3.10 7.1 leaves to the application. Little endian:
///   0 magic "CHOANASP" | 8 version u32 = 1 | 12 receive id u64 | 20 total file length u64 | 28 CRC-32C of all octets from
///   128 on u32 | 32 receive time, Unix ms i64 | 40 association i64 | 48 peer address, 16 octets | 64 zeros |
///   124 CRC-32C of octets 0..123 u32.
/// It is written last: a file without it was never acknowledged.
struct SpoolPreamble {
  std::uint64_t receive_id = 0;
  std::uint64_t file_bytes = 0;
  std::uint32_t content_crc = 0;
  std::int64_t received_at_ms = 0;
  std::int64_t association_id = 0;
  std::string peer_address;
};
inline constexpr std::size_t preamble_bytes = 128;
[[nodiscard]] Bytes encode(const SpoolPreamble& preamble);
/// Errors: not_dicom (not ours), invalid_attribute (damaged).
[[nodiscard]] Result<SpoolPreamble> decode_preamble(ByteView bytes);

class InstanceSpool;

/// One file under way: `.part` until `complete`. Destroyed before that, it leaves nothing behind.
class SpoolFile {
 public:
  ~SpoolFile();
  SpoolFile(const SpoolFile&) = delete;
  SpoolFile& operator=(const SpoolFile&) = delete;

  /// Errors: disk_full, io_error; the file is then useless.
  [[nodiscard]] Status write(ByteView bytes);

  /// What is needed to make the completed file durable.
  struct Completed {
    std::uint64_t receive_id = 0;
    std::string spool_file;           // relative to the spool
    std::string sha256;               // of the data set
    std::uint64_t size_bytes = 0;
    std::int64_t received_at_ms = 0;
    int file_descriptor = -1;         // open, owned by the caller
  };
  /// Write the rest and the preamble, rename to `.dcm`. Not durable yet: hand it to the committer.
  [[nodiscard]] Result<Completed> complete(std::int64_t received_at_ms);

  [[nodiscard]] std::uint64_t data_set_bytes() const { return data_set_bytes_; }

 private:
  friend class InstanceSpool;
  SpoolFile(InstanceSpool& spool, std::uint64_t receive_id, std::string bucket, int directory, int file, SpoolHeading heading);
  Status flush(ByteView extra);

  InstanceSpool& spool_;
  std::uint64_t receive_id_;
  std::string bucket_;
  int directory_;
  int file_;
  SpoolHeading heading_;
  Bytes pending_;
  Sha256 hash_;
  std::uint32_t crc_ = 0;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t data_set_bytes_ = 0;
  bool completed_ = false;
};

/// The folder in which received instances become durable. The file is the record: names come from our own running
/// number, `<hour>/<receive id>.part` then `.dcm`, and a power cut at any point leaves either a whole file or none that
/// was acknowledged. Thread-safe.
class InstanceSpool {
 public:
  struct Settings {
    std::filesystem::path directory;
    std::filesystem::path quarantine;
    std::uint64_t first_receive_id = 1;          // at least one more than the job store has seen
    std::int64_t verify_content_after_ms = 0;    // Unix time: the CRC of files written earlier is not checked at start
    /// True for a receive id that the job store holds a row for: its file is checked for its length only and not
    /// adopted, so that a start does not read the whole archive. Unset: every file is scanned and adopted.
    std::function<bool(std::uint64_t receive_id)> is_recorded;
    std::uint64_t object_max_bytes = std::uint64_t{2048} * 1024 * 1024;
  };
  struct Recovery {
    std::vector<ReceivedInstance> adopted;         // every sound file not recorded yet, in the order of receipt
    std::size_t recorded = 0;                      // sound files that the job store knows
    std::vector<std::string> quarantined;          // names of files that were moved to quarantine
    std::size_t partial_removed = 0;
  };

  /// Opens the folder (creating it), removes `.part` files, checks `.dcm` files: length always, contents for those newer
  /// than the mark; damaged ones move to quarantine. Errors: io_error, invalid_settings.
  static Result<std::unique_ptr<InstanceSpool>> open(Settings settings, Recovery* recovery = nullptr);
  ~InstanceSpool();

  /// Begin a file with preamble space and meta header (PS3.10 7.1). Errors: disk_full, io_error.
  [[nodiscard]] Result<std::unique_ptr<SpoolFile>> begin(SpoolHeading heading, std::int64_t wall_ms);

  /// Create this hour's and the next hour's folder and make them durable, ahead of need. Errors: io_error, disk_full.
  [[nodiscard]] Status prepare_buckets(std::int64_t wall_ms);

  /// Octets free for us on the spool's file system. Errors: io_error.
  [[nodiscard]] Result<std::uint64_t> free_bytes() const;

  [[nodiscard]] int directory_descriptor() const { return directory_; }
  /// Remove one file of the spool (retention). Errors: not_found, io_error.
  [[nodiscard]] Status remove(const std::string& spool_file);

 private:
  friend class SpoolFile;
  explicit InstanceSpool(Settings settings);
  Result<int> bucket_descriptor(const std::string& bucket);
  Status reserve_receive_ids(std::uint64_t first);
  Status recover(Recovery& recovery);

  Settings settings_;
  int directory_ = -1;
  std::mutex mutex_;
  std::uint64_t next_receive_id_ = 1;
  std::uint64_t reserved_until_ = 0;
  struct Bucket {
    std::string name;
    int descriptor;
  };
  std::vector<Bucket> buckets_;  // the few newest, open
};

/// Length and preamble of a file of the spool. Errors: as for `read_spool_file`, without the scanner's.
[[nodiscard]] Result<SpoolPreamble> check_spool_file(const std::filesystem::path& spool, const std::string& spool_file);

/// Describe a file of the spool by scanning it: for recovery and for tools. Errors: of the preamble and the scanner.
[[nodiscard]] Result<ReceivedInstance> read_spool_file(const std::filesystem::path& spool, const std::string& spool_file, bool verify_content,
                                                       std::uint64_t object_max_bytes);

}  // namespace choana::scp
