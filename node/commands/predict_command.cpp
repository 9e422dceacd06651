#include "node/commands/predict_command.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <fstream>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/near_match.h"
#include "processing/prediction/model_package.h"
#include "processing/prediction/readers/table.h"

namespace choana::node {
namespace {

using processing::ModelPackage;
using processing::OutputScore;
using processing::OutputSpec;
using processing::Table;

constexpr std::size_t rows_max = 2'000'000;
constexpr std::uintmax_t bytes_max = std::uintmax_t{2} << 30U;

bool is_missing(const std::string& cell) {
  return cell.empty() || cell == "nan" || cell == "NaN" || cell == "NA" || cell.find_first_not_of(" \t") == std::string::npos;
}

std::vector<std::string> header_of(const ModelPackage& package, bool explain) {
  std::vector<std::string> header{"case"};
  for (const OutputSpec& output : package.manifest().outputs) {
    const std::size_t classes = package.classes_of(output);
    std::vector<std::string> suffixes{""};
    if (classes > 1) {
      suffixes.clear();
      for (std::size_t c = 0; c < classes; ++c) suffixes.push_back("." + std::to_string(c));
    }
    for (const std::string& s : suffixes) header.push_back(output.name + s);
    for (const std::string& s : suffixes) header.push_back(output.name + ".margin" + s);
    if (!explain) continue;
    const std::vector<std::string> parts = package.explained_by(output);
    if (parts.empty()) continue;
    for (const std::string& s : suffixes) {
      header.push_back(output.name + ".base" + s);
      for (const std::string& part : parts) header.push_back(output.name + ".shap." + part + s);
    }
  }
  return header;
}

// Cells in the order of `header_of`. An explanation that cannot be shown leaves its cells empty.
void append_cells(const ModelPackage& package, const std::vector<OutputScore>& scores, bool explain, std::vector<std::string>& cells) {
  for (std::size_t o = 0; o < scores.size(); ++o) {
    for (const double value : scores[o].values) cells.push_back(processing::print_number(value));
    for (const double margin : scores[o].margins) cells.push_back(processing::print_number(margin));
    if (!explain) continue;
    const std::size_t parts = package.explained_by(package.manifest().outputs[o]).size();
    for (const Explanation& explanation : scores[o].explanations) {
      const bool shown = !explanation.method.empty();
      cells.push_back(shown ? processing::print_number(explanation.base) : "");
      for (std::size_t p = 0; p < parts; ++p)
        cells.push_back(shown ? processing::print_number(explanation.contributions[p].contribution) : "");
    }
  }
}

nlohmann::ordered_json json_of(const std::string& name, const Result<std::vector<OutputScore>>& scores) {
  nlohmann::ordered_json row{{"case", name}};
  if (!scores) {
    row["refused"] = {{"code", to_string(scores.error().code)}, {"text", scores.error().message}};
    return row;
  }
  row["outputs"] = nlohmann::ordered_json::array();
  for (const OutputScore& score : *scores) {
    nlohmann::ordered_json output{{"name", score.name}};
    if (score.values.size() == 1) {
      output["value"] = score.values[0];
      output["margin"] = score.margins[0];
    } else {
      output["values"] = score.values;
      output["margins"] = score.margins;
    }
    auto explanations = nlohmann::ordered_json::array();
    for (const Explanation& explanation : score.explanations) {
      if (explanation.method.empty()) continue;
      nlohmann::ordered_json one{{"method", explanation.method}, {"space", explanation.space}, {"base", explanation.base}};
      for (const Contribution& part : explanation.contributions) {
        nlohmann::ordered_json item{{"feature", part.feature}};
        item["value"] = std::isnan(part.value) ? nlohmann::ordered_json() : nlohmann::ordered_json(part.value);
        item["contribution"] = part.contribution;
        one["contributions"].push_back(std::move(item));
      }
      explanations.push_back(std::move(one));
    }
    if (!explanations.empty()) output["explanations"] = std::move(explanations);
    row["outputs"].push_back(std::move(output));
  }
  return row;
}

Result<Table> read_table_file(const std::string& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  if (error) return fail(ErrorCode::not_found, "read_table", "Cannot read the table " + file + ".");
  if (size > bytes_max) return fail(ErrorCode::limit_exceeded, "read_table", "The table is larger than 2 GiB.");
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return fail(ErrorCode::io_error, "read_table", "Cannot read the table " + file + ".");
  return processing::read_table(text.str(), std::filesystem::path(file).filename().string(), rows_max);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Column of every feature; the reason why the table does not fit otherwise.
Result<std::vector<std::size_t>> bind_columns(const ModelPackage& package, const Table& table) {
  if (table.columns.front() != "case")
    return fail(ErrorCode::invalid_argument, "predict", "The first column of the table must be 'case', not '" + table.columns.front() + "'.");
  std::vector<std::size_t> positions;
  std::string missing;
  std::size_t count = 0;
  for (const auto& feature : package.manifest().features) {
    const auto position = table.find(feature.id);
    if (position) {
      positions.push_back(*position);
    } else if (++count <= 5) {
      missing += " The column " + feature.id + " is missing." + did_you_mean(feature.id, table.columns);
    }
  }
  if (count == 0 && package.needs_site() && !table.find("site"))
    return fail(ErrorCode::invalid_argument, "predict", "The package harmonises its features: the table needs a column 'site' with the site of each case (" + joined(package.site_names()) + ")." + did_you_mean("site", table.columns));
  if (count == 0) return positions;
  if (count > 5) missing += " And " + std::to_string(count - 5) + " more.";
  return fail(ErrorCode::invalid_argument, "predict",
              "The table needs a column for every feature of the package (empty cells where a value is missing)." + missing);
}

}  // namespace

int run_predict(int argc, char** argv) {
  CLI::App app{"Score rows of features with a model package.", "choana predict"};
  std::string package_path, table_path, out_path;
  bool explain = false, as_json = false;
  app.add_option("PACKAGE", package_path, "folder or zip file of the model package")->required();
  app.add_option("TABLE.csv", table_path, "first column 'case', then the features as named in the package's features.csv; empty cell = missing. A package that harmonises needs the column 'site' too")->required();
  app.add_option("--out", out_path, "write here instead of to standard output");
  app.add_flag("--explain", explain, "add <output>.base and <output>.shap.<feature>: Shapley values of the margin");
  app.add_flag("--json", as_json, "write JSON instead of CSV");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  const auto package = ModelPackage::load(package_path);
  if (!package) {
    std::cerr << "choana predict: " << to_string(package.error()) << "\n";
    return package.error().code == ErrorCode::not_found ? 2 : 1;
  }
  const auto table = read_table_file(table_path);
  if (!table) {
    std::cerr << "choana predict: " << table.error().message << "\n";
    return 2;
  }
  const auto columns = bind_columns(*package, *table);
  if (!columns) {
    std::cerr << "choana predict: " << columns.error().message << "\n";
    return 2;
  }

  const std::optional<std::size_t> site_column = package->needs_site() ? table->find("site") : std::nullopt;
  std::string text;
  const std::vector<std::string> header = header_of(*package, explain);
  const auto append_line = [&text](const std::vector<std::string>& cells) {
    for (std::size_t c = 0; c < cells.size(); ++c) text += (c == 0 ? "" : ",") + processing::csv_cell(cells[c]);
    text += '\n';
  };
  auto json_rows = nlohmann::ordered_json::array();
  if (!as_json) append_line(header);
  std::size_t refused = 0, unexplained = 0;
  std::string withheld;
  for (std::size_t r = 0; r < table->rows.size(); ++r) {
    const std::vector<std::string>& row = table->rows[r];
    std::map<std::string, double> inputs;
    std::optional<Error> problem;
    processing::CaseSite site;
    if (site_column) site.name = row[*site_column];
    for (std::size_t f = 0; f < columns->size() && !problem; ++f) {
      const std::string& cell = row[(*columns)[f]];
      if (is_missing(cell)) continue;
      if (const auto number = processing::parse_number(cell))
        inputs[package->manifest().features[f].id] = *number;
      else
        problem = Error{ErrorCode::invalid_argument, "predict", "The column " + package->manifest().features[f].id + " holds no finite number.", {}};
    }
    const Result<std::vector<OutputScore>> scores = problem ? Result<std::vector<OutputScore>>(fail(*problem)) : package->score(inputs, explain, site);
    if (!scores) {
      // A few reasons help, a million do not.
      if (++refused <= 10) std::cerr << "choana predict: line " << r + 2 << ": " << scores.error().message << "\n";
    } else {
      for (const OutputScore& score : *scores) {
        if (!score.withheld.empty()) withheld = score.withheld;
        for (const Explanation& explanation : score.explanations) unexplained += explanation.method.empty() ? 1 : 0;
      }
    }
    if (as_json) {
      json_rows.push_back(json_of(row[0], scores));
      continue;
    }
    std::vector<std::string> cells{row[0]};
    if (scores) append_cells(*package, *scores, explain, cells);
    cells.resize(header.size());
    append_line(cells);
  }
  if (as_json) text = json_rows.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (out_path.empty()) {
    std::cout << text << std::flush;
  } else {
    std::ofstream out(out_path, std::ios::binary);
    out << text;
    out.close();
    if (!out) {
      std::cerr << "choana predict: cannot write " << out_path << "\n";
      return 1;
    }
  }
  if (unexplained > 0) std::cerr << "choana predict: " << unexplained << " explanations could not be shown; their cells are empty. The last reason: " << withheld << "\n";
  if (refused == 0) return 0;
  std::cerr << "choana predict: " << refused << " of " << table->rows.size() << " rows could not be scored; their cells are empty.\n";
  return 1;
}

}  // namespace choana::node
