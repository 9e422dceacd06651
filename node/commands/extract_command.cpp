#include "node/commands/extract_command.h"

#include <filesystem>
#include <iostream>
#include <variant>

#include "node/commands/extract/batch_table.h"
#include "node/commands/extract/messages.h"
#include "node/commands/extract/options.h"
#include "node/commands/extract/plan.h"
#include "node/commands/extract/runner.h"

namespace choana::node {
namespace {

namespace fs = std::filesystem;

int validate(const extract::Batch& batch, extract::Messages& messages) {
  std::size_t wrong = 0;
  std::error_code problem;
  for (const extract::Case& one : batch.cases) {
    const std::string where = "case " + std::to_string(one.number) + " of " + std::to_string(batch.cases.size());
    bool good = true;
    for (const auto& [path, what] : {std::pair{one.image, "image"}, {one.mask, "mask"}})
      if (!fs::exists(path, problem)) {
        messages.say(extract::Level::error, where, std::string("there is no ") + what + " " + path.string());
        good = false;
      }
    if (one.problem) {
      messages.say(extract::Level::error, where, one.problem->message);
      good = false;
    }
    wrong += good ? 0 : 1;
  }
  std::cerr << "choana extract: checked " << batch.cases.size() << " case(s), " << wrong << " with an error.\n";
  return wrong == 0 ? 0 : 1;
}

}  // namespace

int run_extract(int argc, char** argv) {
  auto parsed = extract::parse_options(argc, argv);
  if (const int* status = std::get_if<int>(&parsed)) return *status;
  const extract::Options& options = std::get<extract::Options>(parsed);
  const auto usage_error = [](const std::string& message) {
    std::cerr << "choana extract: " << message << "\n";
    return 2;
  };
  const auto plan = extract::make_plan(options);
  if (!plan) return usage_error(plan.error().message);
  extract::Messages messages(options.verbosity, options.logging_level, options.log_file);
  if (!messages.good()) return usage_error("the log file " + options.log_file + " cannot be written.");
  extract::Batch batch;
  if (options.is_batch()) {
    auto read = extract::read_batch(options);
    if (!read) return usage_error(read.error().message);
    batch = std::move(*read);
    for (const std::string& warning : batch.warnings) messages.say(extract::Level::warning, "", warning);
  } else {
    if (options.mask.empty() && !fs::is_directory(options.input)) return usage_error("a single image needs a mask: choana extract IMAGE MASK.");
    batch.cases.push_back(extract::single_case(options));
  }
  return options.validate ? validate(batch, messages) : extract::run_batch(batch, *plan, options, messages);
}

}  // namespace choana::node
