#pragma once

#include <array>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

/// Checks of written DICOM by programs that are not ours (dicom3tools, DCMTK's tools). Absent programs are a visible
/// skip: CHOANA_NEEDS_PROGRAM("dciodvfy").
namespace choana::test {

/// Is `program` on the PATH?
inline bool has_program(const std::string& program) { return std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0; }

struct ProgramOutput {
  int exit_status = -1;
  std::string text;  // standard output and error together
};

/// Run a program on files (no shell metacharacters in arguments: paths come from the test).
inline ProgramOutput run_program(const std::string& program, const std::vector<std::filesystem::path>& files) {
  std::string command = program;
  for (const auto& file : files) command += " '" + file.string() + "'";
  command += " 2>&1";
  ProgramOutput output;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return output;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.text.append(buffer.data(), got);
  output.exit_status = pclose(pipe);
  return output;
}

inline std::vector<std::string> lines_with(const std::string& text, const std::string& word) {
  std::vector<std::string> found;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (line.find(word) != std::string::npos) found.push_back(line);
  return found;
}

/// Error lines of dciodvfy (dicom3tools), which knows the modules of each IOD.
inline std::vector<std::string> dciodvfy_errors(const std::filesystem::path& file) { return lines_with(run_program("dciodvfy -new", {file}).text, "Error"); }

/// Warnings of dciodvfy but those on our private coding scheme and its UID, which it cannot know.
inline std::vector<std::string> dciodvfy_warnings(const std::filesystem::path& file) {
  std::vector<std::string> kept;
  for (const std::string& line : lines_with(run_program("dciodvfy -new", {file}).text, "Warning"))
    if (line.find("99CHOANA") == std::string::npos && line.find("CodingSchemeUID") == std::string::npos) kept.push_back(line);
  return kept;
}

/// What dcentvfy (dicom3tools) says of files that should agree on patient and study. It puts Accession Number into
/// different entities for SR and images; that one is left out.
inline std::vector<std::string> dcentvfy_complaints(const std::vector<std::filesystem::path>& files) {
  std::vector<std::string> kept;
  std::istringstream in(run_program("dcentvfy", files).text);
  for (std::string line; std::getline(in, line);)
    if (!line.empty() && line.find("AccessionNumber") == std::string::npos && line.find("Accession Number") == std::string::npos) kept.push_back(line);
  return kept;
}

}  // namespace choana::test

/// First line of a test that needs a program: a visible skip where it is absent.
#define CHOANA_NEEDS_PROGRAM(program) \
  do {                                \
    if (!choana::test::has_program(program)) GTEST_SKIP() << "needs the program " << (program); \
  } while (false)
