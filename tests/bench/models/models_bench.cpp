// CPU time of scoring and explaining one row. Prints `NAME microseconds` lines; asserts nothing.
//   models_bench model FORMAT MODEL ROWS [BACKGROUND_ROWS]   a learner: score, explain (path-dependent; interventional with the first rows)
//   models_bench package PACKAGE ROWS                       a whole package: ModelPackage::score without and with explanations
// ROWS: a table with a header and numbers (empty: missing). Every figure is the least mean over the rows of five rounds.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "processing/prediction/model_package.h"
#include "processing/prediction/readers/model_reader.h"
#include "processing/prediction/readers/table.h"
#include "processing/prediction/shapley/interventional_shapley.h"
#include "processing/prediction/shapley/tree_shapley.h"

using namespace choana;
using namespace choana::processing;

namespace {

std::string content(const char* path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void fail_with(const std::string& sentence) {
  std::fprintf(stderr, "%s\n", sentence.c_str());
  std::exit(1);
}

double sink = 0;

// One call for each row, in turns; enough turns for 30 ms a round.
void measure(const char* name, std::size_t rows, const std::function<double(std::size_t)>& call) {
  double best = std::numeric_limits<double>::infinity();
  std::size_t turns = 1;
  for (int round = 0; round < 5;) {
    const std::clock_t start = std::clock();
    for (std::size_t t = 0; t < turns; ++t)
      for (std::size_t r = 0; r < rows; ++r) sink += call(r);
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    if (seconds < 0.03) {
      turns *= 2;
      continue;
    }
    best = std::min(best, 1e6 * seconds / static_cast<double>(turns * rows));
    ++round;
  }
  std::printf("%s %.3f\n", name, best);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const bool whole = std::string(argv[1]) == "package";
  const char* rows_path = argv[whole ? 3 : 4];
  const auto table = read_table(content(rows_path), "rows", 10000);
  if (!table) fail_with(table.error().message);
  std::vector<std::vector<double>> rows;
  for (const auto& cells : table->rows) {
    rows.emplace_back();
    for (const std::string& cell : cells) rows.back().push_back(parse_number(cell).value_or(std::numeric_limits<double>::quiet_NaN()));
  }
  if (whole) {
    const auto package = ModelPackage::load(argv[2]);
    if (!package) fail_with(package.error().message);
    std::vector<std::map<std::string, double>> inputs(rows.size());
    for (std::size_t r = 0; r < rows.size(); ++r)
      for (std::size_t c = 0; c < table->columns.size(); ++c) inputs[r][table->columns[c]] = rows[r][c];
    measure("package_score", rows.size(), [&](std::size_t r) { return package->score(inputs[r], false).value()[0].values[0]; });
    measure("package_explain", rows.size(), [&](std::size_t r) { return package->score(inputs[r], true).value()[0].values[0]; });
  } else {
    const auto learner = read_model(argv[2], content(argv[3]), "model", table->columns);
    if (!learner) fail_with(learner.error().message);
    measure("score", rows.size(), [&](std::size_t r) { return score(*learner, rows[r])->values[0]; });
    if (const auto* trees = std::get_if<TreeEnsemble>(&learner->model)) {
      if (trees->has_cover) measure("path_dependent", rows.size(), [&](std::size_t r) { return explain_trees(*trees, rows[r]).value()[0].shares[0]; });
      const std::size_t count = argc > 5 ? static_cast<std::size_t>(std::atoi(argv[5])) : 0;
      if (count > 0 && count <= rows.size()) {
        const auto background = prepare_background(*trees, {rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(count)});
        measure("interventional", std::min<std::size_t>(rows.size(), 20),
                [&](std::size_t r) { return explain_trees_interventional(*trees, rows[r], background).value()[0].shares[0]; });
      }
    }
  }
  return sink == 0.123456789 ? 1 : 0;
}
