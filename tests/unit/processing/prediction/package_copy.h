#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/sha256.h"

namespace choana::test {

/// A throw-away copy of a package that a test may change.
class PackageCopy {
 public:
  explicit PackageCopy(const std::string& name = "demo-t2-only") {
    static std::atomic<int> counter{0};
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(testing::TempDir()) / (std::string("choana-") + info->name() + "-" + std::to_string(counter++));
    std::filesystem::remove_all(folder_);
    std::filesystem::copy(std::filesystem::path(CHOANA_SOURCE_DIR) / "conf" / "models" / name, folder_, std::filesystem::copy_options::recursive);
  }
  ~PackageCopy() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  PackageCopy(const PackageCopy&) = delete;
  PackageCopy& operator=(const PackageCopy&) = delete;

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  [[nodiscard]] std::string read(const std::string& file) const {
    std::ifstream in(folder_ / file, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  void write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories((folder_ / file).parent_path());
    std::ofstream(folder_ / file, std::ios::binary) << text;
  }

  /// Replace the first occurrence; the test fails if there is none.
  void replace(const std::string& file, const std::string& from, const std::string& to) const {
    std::string text = read(file);
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << file << " has no '" << from << "'";
    write(file, text.replace(at, from.size(), to));
  }

  /// SHA256SUMS anew, as someone would who packs a changed package.
  void seal() const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_))
      if (entry.is_regular_file() && entry.path().filename() != "SHA256SUMS")
        files.push_back(entry.path().lexically_relative(folder_).generic_string());
    std::sort(files.begin(), files.end());
    std::string sums;
    for (const std::string& file : files) sums += sha256_hex(read(file)) + "  " + file + "\n";
    write("SHA256SUMS", sums);
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace choana::test
