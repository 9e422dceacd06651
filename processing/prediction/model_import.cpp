#include "processing/prediction/model_import.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "core/near_match.h"
#include "processing/prediction/readers/ir_reader.h"
#include "processing/prediction/readers/model_reader.h"
#include "processing/prediction/readers/table.h"
#include "processing/prediction/readers/xgboost_reader.h"
#include "processing/prediction/selftest.h"

namespace choana::processing {
namespace {

tl::unexpected<Error> refuse(const std::string& sentence, ErrorCode code = ErrorCode::invalid_argument) { return fail(code, "import_model", sentence); }

std::string csv_line(const std::vector<std::string>& cells) {
  std::string line;
  for (std::size_t c = 0; c < cells.size(); ++c) line += (c == 0 ? "" : ",") + csv_cell(cells[c]);
  return line + "\n";
}

Result<std::vector<std::string>> read_names(const Table& table) {
  const auto column = table.find("feature");
  if (!column) return refuse("The table of features has no column 'feature'." + did_you_mean("feature", table.columns));
  if (table.rows.empty()) return refuse("The table of features names no feature.");
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (const auto& row : table.rows) {
    const std::string& name = row[*column];
    if (name.empty() || name.size() > 256 || std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
      return refuse("The table of features holds a name that is empty, longer than 256 characters or has control characters.");
    if (!seen.insert(name).second) return refuse("The table of features names '" + name + "' twice.");
    names.push_back(name);
  }
  return names;
}

std::string features_file(const Table& table, const std::vector<std::string>& names) {
  std::string text = csv_line({"order", "id", "role", "roi", "kind", "feature", "unit", "train_mean", "train_sd", "q01", "q99"});
  for (std::size_t f = 0; f < names.size(); ++f) {
    const auto optional = [&](const std::string& column) { return table.find(column) ? table.rows[f][*table.find(column)] : std::string{}; };
    const std::string unit = optional("unit");
    text += csv_line({std::to_string(f + 1), names[f], "", "", "table", names[f], unit.empty() ? "1" : unit, optional("train_mean"), optional("train_sd"), optional("q01"), optional("q99")});
  }
  return text;
}

// Rows of a table whose columns are found by the names of the features; an empty cell, nan or NA is missing.
Result<std::vector<std::vector<double>>> read_rows(const Table& table, const std::vector<std::string>& names, const std::string& what) {
  std::vector<std::size_t> columns;
  for (const std::string& name : names) {
    const auto column = table.find(name);
    if (!column) return refuse("The " + what + " lack the feature '" + name.substr(0, 128) + "'." + did_you_mean(name, table.columns));
    columns.push_back(*column);
  }
  std::vector<std::vector<double>> rows;
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    rows.emplace_back();
    for (std::size_t f = 0; f < names.size(); ++f) {
      const std::string& cell = table.rows[r][columns[f]];
      if (cell.empty() || cell == "nan" || cell == "NaN" || cell == "NA") {
        rows.back().push_back(std::numeric_limits<double>::quiet_NaN());
        continue;
      }
      const auto number = parse_number(cell);
      if (!number) return refuse("Row " + std::to_string(r + 1) + " of the " + what + " holds something else than a finite number for '" + names[f].substr(0, 128) + "'.");
      rows.back().push_back(*number);
    }
  }
  return rows;
}

// What the rows expect: one column, or one a class.
struct Expected {
  std::vector<std::size_t> columns;
  bool both_classes = false;
};

Result<Expected> find_expected(const Table& table, const Learner& learner) {
  Expected expected;
  const std::size_t outputs = learner.outputs();
  std::vector<std::size_t> by_class;
  while (const auto column = table.find("expected." + std::to_string(by_class.size()))) by_class.push_back(*column);
  const auto single = table.find("expected");
  if (single && !by_class.empty()) return refuse("The self-test rows have both 'expected' and 'expected.0'; state one of them.");
  if (single) {
    if (outputs != 1) return refuse("The model has " + std::to_string(outputs) + " classes: the self-test rows need the columns expected.0 to expected." + std::to_string(outputs - 1) + ".");
    expected.columns = {*single};
    return expected;
  }
  if (by_class.empty()) return refuse("The self-test rows have no column 'expected'." + did_you_mean("expected", table.columns));
  expected.both_classes = outputs == 1 && by_class.size() == 2 && (learner.link() == Link::logistic || learner.link() == Link::own);
  if (by_class.size() != outputs && !expected.both_classes)
    return refuse("The self-test rows expect " + std::to_string(by_class.size()) + " classes, and the model gives " + std::to_string(outputs) + (outputs == 1 ? " value." : "."));
  expected.columns = std::move(by_class);
  return expected;
}

// selftest.csv of the package. The values are the caller's; the margins, which nobody gave, are those of this version.
Result<std::string> selftest_file(const Learner& learner, const Table& table, const std::vector<std::string>& names, const std::vector<std::vector<double>>& rows,
                                  const Expected& expected, const std::string& stage, double tolerance) {
  const std::size_t outputs = learner.outputs();
  std::vector<std::string> header{"case"};
  header.insert(header.end(), names.begin(), names.end());
  for (std::size_t c = 0; c < outputs; ++c) header.push_back(stage + (outputs == 1 ? "" : "." + std::to_string(c)));
  for (std::size_t c = 0; c < outputs; ++c) header.push_back(stage + ".margin" + (outputs == 1 ? "" : "." + std::to_string(c)));
  std::string text = csv_line(header);
  const auto cases = table.find("case");
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const std::string here = "Row " + std::to_string(r + 1) + " of the self-test rows";
    std::vector<std::string> cells{cases ? table.rows[r][*cases] : "row-" + std::to_string(r + 1)};
    for (const double value : rows[r]) cells.push_back(std::isnan(value) ? "" : print_number(value));
    std::vector<std::optional<double>> wanted;
    std::size_t empty = 0;
    for (const std::size_t column : expected.columns) {
      const std::string& cell = table.rows[r][column];
      wanted.push_back(parse_number(cell));
      empty += cell.empty() ? 1 : 0;
      if (!cell.empty() && !wanted.back()) return refuse(here + " expects something else than a finite number.");
    }
    const auto scored = score(learner, rows[r]);
    if (empty == wanted.size()) {
      // The row must be refused for its missing values; the admission checks that it is.
      cells.resize(header.size());
      text += csv_line(cells);
      continue;
    }
    if (empty > 0) return refuse(here + " expects some classes and not others.");
    if (!scored) return refuse(here + " cannot be scored: " + scored.error().message, ErrorCode::selftest_mismatch);
    const auto check = [&](double want, double got) -> Status {
      if (std::abs(got - want) <= tolerance * std::max(1.0, std::abs(want))) return {};
      return refuse(here + ": expected " + print_number(want) + ", got " + print_number(got) + " (tolerance " + print_number(tolerance) + "). The model does not compute here what it computed where it was made.",
                    ErrorCode::selftest_mismatch);
    };
    std::vector<double> values;
    for (const auto& want : wanted) values.push_back(*want);
    if (expected.both_classes) {
      if (const Status status = check(values[0], 1 - scored->values[0]); !status) return fail(status.error());
      values.erase(values.begin());
    }
    for (std::size_t c = 0; c < outputs; ++c)
      if (const Status status = check(values[c], scored->values[c]); !status) return fail(status.error());
    for (const double value : values) cells.push_back(print_number(value));
    for (const double margin : scored->margins) cells.push_back(print_number(margin));
    text += csv_line(cells);
  }
  return text;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) result += c;
  }
  return result + "\"";
}

