#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

/// A command of ours called as `main` would call it, with what it printed.
namespace choana::test {

struct CommandOutcome {
  int code = -1;
  std::string out;
  std::string err;
};

/// words: the command's name first.
inline CommandOutcome call_command(int (*command)(int, char**), std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  CommandOutcome outcome;
  outcome.code = command(static_cast<int>(words.size()), argv.data());
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

}  // namespace choana::test
