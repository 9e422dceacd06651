// Every package that comes with Choana, whatever is added to conf/models later.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "processing/prediction/model_package.h"

namespace choana::processing {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> shipped() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(std::string(CHOANA_SOURCE_DIR) + "/conf/models"))
    if (fs::exists(entry.path() / "manifest.yaml")) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::uintmax_t bytes_of(const fs::path& folder) {
  std::uintmax_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

TEST(ShippedPackages, AreThere) {
  std::set<std::string> names;
  for (const fs::path& folder : shipped()) names.insert(folder.filename().string());
  for (const char* name : {"demo-npc-response", "demo-s1-response", "demo-s1-survival", "demo-s2-response", "demo-s3-residual", "demo-s4-recurrence", "demo-s5-response", "demo-t2-only"}) EXPECT_TRUE(names.contains(name)) << name;
}

TEST(ShippedPackages, AreAdmittedReproduceTheirRowsAndSayThatTheyAreSynthetic) {
  for (const fs::path& folder : shipped()) {
    SCOPED_TRACE(folder.filename().string());
    const auto package = ModelPackage::load(folder);
    ASSERT_TRUE(package) << to_string(package.error());
    const PackageManifest& manifest = package->manifest();
    EXPECT_EQ(manifest.id, folder.filename().string());
    EXPECT_EQ(manifest.status, "demonstration");
    EXPECT_GE(package->selftest_rows(), 20U);
    EXPECT_LE(package->selftest_deviation(), manifest.selftest_tolerance);
    EXPECT_NE(manifest.performance.find("synthetic"), std::string::npos);
    EXPECT_NE(manifest.intended_use.find("no clinical meaning"), std::string::npos);
    for (const PackageFeature& feature : manifest.features) {
      EXPECT_TRUE(std::isfinite(feature.train_mean) && feature.train_sd > 0 && feature.q01 <= feature.q99) << feature.id;
    }
    EXPECT_TRUE(std::any_of(manifest.outputs.begin(), manifest.outputs.end(), [](const OutputSpec& output) { return output.primary; }));
  }
}

TEST(ShippedPackages, AreSmall) {
  std::uintmax_t together = 0;
  for (const fs::path& folder : shipped()) {
    const std::uintmax_t bytes = bytes_of(folder);
    EXPECT_LT(bytes, 3U << 20U) << folder.filename();
    together += bytes;
  }
  EXPECT_LT(together, 6U << 20U);
}

}  // namespace
}  // namespace choana::processing
