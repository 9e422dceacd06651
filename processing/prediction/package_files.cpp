#include "processing/prediction/package_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <system_error>

#include "core/sha256.h"
#include "processing/prediction/package_archive.h"

namespace choana::processing {
namespace {

namespace fs = std::filesystem;
constexpr const char* sums_name = "SHA256SUMS";
constexpr const char* signature_name = "SHA256SUMS.sig";

tl::unexpected<Error> refuse(const std::string& sentence, ErrorCode code = ErrorCode::invalid_package) {
  return fail(code, "read_package", sentence);
}

bool is_plain_name(const std::string& name) {
  if (name.empty() || name.size() > 128 || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-' || c == '+';
  });
}

// Never through a link, and only what is a plain file at the moment it is opened.
Result<std::string> read_file(const fs::path& file, const std::string& name, std::size_t bytes_left) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return refuse("The package's file " + name + " cannot be opened.", ErrorCode::io_error);
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{descriptor};
  struct stat facts {};
  if (::fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode)) return refuse("The package's " + name + " is not a plain file.");
  std::string bytes;
  std::array<char, 65536> buffer{};
  while (true) {
    const ssize_t got = ::read(descriptor, buffer.data(), buffer.size());
    if (got < 0) return refuse("The package's file " + name + " cannot be read.", ErrorCode::io_error);
    if (got == 0) return bytes;
    if (bytes.size() + static_cast<std::size_t>(got) > bytes_left)
      return refuse("The package is larger than " + std::to_string(package_bytes_max >> 20U) + " MiB.", ErrorCode::limit_exceeded);
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

Result<std::map<std::string, std::string>> read_sums(const std::string& text) {
  std::map<std::string, std::string> sums;
  std::size_t start = 0;
  while (start < text.size()) {
    std::size_t end = text.find('\n', start);
    if (end == std::string::npos) end = text.size();
    std::string line = text.substr(start, end - start);
    start = end + 1;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    const std::string at = "SHA256SUMS has a line that is not '<64 hexadecimal digits>  <path>'.";
    if (line.size() < 67 || line[64] != ' ' || (line[65] != ' ' && line[65] != '*')) return refuse(at);
    std::string digest = line.substr(0, 64);
    for (char& c : digest) {
      if (std::isxdigit(static_cast<unsigned char>(c)) == 0) return refuse(at);
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    std::string path = line.substr(66);
    if (path.starts_with("./")) path.erase(0, 2);
    if (!is_plain_path(path)) return refuse("SHA256SUMS names a path that a package may not hold (letters, digits, . _ - + and folders below the package only).");
    if (path == sums_name || path == signature_name) return refuse("SHA256SUMS must not list " + path + ".");
    if (!sums.emplace(path, digest).second) return refuse("SHA256SUMS lists " + path + " twice.");
    if (sums.size() > package_files_max)
      return refuse("The package has more than " + std::to_string(package_files_max) + " files.", ErrorCode::limit_exceeded);
  }
  return sums;
}

// Every file is listed and unchanged, every listed file is there.
Result<PackageFiles> check_sums(PackageFiles files) {
  const std::string* sums_text = files.find(sums_name);
  if (sums_text == nullptr) return refuse("The package has no SHA256SUMS, so nothing says that its files are whole.");
  const auto sums = read_sums(*sums_text);
  if (!sums) return fail(sums.error());
  for (const auto& [path, digest] : *sums) {
    const std::string* content = files.find(path);
    if (content == nullptr) return refuse("The package lacks the file " + path + ", which SHA256SUMS lists.");
    if (sha256_hex(*content) != digest) return refuse("The package's file " + path + " was changed: it does not match SHA256SUMS.");
  }
  for (const auto& [path, content] : files.content)
    if (path != sums_name && path != signature_name && !sums->contains(path))
      return refuse("The package holds the file " + path + ", which SHA256SUMS does not list.");
  files.sums_sha256 = sha256_hex(*sums_text);
  return files;
}

}  // namespace

bool is_plain_path(const std::string& path) {
  std::size_t start = 0;
  while (true) {
    const std::size_t slash = path.find('/', start);
    if (!is_plain_name(path.substr(start, slash == std::string::npos ? slash : slash - start))) return false;
    if (slash == std::string::npos) return true;
    start = slash + 1;
  }
}

void seal(PackageFiles& files) {
  files.content.erase(sums_name);
  files.content.erase(signature_name);
  std::string sums;
  for (const auto& [path, content] : files.content) sums += sha256_hex(content) + "  " + path + "\n";
  files.sums_sha256 = sha256_hex(sums);
  files.content[sums_name] = std::move(sums);
}

Status write_package_folder(const PackageFiles& files, const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder, error) && !(fs::is_directory(folder, error) && fs::is_empty(folder, error)))
    return fail(ErrorCode::invalid_argument, "write_package", folder.filename().string() + " exists and is not an empty folder; name another place for the package.");
  const fs::path unfinished = folder.string() + ".part";
  fs::remove_all(unfinished, error);
  const auto give_up = [&] {
    std::error_code ignored;
    fs::remove_all(unfinished, ignored);
    return fail(ErrorCode::io_error, "write_package", "The package cannot be written to " + folder.filename().string() + ".");
  };
  for (const auto& [path, content] : files.content) {
    const fs::path file = unfinished / path;
    fs::create_directories(file.parent_path(), error);
    std::ofstream out(file, std::ios::binary);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    out.close();
    if (!out) return give_up();
  }
  fs::remove(folder, error);  // an empty one, or nothing
  fs::rename(unfinished, folder, error);
  if (error) return give_up();
  return {};
}

