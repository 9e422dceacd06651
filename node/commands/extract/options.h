#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/result.h"

namespace choana::node::extract {

/// Which labels of a label map become rows.
struct LabelChoice {
  bool all = false;            // every label that occurs, ascending
  std::vector<int> labels;     // in the order written, without repeats
  bool several = false;        // written as a list or as "all": the table then has a column Label

  friend bool operator==(const LabelChoice&, const LabelChoice&) = default;
};

/// "3", "1,2,5" or "all". Errors: invalid_argument (a label is a whole number from 1).
[[nodiscard]] Result<LabelChoice> parse_labels(const std::string& text);

/// What was typed after `choana extract`.
struct Options {
  std::string input;
  std::string mask;
  std::string out;
  std::string out_dir;
  std::string mode = "segment";
  bool skip_nans = false;
  int jobs = 1;
  std::string format = "txt";
  std::string format_path = "absolute";
  std::string param;
  std::vector<std::string> settings;
  std::optional<LabelChoice> labels;
  bool union_of_labels = false;
  bool components = false;
  std::vector<std::string> rois;   // names or patterns
  std::string series;
  std::string volume;
  bool validate = false;
  int verbosity = 3;
  std::string logging_level = "WARNING";
  std::string log_file;
  std::string details;
  std::string save_images;
  bool resume = false;

  [[nodiscard]] bool is_batch() const;
};

/// The options, or the exit status where parsing ends the command (help: 0; wrong usage: 2, said on standard error).
[[nodiscard]] std::variant<Options, int> parse_options(int argc, char** argv);

}  // namespace choana::node::extract
