#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace choana {

/// Where a socket listens: an IP address literal and a port; port 0 = any free one.
struct ListenAddress {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;

  /// True for 127.0.0.0/8 and ::1.
  [[nodiscard]] bool is_loopback() const;
  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

/// "127.0.0.1:8080", "[::1]:8080".
[[nodiscard]] std::string to_string(const ListenAddress& address);

/// PEM files of one TLS side. The key may be a systemd credential.
struct TlsFiles {
  std::filesystem::path certificate_file;
  std::filesystem::path key_file;
  std::filesystem::path trusted_file;  // certificate authorities that sign our peers

  friend bool operator==(const TlsFiles&, const TlsFiles&) = default;
};

struct IdentitySettings {
  std::string ae_title = "CHOANA";
  std::filesystem::path state_dir = "/var/lib/choana";
  std::string language = "en";  // en | zh: texts of reports

  [[nodiscard]] std::filesystem::path spool_dir() const { return state_dir / "spool"; }
  [[nodiscard]] std::filesystem::path work_dir() const { return state_dir / "work"; }
  [[nodiscard]] std::filesystem::path results_dir() const { return state_dir / "results"; }
  [[nodiscard]] std::filesystem::path quarantine_dir() const { return state_dir / "quarantine"; }
  [[nodiscard]] std::filesystem::path database_file() const { return state_dir / "choana.db"; }
  [[nodiscard]] std::filesystem::path ports_file() const { return state_dir / "ports.json"; }
};

/// A second port that speaks TLS only, with certificates on both sides (PS3.15 B.12).
struct ReceiveTlsSettings {
  ListenAddress listen{"0.0.0.0", 2762};
  TlsFiles files;
};

struct ReceiveSettings {
  ListenAddress listen{"127.0.0.1", 11112};
  int associations_max = 64;
  std::int64_t object_max_mib = 2048;
  bool accept_unknown_peers = false;
  std::vector<std::string> extra_sop_classes;  // stored and kept with their study, not analysed
  std::optional<ReceiveTlsSettings> tls;
};

/// Who may send. ae_title "*": any title from these networks.
struct PeerSettings {
  std::string name;
  std::string ae_title;
  std::vector<std::string> networks;  // CIDR, such as 10.1.0.0/16 or ::1/128
};

enum class StorageCommitmentMode { off, same_association, new_association };

/// Where results go.
struct DestinationSettings {
  std::string name;
  std::string ae_title;
  std::string host;
  std::uint16_t port = 104;
  bool tls = false;
  TlsFiles tls_files;  // with tls; files left out are those of [receive.tls]
  StorageCommitmentMode storage_commitment = StorageCommitmentMode::off;
};

/// Optional C-FIND that says how many instances a study has.
struct QuerySettings {
  std::string destination;
};

struct StudySettings {
  std::int64_t quiet_s = 60;
  std::int64_t deadline_s = 1800;
};

struct ProcessSettings {
  int workers = 1;
  int threads = 2;  // per worker
  std::int64_t memory_max_mib = 4096;
  std::int64_t wall_max_s = 1800;
};

struct PackageSettings {
  std::filesystem::path path;
  bool enabled = true;
};

/// [models]: what holds for every package.
struct ModelSettings {
  std::vector<std::string> trusted_keys;  // "ed25519:..." or PEM files, absolute; not empty: only packages that one of them signed are used
};

enum class SrSopClass { enhanced, comprehensive, comprehensive3d };

struct ReportSettings {
  SrSopClass sr_sop_class = SrSopClass::enhanced;
  bool not_analysed = true;  // send the short SR
  bool charts = true;
};

struct HttpSettings {
  std::optional<ListenAddress> listen = ListenAddress{"127.0.0.1", 8080};  // none: off
  std::filesystem::path token_file;                                        // empty: no token (loopback only)
};

struct StoreSettings {
  std::string url = "sqlite";  // sqlite | postgresql://...
};

struct RetentionSettings {
  std::int64_t inputs_days = 30;
  std::int64_t results_days = 365;
  std::int64_t disk_low_mib = 2048;     // below: no new associations
  std::int64_t disk_reserve_mib = 512;  // below: no C-STORE; kept for the store, results and outbox
};

struct LogSettings {
  std::string level = "info";  // debug | info | warn | error
};

/// Everything that choana.toml says, one struct per module, checked. Paths are absolute: relative ones are resolved
/// against the folder of the settings file.
struct NodeSettings {
  IdentitySettings node;
  ReceiveSettings receive;
  std::vector<PeerSettings> peers;
  std::vector<DestinationSettings> destinations;
  std::optional<QuerySettings> query;
  StudySettings study;
  ProcessSettings process;
  ModelSettings models;
  std::vector<PackageSettings> packages;
  ReportSettings report;
  HttpSettings http;
  StoreSettings store;
  RetentionSettings retention;
  LogSettings log;

  /// SHA-256 (hex) over the settings that shape a result ([report], [[package]], language), in a canonical order:
  /// what stands in result.json and in job keys. Ports, peers and log levels do not change it.
  std::string settings_sha256;

  /// The destination of that name, or nullptr.
  [[nodiscard]] const DestinationSettings* find_destination(const std::string& name) const;
};

[[nodiscard]] std::string_view to_string(StorageCommitmentMode mode);
[[nodiscard]] std::string_view to_string(SrSopClass sop_class);

}  // namespace choana