std::string onnx_keys(const OnnxSelection& selection) {
  std::string keys;
  if (!selection.input.empty()) keys += ", input: " + quoted(selection.input);
  if (!selection.output.empty()) keys += ", output: " + quoted(selection.output);
  if (!selection.score.empty()) keys += ", score: " + quoted(selection.score);
  if (selection.chosen_class) keys += ", class: " + std::to_string(*selection.chosen_class);
  return keys;
}

std::string file_name(const ImportRequest& request) {
  if (request.format == "ir") return "model/model.ir.json";
  if (request.format == "onnx") return "model/model.onnx";
  if (request.format.starts_with("lightgbm")) return "model/model.txt";
  if (request.format.starts_with("xgboost") && request.model.size() > 1 && request.model[1] != '"' && request.model[1] != '\n' && request.model[1] != ' ') return "model/model.ubj";
  return "model/model.json";
}

}  // namespace

Result<PackageFiles> import_model(const ImportRequest& request) {
  if (!(request.tolerance >= 0 && request.tolerance <= 1e-3)) return refuse("The tolerance must lie between 0 and 0.001.");
  const auto features = read_table(request.features_csv, "The table of features", ir_features_max, 64);
  if (!features) return fail(features.error());
  const auto names = read_names(*features);
  if (!names) return fail(names.error());
  const auto table = read_table(request.selftest_csv, "The table of self-test rows", 10'000);
  if (!table) return fail(table.error());
  const auto rows = read_rows(*table, *names, "self-test rows");
  if (!rows) return fail(rows.error());
  if (rows->size() < selftest_rows_min)
    return refuse("There are " + std::to_string(rows->size()) + " self-test rows; a package proves itself on at least " + std::to_string(selftest_rows_min) + ".");

  std::string stage = "model";
  while (std::any_of(names->begin(), names->end(), [&](const std::string& name) { return name == stage || name.starts_with(stage + "."); })) stage += "_";

  int iterations = 0;
  auto learner = read_model(request.format, request.model, "The model", *names, 0, request.onnx);
  if (!learner) return fail(learner.error());
  const auto expected = find_expected(*table, *learner);
  if (!expected) return fail(expected.error());
  auto selftest = selftest_file(*learner, *table, *names, *rows, *expected, stage, request.tolerance);
  if (!selftest && request.format.starts_with("xgboost")) {
    // scikit-learn's interface of XGBoost predicts with the best round, the native one with all: the rows tell.
    iterations = xgboost_best_rounds(request.model);
    auto shorter = iterations > 0 ? read_model(request.format, request.model, "The model", *names, iterations) : Result<Learner>(fail(selftest.error()));
    if (shorter) {
      auto second = selftest_file(*shorter, *table, *names, *rows, *expected, stage, request.tolerance);
      if (second) {
        learner = std::move(shorter);
        selftest = std::move(second);
      }
    }
    if (!selftest) iterations = 0;
  }
  if (!selftest) return fail(selftest.error());

  PackageFiles package;
  const std::string file = file_name(request);
  const std::string title = request.title.empty() ? "Imported " + request.format + " model (" + std::string(learner->kind()) + ")" : request.title;
  std::string manifest = "format: choana-model/1\nid: " + quoted(request.id) + "\nversion: " + quoted(request.version) + "\ntitle: " + quoted(title) +
                         "\nstatus: research\nintended_use: " + quoted("Imported with 'choana model import'; its intended use has not been stated.") +
                         "\ninputs: {}\nfeatures: features.csv\nstages:\n  - {id: " + stage + ", type: " + std::string(learner->kind()) + ", format: " + request.format + ", file: " + file +
                         ", in: table" + (iterations > 0 ? ", iterations: " + std::to_string(iterations) : "") + onnx_keys(request.onnx) + "}\noutputs:\n  - {from: " + stage +
                         ", name: prediction, endpoint: PREDICTION, primary: true" + (expected->both_classes ? ", both_classes: true" : "") +
                         "}\n" + (request.background_csv.empty() ? "" : "background: background.csv\n") + "missing: {table: pass}\nselftest: {file: selftest.csv, tolerance: {stages: " + print_number(request.tolerance) +
                         "}}\nprovenance: {imported_from: " + request.format + "}\nintegrity: {sums: SHA256SUMS}\n";
  package.content["manifest.yaml"] = std::move(manifest);
  package.content["features.csv"] = features_file(*features, *names);
  package.content["selftest.csv"] = std::move(*selftest);
  package.content[file] = request.model;
  if (!request.background_csv.empty()) {
    const auto background = read_table(request.background_csv, "The table of background rows", 100);
    if (!background) return fail(background.error());
    const auto points = read_rows(*background, *names, "background rows");
    if (!points) return fail(points.error());
    std::string text = csv_line(*names);
    for (const auto& point : *points) {
      std::vector<std::string> cells;
      for (const double value : point) cells.push_back(std::isnan(value) ? "" : print_number(value));
      text += csv_line(cells);
    }
    package.content["background.csv"] = std::move(text);
  }
  package.content["MODEL_CARD.md"] = "# " + title + "\n\nImported with `choana model import` from a file of the format " + request.format + " with " + std::to_string(names->size()) +
                                     " inputs. Complete this card (population, limits, contact) and the manifest before use.\nThe expected values of `selftest.csv` came with the model; its margins are those that Choana computed at import.\n";
  seal(package);
  return package;
}

}  // namespace choana::processing
