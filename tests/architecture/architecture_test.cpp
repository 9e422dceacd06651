// Reads the #include lines of the tree and holds the borders of docs/ARCHITECTURE.md. System headers are always
// reachable, so link lines alone cannot.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace choana {
namespace {

namespace fs = std::filesystem;

struct Include {
  fs::path file;  // relative to the root
  std::string target;
  bool system;
};

std::vector<Include> includes_below(const std::string& folder) {
  static const std::regex line_pattern(R"(^\s*#\s*include\s*([<"])([^">]+)[">])");
  std::vector<Include> found;
  const fs::path root = CHOANA_SOURCE_DIR;
  for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
    const auto extension = entry.path().extension();
    if (extension != ".h" && extension != ".cpp") continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      std::smatch match;
      if (std::regex_search(line, match, line_pattern))
        found.push_back({fs::relative(entry.path(), root), match[2], match[1] == "<"});
    }
  }
  return found;
}

bool starts_with_any(const std::string& text, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& prefix) { return text.starts_with(prefix); });
}

const std::vector<std::string> modules{"core", "dicom", "scp", "processing", "reporting", "node", "training", "dicom-fixtures"};

TEST(Architecture, ModulesIncludeOnlyWhatTheyMay) {
  const std::map<std::string, std::set<std::string>> allowed{
      {"core", {"core"}},
      {"dicom", {"core", "dicom"}},
      {"scp", {"core", "scp"}},
      {"processing", {"core", "processing"}},
      {"reporting", {"core", "dicom", "reporting"}},
      {"node", {"core", "dicom", "scp", "processing", "reporting", "node", "dicom-fixtures"}},
      {"dicom-fixtures", {"core", "dicom-fixtures"}},
  };
  std::size_t seen = 0;
  for (const auto& [module, may] : allowed) {
    for (const Include& include : includes_below(module)) {
      if (include.system) continue;
      const std::string first = include.target.substr(0, include.target.find('/'));
      ++seen;
      EXPECT_TRUE(std::find(modules.begin(), modules.end(), first) != modules.end())
          << include.file << " includes \"" << include.target << "\": our headers are named from the project root";
      EXPECT_TRUE(may.contains(first)) << include.file << " (" << module << ") may not include " << include.target;
    }
  }
  EXPECT_GT(seen, 50U) << "the test reads no includes: it would hold nothing";
}

struct ThirdParty {
  std::string name;
  std::vector<std::string> prefixes;
  std::vector<std::string> folders;  // where it may be included
};

TEST(Architecture, ThirdPartiesStayInTheirRooms) {
  const std::vector<ThirdParty> parties{
      {"DCMTK", {"dcmtk/"}, {"dicom/", "reporting/", "dicom-fixtures/"}},
      {"ITK", {"itk"}, {"processing/itk/"}},
      {"libonnx", {"onnx/", "google/protobuf/"}, {"processing/onnx/onnx_graph.cpp"}},
      {"Asio and Beast", {"boost/asio", "boost/beast"}, {"scp/", "node/"}},
      {"SOCI", {"soci/"}, {"node/"}},
      {"spdlog", {"spdlog/"}, {"core/log.cpp"}},
      {"OpenSSL", {"openssl/"}, {"core/sha256.cpp", "scp/", "node/", "processing/radiomics/", "processing/prediction/"}},
      {"Eigen", {"Eigen/"}, {"core/", "processing/"}},
      {"cairo and pango", {"cairo", "pango/"}, {"reporting/charts/"}},
      {"toml++", {"toml++/"}, {"node/"}},
      {"yaml-cpp", {"yaml-cpp/"}, {"processing/radiomics/", "processing/prediction/"}},
      {"CLI11", {"CLI/"}, {"node/", "dicom-fixtures/"}},
      {"prometheus-cpp", {"prometheus/"}, {"node/"}},
  };
  for (const std::string& module : modules) {
    if (!fs::exists(fs::path(CHOANA_SOURCE_DIR) / module)) continue;
    for (const Include& include : includes_below(module)) {
      if (!include.system) continue;
      for (const ThirdParty& party : parties) {
        if (!starts_with_any(include.target, party.prefixes)) continue;
        EXPECT_TRUE(starts_with_any(include.file.generic_string(), party.folders)) << include.file << " includes " << party.name;
      }
    }
  }
}

TEST(Architecture, HeavyHeadersStayOutOfOurHeaders) {
  // spec: ITK, DCMTK, Asio and JSON cost seconds in every file that sees them. scp/asio.h is the one door to Asio.
  const std::vector<std::string> heavy{"itk", "dcmtk/", "boost/asio", "boost/beast", "nlohmann/json.hpp", "toml++/", "yaml-cpp/", "soci/", "CLI/"};
  for (const std::string& module : modules) {
    if (!fs::exists(fs::path(CHOANA_SOURCE_DIR) / module)) continue;
    for (const Include& include : includes_below(module)) {
      if (include.file.extension() != ".h" || include.file.filename() == "asio.h") continue;
      // Headers private to one folder of conversions may name the toolkit; they say so in their name.
      if (include.file.stem().string().ends_with("_internal")) continue;
      EXPECT_FALSE(include.system && starts_with_any(include.target, heavy)) << include.file << " includes <" << include.target << ">";
    }
  }
}

TEST(Architecture, TheTopLevelIsTheAgreedOne) {
  const std::set<std::string> agreed{"CMakeLists.txt", "CMakePresets.json", "README.md",  "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE",    ".ci",
                                     ".clang-format",  ".clang-tidy",       ".editorconfig", ".git",          ".gitignore",   "build",      "demo-out",
                                     "cmake",          "conf",              "core",       "dicom",           "dicom-fixtures", "docs",     "node",
                                     "processing",     "reporting",         "scp",        "scripts",         "systemd",      "tests",      "training"};
  for (const auto& entry : fs::directory_iterator(CHOANA_SOURCE_DIR))
    EXPECT_TRUE(agreed.contains(entry.path().filename().string()))
        << entry.path().filename() << " at the top needs a record in docs/decisions";
}

}  // namespace
}  // namespace choana
