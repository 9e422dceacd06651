#include "processing/prediction/readers/table.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <set>

namespace choana::processing {

std::optional<std::size_t> Table::find(std::string_view column) const {
  for (std::size_t c = 0; c < columns.size(); ++c)
    if (columns[c] == column) return c;
  return std::nullopt;
}

Result<Table> read_table(std::string_view csv, const std::string& name, std::size_t rows_max, std::size_t columns_max) {
  const auto refuse = [&](ErrorCode code, const std::string& what) { return fail(code, "read_table", name + " " + what + "."); };
  if (csv.starts_with("\xEF\xBB\xBF")) csv.remove_prefix(3);
  Table table;
  std::vector<std::string> row;
  std::string cell;
  bool quoted = false, was_quoted = false;
  std::size_t line = 1;
  std::optional<Error> problem;
  const auto end_row = [&] {
    row.push_back(std::move(cell));
    cell.clear();
    const bool blank = row.size() == 1 && row[0].empty() && !was_quoted;
    was_quoted = false;
    if (blank) {
      row.clear();
      return;
    }
    if (table.columns.empty()) {
      table.columns = std::move(row);
    } else if (row.size() != table.columns.size()) {
      problem = refuse(ErrorCode::invalid_argument, "has " + std::to_string(row.size()) + " cells in line " + std::to_string(line) +
                                                        " and " + std::to_string(table.columns.size()) + " columns").value();
    } else if (table.rows.size() == rows_max) {
      problem = refuse(ErrorCode::limit_exceeded, "has more than " + std::to_string(rows_max) + " rows").value();
    } else {
      table.rows.push_back(std::move(row));
    }
    row.clear();
  };
  for (std::size_t i = 0; i < csv.size() && !problem; ++i) {
    const char c = csv[i];
    if (quoted) {
      if (c == '"' && i + 1 < csv.size() && csv[i + 1] == '"') {
        cell += '"';
        ++i;
      } else if (c == '"') {
        quoted = false;
      } else {
        if (c == '\n') ++line;
        cell += c;
      }
    } else if (c == '"' && cell.empty()) {
      quoted = was_quoted = true;
    } else if (c == ',') {
      row.push_back(std::move(cell));
      cell.clear();
      if (row.size() > columns_max) return refuse(ErrorCode::limit_exceeded, "has more than " + std::to_string(columns_max) + " columns");
    } else if (c == '\n' || c == '\r') {
      end_row();
      if (c == '\r' && i + 1 < csv.size() && csv[i + 1] == '\n') ++i;
      ++line;
    } else {
      cell += c;
    }
  }
  if (quoted) return refuse(ErrorCode::invalid_argument, "ends inside a quoted cell");
  if (!problem && (!cell.empty() || !row.empty())) end_row();
  if (problem) return fail(*problem);
  if (table.columns.empty()) return refuse(ErrorCode::invalid_argument, "has no header line");
  std::set<std::string_view> seen;
  for (const std::string& column : table.columns) {
    if (column.empty()) return refuse(ErrorCode::invalid_argument, "has a column without a name");
    if (!seen.insert(column).second) return refuse(ErrorCode::invalid_argument, "has the column '" + column.substr(0, 80) + "' twice");
  }
  return table;
}

std::optional<double> parse_number(std::string_view cell) {
  while (!cell.empty() && (cell.front() == ' ' || cell.front() == '\t')) cell.remove_prefix(1);
  while (!cell.empty() && (cell.back() == ' ' || cell.back() == '\t')) cell.remove_suffix(1);
  if (cell.starts_with('+') && !cell.starts_with("+-")) cell.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc{} || end != cell.data() + cell.size() || cell.empty() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string print_number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

std::string csv_cell(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string cell = "\"";
  for (const char c : text) {
    if (c == '"') cell += '"';
    cell += c;
  }
  return cell + '"';
}

}  // namespace choana::processing
