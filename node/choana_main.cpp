// choana: everything a person types. One line per command; each is a file in node/commands.

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "core/near_match.h"
#include "core/version.h"
#include "node/commands/commands.h"
#include "node/commands/extract_command.h"
#include "node/commands/model_command.h"
#include "node/commands/n4_command.h"
#include "node/commands/predict_command.h"
#include "node/commands/selftest_command.h"

namespace {

struct Command {
  std::string_view name;
  std::string_view help;
  int (*run)(int, char**);
};

using namespace choana::node;  // NOLINT: the table below is the whole use

constexpr std::array commands{
    Command{"demo", "Send a study through a node and a loopback PACS, and show the result", run_demo},
    Command{"run", "Run the pipeline on a folder of DICOM without a network", run_run},
    Command{"extract", "Extract radiomic features (PyRadiomics' options and columns)", run_extract},
    Command{"n4", "Correct the bias field of one image (N4)", run_n4},
    Command{"predict", "Score rows of features with a model package", run_predict},
    Command{"model", "Check or show a model package", run_model},
    Command{"status", "Studies of a node and what became of them", run_status},
    Command{"why", "The whole story of one study", run_why},
    Command{"resend", "Send a result object again", run_resend},
    Command{"reprocess", "Run a study again on the input it has", run_reprocess},
    Command{"selftest", "Compute known values and compare; --ibsi: the table of the digital phantom", run_selftest},
    Command{"config", "config check FILE: read a settings file and say what is wrong", run_config},
};

void print_help(std::FILE* out) {
  std::fprintf(out, "choana %s, radiomics as DICOM structured reports\n\nUsage: choana COMMAND [OPTIONS]\n\n", choana::version);
  for (const Command& command : commands)
    std::fprintf(out, "  %-10.*s %.*s\n", static_cast<int>(command.name.size()), command.name.data(), static_cast<int>(command.help.size()), command.help.data());
  std::fprintf(out, "\n'choana COMMAND --help' says more. Exit codes: 0 done, 1 something failed, 2 wrong usage or settings.\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    print_help(stderr);
    return 2;
  }
  const std::string_view name = argv[1];
  if (name == "--help" || name == "-h" || name == "help") {
    print_help(stdout);
    return 0;
  }
  if (name == "--version") {
    std::printf("choana %s\n", choana::version);
    return 0;
  }
  const auto found = std::find_if(commands.begin(), commands.end(), [&](const Command& command) { return command.name == name; });
  if (found == commands.end()) {
    std::vector<std::string> names;
    for (const Command& command : commands) names.emplace_back(command.name);
    std::fprintf(stderr, "choana: unknown command '%s'.%s 'choana --help' lists them.\n", argv[1], choana::did_you_mean(name, names).c_str());
    return 2;
  }
  return found->run(argc - 1, argv + 1);
}
