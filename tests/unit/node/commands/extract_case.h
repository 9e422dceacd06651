#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "node/commands/extract_command.h"
#include "processing/itk/image_file.h"
#include "tests/support/csv.h"
#include "tests/support/volumes.h"

namespace choana::test {

/// A folder with image.nrrd and mask.nrrd (labels 1, 2 and 5; label 5 in two parts), and `choana extract` run in this process.
class ExtractCase : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(testing::TempDir()) / (std::string("choana_extract_") + info->test_suite_name() + "_" + info->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    RandomCase one = random_case(8);
    const VolumeGeometry& grid = one.mask.geometry;
    for (int k = 0; k < 3; ++k)
      for (int j = 0; j < 3; ++j)
        for (int i = 0; i < 3; ++i) {
          one.mask.labels[grid.offset(i, j, k)] = 2;
          one.mask.labels[grid.offset(grid.size()[0] - 1 - i, j, k)] = 5;
          if (k < 2) one.mask.labels[grid.offset(i, grid.size()[1] - 1 - j, k)] = 5;
        }
    ASSERT_TRUE(processing::write_image_file(one.image, folder_ / "image.nrrd"));
    ASSERT_TRUE(processing::write_mask_file(one.mask, folder_ / "mask.nrrd"));
    out_ = (folder_ / "out").string();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// Exit status; what was said on standard error stands in `said_`, what was printed in `printed_`.
  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "choana extract");
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = node::run_extract(static_cast<int>(pointers.size()), pointers.data());
    printed_ = testing::internal::GetCapturedStdout();
    said_ = testing::internal::GetCapturedStderr();
    return status;
  }
  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }
  [[nodiscard]] std::string text_of(const std::string& file) const {
    std::ifstream in(file, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  /// The cells of a column of `out`, without the header.
  [[nodiscard]] std::vector<std::string> column(const std::string& name, const std::string& file = "") const {
    const auto rows = read_csv(file.empty() ? out_ : file);
    std::vector<std::string> cells;
    if (rows.empty()) return cells;
    for (std::size_t c = 0; c < rows[0].size(); ++c)
      if (rows[0][c] == name)
        for (std::size_t r = 1; r < rows.size(); ++r) cells.push_back(rows[r][c]);
    return cells;
  }

  std::filesystem::path folder_;
  std::string out_, said_, printed_;
};

}  // namespace choana::test
