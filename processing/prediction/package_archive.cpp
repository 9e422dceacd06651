#include "processing/prediction/package_archive.h"

#include <sys/stat.h>
#include <zip.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

namespace choana::processing {
namespace {

constexpr std::size_t growth_max = 200;

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseEntry {
  void operator()(zip_file_t* entry) const { zip_fclose(entry); }
};

tl::unexpected<Error> refuse(const std::string& sentence, ErrorCode code = ErrorCode::invalid_package) { return fail(code, "read_archive", sentence); }

}  // namespace

Result<PackageFiles> read_package_archive(const std::filesystem::path& file) {
  std::error_code error;
  const auto packed = std::filesystem::file_size(file, error);
  if (error) return refuse("The package file cannot be read.", ErrorCode::io_error);
  if (packed > package_bytes_max) return refuse("The package file is larger than " + std::to_string(package_bytes_max >> 20U) + " MiB.", ErrorCode::limit_exceeded);
  int code = 0;
  const std::unique_ptr<zip_t, Discard> archive(zip_open(file.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
  if (!archive) return refuse("The package is neither a folder nor a whole zip file.");
  const zip_int64_t entries = zip_get_num_entries(archive.get(), 0);
  if (entries < 0 || static_cast<std::size_t>(entries) > 2 * package_files_max)
    return refuse("The package has more than " + std::to_string(package_files_max) + " files.", ErrorCode::limit_exceeded);

  PackageFiles files;
  std::size_t bytes = 0;
  const std::size_t bytes_allowed = std::min<std::size_t>(package_bytes_max, growth_max * static_cast<std::size_t>(packed) + (std::size_t{1} << 20U));
  for (zip_uint64_t e = 0; e < static_cast<zip_uint64_t>(entries); ++e) {
    zip_stat_t facts;
    zip_stat_init(&facts);
    constexpr zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if (zip_stat_index(archive.get(), e, ZIP_FL_ENC_RAW, &facts) != 0 || (facts.valid & needed) != needed) return refuse("The zip file has an entry that cannot be read.");
    std::string name = facts.name;
    const bool folder = name.ends_with('/');
    if (folder) name.pop_back();
    if (!is_plain_path(name)) return refuse("The zip file holds a path that a package may not have (one that leads out of it, is hidden, or has characters other than letters, digits, . _ - +).");
    if (std::count(name.begin(), name.end(), '/') > package_depth_max) return refuse("The package's folders are nested too deeply.", ErrorCode::limit_exceeded);
    zip_uint8_t system = 0;
    zip_uint32_t attributes = 0;
    if (zip_file_get_external_attributes(archive.get(), e, 0, &system, &attributes) == 0 && system == ZIP_OPSYS_UNIX) {
      const auto kind = static_cast<mode_t>(attributes >> 16U) & S_IFMT;
      if (kind == S_IFLNK) return refuse("The zip file's " + name + " is a link; a package holds plain files only.");
      if (kind != 0 && kind != S_IFREG && !(folder && kind == S_IFDIR)) return refuse("The zip file's " + name + " is not a plain file.");
    }
    if (facts.encryption_method != ZIP_EM_NONE) return refuse("The zip file's " + name + " is encrypted.");
    if (facts.comp_method != ZIP_CM_STORE && facts.comp_method != ZIP_CM_DEFLATE) return refuse("The zip file's " + name + " is packed with a method other than deflate.");
    if (folder) {
      if (facts.size != 0) return refuse("The zip file's folder " + name + " has content.");
      continue;
    }
    if (files.content.size() >= package_files_max + 2) return refuse("The package has more than " + std::to_string(package_files_max) + " files.", ErrorCode::limit_exceeded);
    const std::unique_ptr<zip_file_t, CloseEntry> entry(zip_fopen_index(archive.get(), e, 0));
    if (!entry) return refuse("The zip file's " + name + " cannot be unpacked.");
    std::string content;
    std::array<char, 65536> buffer{};
    // What is really unpacked counts, not what the entry says of its size.
    while (true) {
      const zip_int64_t got = zip_fread(entry.get(), buffer.data(), buffer.size());
      if (got < 0) return refuse("The zip file's " + name + " is damaged.");
      if (got == 0) break;
      bytes += static_cast<std::size_t>(got);
      if (bytes > bytes_allowed)
        return refuse("The zip file unpacks to far more than its size (more than " + std::to_string(bytes_allowed >> 20U) + " MiB); it is not unpacked.", ErrorCode::limit_exceeded);
      content.append(buffer.data(), static_cast<std::size_t>(got));
    }
    if (content.size() != facts.size) return refuse("The zip file's " + name + " has another size than stated.");
    if (!files.content.emplace(name, std::move(content)).second) return refuse("The zip file holds " + name + " twice.");
  }
  // `zip -r package.zip package` puts a folder around everything.
  if (!files.content.contains("manifest.yaml") && !files.content.empty()) {
    const std::string& first = files.content.begin()->first;
    const std::string prefix = first.substr(0, first.find('/') + 1);
    if (!prefix.empty() && std::all_of(files.content.begin(), files.content.end(), [&](const auto& f) { return f.first.starts_with(prefix); })) {
      std::map<std::string, std::string> inner;
      for (auto& [path, content] : files.content) inner.emplace(path.substr(prefix.size()), std::move(content));
      files.content = std::move(inner);
    }
  }
  return files;
}

Status write_package_archive(const PackageFiles& files, const std::filesystem::path& file) {
  const auto give_up = [] { return fail(ErrorCode::io_error, "write_archive", "The zip file cannot be written."); };
  int code = 0;
  std::unique_ptr<zip_t, Discard> archive(zip_open(file.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
  if (!archive) return give_up();
  for (const auto& [path, content] : files.content) {
    zip_source_t* source = zip_source_buffer(archive.get(), content.data(), content.size(), 0);
    if (source == nullptr) return give_up();
    const zip_int64_t index = zip_file_add(archive.get(), path.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
      zip_source_free(source);
      return give_up();
    }
    const auto entry = static_cast<zip_uint64_t>(index);
    constexpr zip_uint16_t first_of_january_1980 = (1U << 5U) | 1U;
    if (zip_file_set_dostime(archive.get(), entry, 0, first_of_january_1980, 0) != 0 || zip_set_file_compression(archive.get(), entry, ZIP_CM_DEFLATE, 9) != 0 ||
        zip_file_set_external_attributes(archive.get(), entry, 0, ZIP_OPSYS_UNIX, static_cast<zip_uint32_t>(S_IFREG | 0644) << 16U) != 0)
      return give_up();
  }
  if (zip_close(archive.get()) != 0) return give_up();
  (void)archive.release();  // closing has freed it
  return {};
}

}  // namespace choana::processing
