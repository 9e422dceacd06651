// A stranger's zip file of a package: read within its bounds or refused with a reason, before anything of it is used.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "processing/prediction/package_archive.h"
#include "tests/fuzz/seeds.h"

using namespace choana::processing;

namespace {

// The reader takes a path; one file for the whole process, taken away at its end.
struct Scratch {
  std::filesystem::path file = std::filesystem::temp_directory_path() / ("choana-fuzz-archive-" + std::to_string(getpid()));
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Scratch scratch;
  std::ofstream(scratch.file, std::ios::binary | std::ios::trunc).write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  const auto files = read_package_archive(scratch.file);
  if (!files) {
    if (files.error().message.empty()) std::abort();
    return 0;
  }
  if (files->content.size() > package_files_max) std::abort();
  std::size_t bytes = 0;
  for (const auto& [path, content] : files->content) {
    if (!is_plain_path(path)) std::abort();
    bytes += content.size();
  }
  if (bytes > package_bytes_max) std::abort();
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  const Scratch scratch;
  std::vector<std::vector<std::uint8_t>> seeds;
  PackageFiles files, wrapped;
  files.content = {{"manifest.yaml", "format: choana-model/1\nid: a\n"}, {"model/model.json", "{}"}, {"selftest.csv", std::string(300, 'a')}, {"empty.txt", ""}};
  for (const auto& [path, content] : files.content) wrapped.content["package/" + path] = content;
  for (const auto* one : {&files, &wrapped}) {
    std::error_code ignored;
    std::filesystem::remove(scratch.file, ignored);
    if (!write_package_archive(*one, scratch.file)) std::abort();
    std::ifstream in(scratch.file, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return seeds;
}
