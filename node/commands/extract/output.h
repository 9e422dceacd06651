#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/result.h"

namespace choana::node::extract {

/// A cell of the output: the text of CSV and txt, and the JSON value.
struct Cell {
  enum class Kind : char { text = 't', number = 'n', not_a_number = '-', json = 'j' };
  std::string name;
  std::string text;
  Kind kind = Kind::text;
  std::string json;             // of Kind::json alone; the others follow from the text

  [[nodiscard]] std::string as_json() const;
};

/// One row of the table: a region of a case.
struct Row {
  std::vector<Cell> cells;
  std::string details;          // one JSON object, where asked for
};

/// Everything that became of a case.
struct CaseResult {
  std::vector<Row> rows;
  bool failed = false;
};

/// Text as a JSON string, bytes that are not UTF-8 replaced.
[[nodiscard]] std::string json_quoted(const std::string& text);


/// Finished cases on disk, one record each, appended as they finish; a record is whole or not there. With a path it is what `--resume` reads;
/// without, a temporary file. Memory holds an index, never the rows.
class CaseJournal {
 public:
  struct Entry {
    std::string source;         // digest of what the case asks for: columns, paths, choices
    std::string content;        // digest of the content of its inputs
    bool failed = false;
    bool has_details = false;
    std::size_t offset = 0;     // of its rows in the file
    std::size_t bytes = 0;
  };

  CaseJournal();
  ~CaseJournal();
  CaseJournal(CaseJournal&&) noexcept;
  CaseJournal& operator=(CaseJournal&&) noexcept;

  /// path empty: a temporary file. resume: take over the records of a journal of the same settings; table_start: where our table begins in a file
  /// that is appended to, kept from the journal. Errors: io_error; invalid_settings: the journal is of other settings (which), of another
  /// version, or no journal though the output exists already.
  [[nodiscard]] static Result<CaseJournal> open(const std::filesystem::path& path, bool resume, const std::string& settings, std::size_t table_start);

  [[nodiscard]] std::size_t table_start() const;
  /// The last record of that source, or nullptr.
  [[nodiscard]] const Entry* find(const std::string& source) const;
  /// Append a record and hand it to the system before returning. Not for several threads at once. Errors: io_error, disk_full.
  [[nodiscard]] Status add(const std::string& source, const std::string& content, const CaseResult& result);
  /// The rows of a record. Errors: io_error.
  [[nodiscard]] Result<CaseResult> read(const Entry& entry) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// How rows are printed.
struct TableStyle {
  std::string format = "txt";          // csv, txt, json
  std::string format_path = "absolute";
  bool skip_nans = false;
  std::filesystem::path start;         // what relative paths are relative to
};

/// Print the rows of these records in this order: PyRadiomics' layout (columns of the first row, then those only later rows have, sorted).
/// Errors: io_error.
[[nodiscard]] Status print_table(const CaseJournal& journal, const std::vector<const CaseJournal::Entry*>& entries, const TableStyle& style, std::ostream& out);

/// The rows of one case as PyRadiomics' features_N.csv.
[[nodiscard]] std::string case_csv(const CaseResult& result);

/// Write a file aside and rename it, so that it is whole or not there. keep: bytes of an existing file that stay before the text.
/// Anything that is no regular file (/dev/stdout, a pipe) is written to as it is. Errors: io_error.
[[nodiscard]] Status replace_file(const std::filesystem::path& path, std::size_t keep, const std::function<Status(std::ostream&)>& write);

}  // namespace choana::node::extract