const std::string* PackageFiles::find(const std::string& path) const {
  const auto found = content.find(path);
  return found == content.end() ? nullptr : &found->second;
}

Result<PackageFiles> read_package_files(const fs::path& directory) {
  std::error_code error;
  if (fs::is_regular_file(directory, error)) {
    auto files = read_package_archive(directory);
    if (!files) return files;
    return check_sums(std::move(*files));
  }
  if (!fs::is_directory(directory, error))
    return refuse("There is no package " + directory.filename().string() + ".", ErrorCode::not_found);
  PackageFiles files;
  std::size_t bytes = 0;
  fs::recursive_directory_iterator walk(directory, fs::directory_options::none, error), end;
  if (error) return refuse("The package folder cannot be read: " + error.message() + ".", ErrorCode::io_error);
  for (; walk != end; walk.increment(error)) {
    if (error) return refuse("The package folder cannot be read: " + error.message() + ".", ErrorCode::io_error);
    const std::string name = walk->path().lexically_relative(directory).generic_string();
    if (!is_plain_path(name)) return refuse("The package holds a file with a name it may not have (hidden, or with characters other than letters, digits, . _ - +).");
    const fs::file_status status = walk->symlink_status(error);
    if (error) return refuse("The package's " + name + " cannot be read.", ErrorCode::io_error);
    if (fs::is_directory(status)) {
      if (walk.depth() + 1 >= package_depth_max) return refuse("The package's folders are nested too deeply (" + name + ").", ErrorCode::limit_exceeded);
      continue;
    }
    if (fs::is_symlink(status)) return refuse("The package's " + name + " is a link; a package holds plain files only.");
    if (!fs::is_regular_file(status)) return refuse("The package's " + name + " is not a plain file.");
    if (files.content.size() > package_files_max + 1)
      return refuse("The package has more than " + std::to_string(package_files_max) + " files.", ErrorCode::limit_exceeded);
    auto content = read_file(walk->path(), name, package_bytes_max - bytes);
    if (!content) return fail(content.error());
    bytes += content->size();
    files.content.emplace(name, std::move(*content));
  }
  if (error) return refuse("The package folder cannot be read: " + error.message() + ".", ErrorCode::io_error);
  return check_sums(std::move(files));
}

}  // namespace choana::processing
