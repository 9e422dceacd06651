#include "node/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace choana::node {
namespace {

tl::unexpected<Error> io_failure(const char* step, const std::filesystem::path& file, int error) {
  const ErrorCode code = error == ENOSPC || error == EDQUOT ? ErrorCode::disk_full : ErrorCode::io_error;
  return fail(code, step, "Cannot write " + file.filename().string() + ": " + std::strerror(error) + ".");
}

Status sync_path(const std::filesystem::path& path, int flags) {
  const int handle = open(path.c_str(), flags | O_CLOEXEC);
  if (handle < 0) return io_failure("sync", path, errno);
  const int done = fsync(handle);
  const int error = errno;
  close(handle);
  if (done != 0) return io_failure("sync", path, error);
  return {};
}

Status write_bytes(const std::filesystem::path& file, std::string_view bytes, bool sync) {
  const int handle = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (handle < 0) return io_failure("write_file", file, errno);
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t n = write(handle, bytes.data() + written, bytes.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      close(handle);
      return io_failure("write_file", file, error);
    }
    written += static_cast<std::size_t>(n);
  }
  if (sync && fsync(handle) != 0) {
    const int error = errno;
    close(handle);
    return io_failure("write_file", file, error);
  }
  if (close(handle) != 0) return io_failure("write_file", file, errno);
  return {};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& file, std::size_t size_max) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(file, missing);
  if (missing) return fail(ErrorCode::not_found, "read_file", "Cannot open " + file.string() + ": " + missing.message() + ".");
  if (size > size_max) return fail(ErrorCode::limit_exceeded, "read_file", file.filename().string() + " is larger than allowed.");
  std::ifstream in(file, std::ios::binary);
  std::string bytes(size, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(size));
  if (!in || in.gcount() != static_cast<std::streamsize>(size)) return fail(ErrorCode::io_error, "read_file", "Cannot read " + file.string() + ".");
  return bytes;
}

Status write_file(const std::filesystem::path& file, std::string_view bytes) { return write_bytes(file, bytes, false); }

Status replace_file(const std::filesystem::path& file, std::string_view bytes) {
  std::filesystem::path part = file;
  part += ".part";
  if (auto done = write_bytes(part, bytes, true); !done) return done;
  if (std::rename(part.c_str(), file.c_str()) != 0) return io_failure("replace_file", file, errno);
  return sync_folder(file.parent_path());
}

Status sync_folder(const std::filesystem::path& folder) { return sync_path(folder, O_RDONLY | O_DIRECTORY); }

Status sync_tree(const std::filesystem::path& folder) {
  std::error_code failed;
  for (auto entry = std::filesystem::recursive_directory_iterator(folder, failed); !failed && entry != std::filesystem::recursive_directory_iterator();
       entry.increment(failed)) {
    const bool directory = entry->is_directory();
    if (!directory && !entry->is_regular_file()) continue;
    if (auto done = directory ? sync_folder(entry->path()) : sync_path(entry->path(), O_RDONLY); !done) return done;
  }
  if (failed) return fail(ErrorCode::io_error, "sync", "Cannot list " + folder.filename().string() + ": " + failed.message() + ".");
  return sync_folder(folder);
}

}  // namespace choana::node
