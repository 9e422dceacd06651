#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace choana::processing {

/// A CSV file as text cells: a header of unique names and rows of the same length.
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;

  /// Position of a column, or nothing.
  [[nodiscard]] std::optional<std::size_t> find(std::string_view column) const;
};

/// Read CSV (RFC 4180: comma, double quotes, LF or CRLF; a byte order mark is skipped; empty lines are skipped).
/// name: of the file, for messages. Errors: invalid_argument (no header, a repeated or empty column name, a row of another
/// length, an open quote), limit_exceeded (more than rows_max rows or columns_max columns).
[[nodiscard]] Result<Table> read_table(std::string_view csv, const std::string& name, std::size_t rows_max,
                                       std::size_t columns_max = 50'000);

/// A finite decimal number in the C locale, surrounding blanks allowed; nothing if the cell is anything else.
[[nodiscard]] std::optional<double> parse_number(std::string_view cell);

/// 17 significant digits, which read back as the same double.
[[nodiscard]] std::string print_number(double value);

/// A cell as CSV writes it: quoted where it holds a comma, a quote or a line break.
[[nodiscard]] std::string csv_cell(std::string_view text);

}  // namespace choana::processing
