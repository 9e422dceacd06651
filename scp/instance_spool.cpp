#include "scp/instance_spool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <ctime>

#include "core/unique_identifier.h"
#include "scp/association_policy.h"
#include "scp/crc32c.h"
#include "scp/dataset_scanner.h"
#include "scp/sop_classes.h"
#include "scp/upper_layer/presentation_context.h"

namespace choana::scp {
namespace {

constexpr std::string_view magic = "CHOANASP";
constexpr std::uint32_t preamble_version = 1;
constexpr std::size_t pending_bytes_max = 64 * 1024;
constexpr std::uint64_t receive_id_block = 1'000'000;
constexpr const char* receive_id_file = "next-receive-id";
constexpr std::size_t open_buckets_max = 4;
constexpr std::string_view step = "spool";

tl::unexpected<Error> system_failure(const std::string& what) {
  const int number = errno;
  ErrorCode code = ErrorCode::io_error;
  if (number == ENOSPC || number == EDQUOT) code = ErrorCode::disk_full;
  // Nothing is wrong with the disk: the sender may try again, the process need not end.
  if (number == EMFILE || number == ENFILE || number == ENOMEM) code = ErrorCode::out_of_memory;
  return fail(code, std::string(step), what + " in the spool folder failed: " + std::strerror(number) + ".");
}

void put_u16(Bytes& out, std::uint64_t v) {
  out.push_back(static_cast<std::uint8_t>(v & 0xFF));
  out.push_back(static_cast<std::uint8_t>((v >> 8) & 0xFF));
}
void put_u32(Bytes& out, std::uint64_t v) {
  put_u16(out, v & 0xFFFF);
  put_u16(out, (v >> 16) & 0xFFFF);
}
void put_u64(Bytes& out, std::uint64_t v) {
  put_u32(out, v & 0xFFFFFFFF);
  put_u32(out, v >> 32);
}
std::uint64_t get(ByteView bytes, std::size_t at, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = count; i-- > 0;) value = (value << 8) | bytes[at + i];
  return value;
}

// One element of the meta header: explicit VR little endian (PS3.10 7.1).
void put_meta(Bytes& out, std::uint16_t element, std::string_view vr, std::string_view value) {
  const char padding = vr == "UI" ? '\0' : ' ';
  put_u16(out, 0x0002);
  put_u16(out, element);
  out.insert(out.end(), vr.begin(), vr.end());
  put_u16(out, value.size() + value.size() % 2);
  out.insert(out.end(), value.begin(), value.end());
  if (value.size() % 2 != 0) out.push_back(static_cast<std::uint8_t>(padding));
}

Bytes encode_meta(const SpoolHeading& heading) {
  Bytes body;
  put_u16(body, 0x0002);  // (0002,0001) File Meta Information Version, OB
  put_u16(body, 0x0001);
  body.insert(body.end(), {'O', 'B', 0, 0});
  put_u32(body, 2);
  body.insert(body.end(), {0, 1});
  put_meta(body, 0x0002, "UI", heading.sop_class_uid);
  put_meta(body, 0x0003, "UI", heading.sop_instance_uid);
  put_meta(body, 0x0010, "UI", heading.transfer_syntax_uid);
  put_meta(body, 0x0012, "UI", implementation_class_uid());
  put_meta(body, 0x0013, "SH", implementation_version_name);
  put_meta(body, 0x0016, "AE", heading.calling_ae_title);
  put_meta(body, 0x0017, "AE", heading.calling_ae_title);
  put_meta(body, 0x0018, "AE", heading.called_ae_title);
  Bytes out{'D', 'I', 'C', 'M'};
  put_u16(out, 0x0002);  // (0002,0000) group length
  put_u16(out, 0x0000);
  out.insert(out.end(), {'U', 'L'});
  put_u16(out, 4);
  put_u32(out, body.size());
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

// "2026112109": the hour in UTC.
std::string bucket_name(std::int64_t wall_ms) {
  const std::time_t seconds = static_cast<std::time_t>(wall_ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[16];
  std::strftime(text, sizeof text, "%Y%m%d%H", &parts);
  return text;
}

Status write_all(int file, const iovec* first, std::size_t count) {
  std::vector<iovec> parts(first, first + count);
  std::size_t at = 0;
  while (at < parts.size()) {
    const ssize_t written = ::writev(file, parts.data() + at, static_cast<int>(parts.size() - at));
    if (written < 0) {
      if (errno == EINTR) continue;
      return system_failure("Writing an instance");
    }
    auto rest = static_cast<std::size_t>(written);
    while (at < parts.size() && rest >= parts[at].iov_len) rest -= parts[at++].iov_len;
    if (at < parts.size()) {
      parts[at].iov_base = static_cast<std::uint8_t*>(parts[at].iov_base) + rest;
      parts[at].iov_len -= rest;
    }
  }
  return {};
}

Status pwrite_all(int file, ByteView bytes, off_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), offset);
    if (written < 0) {
      if (errno == EINTR) continue;
      return system_failure("Writing a preamble");
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += written;
  }
  return {};
}

Status fsync_descriptor(int file) {
  while (::fsync(file) != 0) {
    if (errno != EINTR) return system_failure("Syncing");
  }
  return {};
}

std::string file_stem(std::uint64_t receive_id) {
  char text[24];
  std::snprintf(text, sizeof text, "%012llu", static_cast<unsigned long long>(receive_id));
  return text;
}

std::optional<std::uint64_t> receive_id_of(const std::filesystem::path& file) {
  const std::string stem = file.stem().string();
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(stem.data(), stem.data() + stem.size(), id);
  if (error != std::errc{} || end != stem.data() + stem.size()) return std::nullopt;
  return id;
}

struct Descriptor {
  int number = -1;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

}  // namespace

Bytes encode(const SpoolPreamble& preamble) {
  Bytes out(magic.begin(), magic.end());
  put_u32(out, preamble_version);
  put_u64(out, preamble.receive_id);
  put_u64(out, preamble.file_bytes);
  put_u32(out, preamble.content_crc);
  put_u64(out, static_cast<std::uint64_t>(preamble.received_at_ms));
  put_u64(out, static_cast<std::uint64_t>(preamble.association_id));
  const auto address = parse_address(preamble.peer_address).value_or(AddressBytes{});
  out.insert(out.end(), address.begin(), address.end());
  out.resize(preamble_bytes - 4, 0);
  const std::uint32_t crc = crc32c(0, out);
  put_u32(out, crc);
  return out;
}

Result<SpoolPreamble> decode_preamble(ByteView bytes) {
  if (bytes.size() < preamble_bytes || as_text(bytes.first(magic.size())) != magic || get(bytes, 8, 4) != preamble_version) {
    return fail(ErrorCode::not_dicom, std::string(step), "The file has no preamble of the spool.");
  }
  if (crc32c(0, bytes.first(preamble_bytes - 4)) != get(bytes, preamble_bytes - 4, 4)) {
    return fail(ErrorCode::invalid_attribute, std::string(step), "The preamble of the spool file is damaged.");
  }
  SpoolPreamble preamble;
  preamble.receive_id = get(bytes, 12, 8);
  preamble.file_bytes = get(bytes, 20, 8);
  preamble.content_crc = static_cast<std::uint32_t>(get(bytes, 28, 4));
  preamble.received_at_ms = static_cast<std::int64_t>(get(bytes, 32, 8));
  preamble.association_id = static_cast<std::int64_t>(get(bytes, 40, 8));
  AddressBytes address{};
  std::copy_n(bytes.begin() + 48, address.size(), address.begin());
  if (address != AddressBytes{}) preamble.peer_address = to_string(address);
  return preamble;
}

SpoolFile::SpoolFile(InstanceSpool& spool, std::uint64_t receive_id, std::string bucket, int directory, int file, SpoolHeading heading)
    : spool_(spool), receive_id_(receive_id), bucket_(std::move(bucket)), directory_(directory), file_(file), heading_(std::move(heading)) {}

SpoolFile::~SpoolFile() {
  if (file_ >= 0) ::close(file_);
  if (!completed_) ::unlinkat(directory_, (file_stem(receive_id_) + ".part").c_str(), 0);
  ::close(directory_);
}

Status SpoolFile::flush(ByteView extra) {
  std::array<iovec, 2> parts{};
  std::size_t count = 0;
  if (!pending_.empty()) parts[count++] = {pending_.data(), pending_.size()};
  if (!extra.empty()) parts[count++] = {const_cast<std::uint8_t*>(extra.data()), extra.size()};
  if (count == 0) return {};
  auto status = write_all(file_, parts.data(), count);
  file_bytes_ += pending_.size() + extra.size();
  pending_.clear();
  return status;
}

Status SpoolFile::write(ByteView bytes) {
  crc_ = crc32c(crc_, bytes);
  hash_.update(bytes.data(), bytes.size());
  data_set_bytes_ += bytes.size();
  if (pending_.size() + bytes.size() > pending_bytes_max) return flush(bytes);
  pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  return {};
}

Result<SpoolFile::Completed> SpoolFile::complete(std::int64_t received_at_ms) {
  Completed result;
  result.receive_id = receive_id_;
  result.received_at_ms = received_at_ms;
  SpoolPreamble preamble;
  preamble.receive_id = receive_id_;
  preamble.content_crc = crc_;
  preamble.received_at_ms = received_at_ms;
  preamble.association_id = heading_.association_id;
  preamble.peer_address = heading_.peer_address;
  preamble.file_bytes = file_bytes_ + pending_.size();
  result.size_bytes = preamble.file_bytes;
  const Bytes head = encode(preamble);
  if (file_bytes_ == 0) {
    // Small objects never touched the disk yet: one write.
    std::copy(head.begin(), head.end(), pending_.begin());
    if (auto status = flush({}); !status) return fail(status.error());
  } else {
    if (auto status = flush({}); !status) return fail(status.error());
    if (auto status = pwrite_all(file_, head, 0); !status) return fail(status.error());
  }
  result.sha256 = hash_.hex_digest();
  const std::string stem = file_stem(receive_id_);
  if (::renameat(directory_, (stem + ".part").c_str(), directory_, (stem + ".dcm").c_str()) != 0) return system_failure("Renaming an instance");
  completed_ = true;
  result.spool_file = bucket_ + "/" + stem + ".dcm";
  result.file_descriptor = std::exchange(file_, -1);
  return result;
}

InstanceSpool::InstanceSpool(Settings settings) : settings_(std::move(settings)) {}

InstanceSpool::~InstanceSpool() {
  for (const Bucket& bucket : buckets_) ::close(bucket.descriptor);
  if (directory_ >= 0) ::close(directory_);
}

Result<std::unique_ptr<InstanceSpool>> InstanceSpool::open(Settings settings, Recovery* recovery) {
  std::error_code error;
  std::filesystem::create_directories(settings.directory, error);
  if (!error) std::filesystem::create_directories(settings.quarantine, error);
  if (error) return fail(ErrorCode::io_error, std::string(step), "The spool folder cannot be created: " + error.message() + ".");
  std::unique_ptr<InstanceSpool> spool(new InstanceSpool(std::move(settings)));
  // Opened before any write and kept open: syncfs reports errors of the time since (kernel 5.8 and later).
  spool->directory_ = ::open(spool->settings_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (spool->directory_ < 0) return system_failure("Opening");
  Recovery found;
  if (auto status = spool->recover(found); !status) return fail(status.error());
  if (recovery != nullptr) *recovery = std::move(found);
  return spool;
}

Status InstanceSpool::recover(Recovery& recovery) {
  namespace fs = std::filesystem;
  std::uint64_t highest = 0;
  std::error_code error;
  std::vector<fs::path> buckets;
  for (fs::directory_iterator it(settings_.directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_directory(ignored)) buckets.push_back(it->path());
  }
  if (error) return fail(ErrorCode::io_error, std::string(step), "The spool folder cannot be read: " + error.message() + ".");
  bool moved = false;
  for (const fs::path& bucket : buckets) {
    std::vector<fs::path> files;
    for (fs::directory_iterator it(bucket, error), end; !error && it != end; it.increment(error)) files.push_back(it->path());
    if (error) return fail(ErrorCode::io_error, std::string(step), "A folder of the spool cannot be read: " + error.message() + ".");
    for (const fs::path& file : files) {
      const auto id = receive_id_of(file);
      if (id) highest = std::max(highest, *id);
      if (file.extension() == ".part") {
        fs::remove(file, error);
        if (error) return fail(ErrorCode::io_error, std::string(step), "A partial file cannot be removed: " + error.message() + ".");
        ++recovery.partial_removed;
        continue;
      }
      if (file.extension() != ".dcm" || !id) continue;
      const std::string name = bucket.filename().string() + "/" + file.filename().string();
      if (settings_.is_recorded && settings_.is_recorded(*id)) {
        if (const auto preamble = check_spool_file(settings_.directory, name); preamble && preamble->receive_id == *id) {
          ++recovery.recorded;
          continue;
        }
      }
      std::error_code ignored;
      const auto age = fs::last_write_time(file, ignored);
      const auto written_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                  std::chrono::file_clock::to_sys(age).time_since_epoch()).count();
      const bool verify = written_ms >= settings_.verify_content_after_ms;
      auto instance = read_spool_file(settings_.directory, name, verify, settings_.object_max_bytes);
      if (instance && instance->receive_id == *id) {
        recovery.adopted.push_back(std::move(*instance));
        continue;
      }
      // Whole at its last sync or never acknowledged; either way nothing here reads it.
      fs::rename(file, settings_.quarantine / (bucket.filename().string() + "-" + file.filename().string()), error);
      if (error) return fail(ErrorCode::io_error, std::string(step), "A damaged file cannot be moved to quarantine: " + error.message() + ".");
      recovery.quarantined.push_back(name);
      moved = true;
    }
    fs::remove(bucket, error);  // an hour that retention emptied; fails, rightly, where anything is left
  }
  std::sort(recovery.adopted.begin(), recovery.adopted.end(), [](const auto& a, const auto& b) { return a.receive_id < b.receive_id; });

  // Adopted files may never have been synced: a crash between rename and sync. They count as received from here on.
  if (moved || !recovery.adopted.empty() || recovery.partial_removed > 0) {
    if (::syncfs(directory_) != 0) return system_failure("Syncing");
  }

  std::uint64_t reserved = 0;
  if (const int file = ::openat(directory_, receive_id_file, O_RDONLY | O_CLOEXEC); file >= 0) {
    Descriptor guard{file};
    char text[32] = {};
    const ssize_t got = ::read(file, text, sizeof text - 1);
    if (got > 0) std::from_chars(text, text + got, reserved);
  }
  return reserve_receive_ids(std::max({settings_.first_receive_id, highest + 1, reserved}));
}

// A block of numbers is promised on disk before the first of them is used, so no restart can use one again.
Status InstanceSpool::reserve_receive_ids(std::uint64_t first) {
  const std::string text = std::to_string(first + receive_id_block) + "\n";
  const std::string temporary = std::string(receive_id_file) + ".new";
  {
    Descriptor file{::openat(directory_, temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (file.number < 0) return system_failure("Creating the receive number");
    if (auto status = pwrite_all(file.number, ByteView(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()), 0); !status) return status;
    if (auto status = fsync_descriptor(file.number); !status) return status;
  }
  if (::renameat(directory_, temporary.c_str(), directory_, receive_id_file) != 0) return system_failure("Renaming the receive number");
  if (auto status = fsync_descriptor(directory_); !status) return status;
  next_receive_id_ = first;
  reserved_until_ = first + receive_id_block;
  return {};
}

// Called with the mutex held.
Result<int> InstanceSpool::bucket_descriptor(const std::string& bucket) {
  for (const Bucket& open : buckets_) {
    if (open.name == bucket) return open.descriptor;
  }
  if (::mkdirat(directory_, bucket.c_str(), 0700) == 0) {
    if (auto status = fsync_descriptor(directory_); !status) return fail(status.error());
  } else if (errno != EEXIST) {
    return system_failure("Creating an hour's folder");
  }
  const int descriptor = ::openat(directory_, bucket.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return system_failure("Opening an hour's folder");
  if (buckets_.size() == open_buckets_max) {
    ::close(buckets_.front().descriptor);
    buckets_.erase(buckets_.begin());
  }
  buckets_.push_back({bucket, descriptor});
  return descriptor;
}

Status InstanceSpool::prepare_buckets(std::int64_t wall_ms) {
  const std::lock_guard lock(mutex_);
  for (const std::int64_t ahead_ms : {std::int64_t{0}, std::int64_t{3'600'000}}) {
    if (auto descriptor = bucket_descriptor(bucket_name(wall_ms + ahead_ms)); !descriptor) return fail(descriptor.error());
  }
  return {};
}

Result<std::unique_ptr<SpoolFile>> InstanceSpool::begin(SpoolHeading heading, std::int64_t wall_ms) {
  std::string bucket = bucket_name(wall_ms);
  int directory = -1;
  std::uint64_t receive_id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (next_receive_id_ == reserved_until_) {
      if (auto status = reserve_receive_ids(next_receive_id_); !status) return fail(status.error());
    }
    auto shared = bucket_descriptor(bucket);
    if (!shared) return fail(shared.error());
    directory = ::fcntl(*shared, F_DUPFD_CLOEXEC, 0);
    if (directory < 0) return system_failure("Opening an hour's folder");
    receive_id = next_receive_id_++;
  }
  const int file = ::openat(directory, (file_stem(receive_id) + ".part").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) {
    auto failure = system_failure("Creating an instance");
    ::close(directory);
    return failure;
  }
  std::unique_ptr<SpoolFile> result(new SpoolFile(*this, receive_id, std::move(bucket), directory, file, std::move(heading)));
  const Bytes meta = encode_meta(result->heading_);
  result->pending_.reserve(4096);
  result->pending_.resize(preamble_bytes, 0);
  result->pending_.insert(result->pending_.end(), meta.begin(), meta.end());
  result->crc_ = crc32c(0, meta);
  return result;
}

Result<std::uint64_t> InstanceSpool::free_bytes() const {
  struct statvfs info {};
  if (::fstatvfs(directory_, &info) != 0) return system_failure("Asking for free space");
  return std::uint64_t{info.f_bavail} * info.f_frsize;
}

Status InstanceSpool::remove(const std::string& spool_file) {
  if (::unlinkat(directory_, spool_file.c_str(), 0) == 0) return {};
  if (errno == ENOENT) return fail(ErrorCode::not_found, std::string(step), "The file is not in the spool.", spool_file);
  return system_failure("Removing an instance");
}

Result<SpoolPreamble> check_spool_file(const std::filesystem::path& spool, const std::string& spool_file) {
  const Descriptor file{::open((spool / spool_file).c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.number < 0) return system_failure("Opening an instance");
  struct stat info {};
  if (::fstat(file.number, &info) != 0) return system_failure("Reading an instance");
  std::array<std::uint8_t, preamble_bytes> bytes{};
  if (::pread(file.number, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return fail(ErrorCode::truncated, std::string(step), "The file is shorter than a preamble.");
  auto preamble = decode_preamble(bytes);
  if (preamble && preamble->file_bytes != static_cast<std::uint64_t>(info.st_size)) return fail(ErrorCode::truncated, std::string(step), "The file does not have the length its preamble states.");
  return preamble;
}

Result<ReceivedInstance> read_spool_file(const std::filesystem::path& spool, const std::string& spool_file, bool verify_content,
                                         std::uint64_t object_max_bytes) {
  const Descriptor file{::open((spool / spool_file).c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.number < 0) return system_failure("Opening an instance");
  struct stat info {};
  if (::fstat(file.number, &info) != 0) return system_failure("Reading an instance");

  Bytes buffer(256 * 1024);
  std::size_t have = 0;
  // Preamble and meta header fit the first block: the meta header is ours and short.
  while (have < buffer.size()) {
    const ssize_t got = ::read(file.number, buffer.data() + have, buffer.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure("Reading an instance");
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  ByteView block = ByteView(buffer).first(have);
  auto preamble = decode_preamble(block);
  if (!preamble) return fail(preamble.error());
  if (preamble->file_bytes != static_cast<std::uint64_t>(info.st_size)) return fail(ErrorCode::truncated, std::string(step), "The file does not have the length its preamble states.");

  ReceivedInstance instance;
  ByteView content = block.subspan(preamble_bytes);
  constexpr std::size_t group_length_bytes = 4 + 12;  // "DICM" and (0002,0000)
  if (content.size() < group_length_bytes || as_text(content.first(4)) != "DICM") return fail(ErrorCode::not_dicom, std::string(step), "The file has no meta header.");
  const std::size_t meta_bytes = get(content, 12, 4);
  if (meta_bytes > content.size() - group_length_bytes) return fail(ErrorCode::truncated, std::string(step), "The meta header is longer than the file.");
  ByteView meta = content.subspan(group_length_bytes, meta_bytes);
  std::string transfer_syntax;
  while (meta.size() >= 8) {
    const std::uint64_t element = get(meta, 2, 2);
    const bool is_long = meta[4] == 'O';
    if (is_long && meta.size() < 12) break;
    const std::size_t head = is_long ? 12 : 8;
    const std::size_t length = is_long ? get(meta, 8, 4) : get(meta, 6, 2);
    if (length > meta.size() - head) break;
    std::string_view value = as_text(meta.subspan(head, length));
    while (!value.empty() && (value.back() == ' ' || value.back() == '\0')) value.remove_suffix(1);
    if (element == 0x0010) transfer_syntax = value;
    if (element == 0x0002) instance.sop_class_uid = value;
    if (element == 0x0017) instance.calling_ae_title = value;
    if (element == 0x0018) instance.called_ae_title = value;
    meta = meta.subspan(head + length);
  }
  ScannerLimits limits;
  limits.bytes_max = object_max_bytes;
  limits.collect_references = collects_references(instance.sop_class_uid);
  DatasetScanner scanner(transfer_syntax, limits);
  Sha256 hash;
  std::uint32_t crc = crc32c(0, content.first(group_length_bytes + meta_bytes));
  ByteView part = content.subspan(group_length_bytes + meta_bytes);
  while (!part.empty()) {
    if (verify_content) crc = crc32c(crc, part);
    hash.update(part.data(), part.size());
    if (auto status = scanner.feed(part); !status) return fail(status.error());
    ssize_t got = 0;
    do {
      got = ::read(file.number, buffer.data(), buffer.size());
    } while (got < 0 && errno == EINTR);
    if (got < 0) return system_failure("Reading an instance");
    part = ByteView(buffer).first(static_cast<std::size_t>(got));
  }
  if (auto status = scanner.finish(); !status) return fail(status.error());
  if (verify_content && crc != preamble->content_crc) return fail(ErrorCode::invalid_attribute, std::string(step), "The contents of the file are damaged.");
  scanner.describe(instance);
  instance.receive_id = preamble->receive_id;
  instance.spool_file = spool_file;
  instance.peer_address = preamble->peer_address;
  instance.sha256 = hash.hex_digest();
  instance.size_bytes = preamble->file_bytes;
  instance.received_at_ms = preamble->received_at_ms;
  instance.association_id = preamble->association_id;
  return instance;
}

}  // namespace choana::scp
