#pragma once

#include <fstream>
#include <mutex>
#include <string>

namespace choana::node::extract {

enum class Level { debug = 10, info = 20, warning = 30, error = 40, critical = 50 };

/// Messages of a run on standard error and in a log file, each with its own level, as pyradiomics' --verbosity, --logging-level and --log-file say.
/// The file has pyradiomics' line format. Thread-safe. With a progress line on a terminal, messages go above it.
class Messages {
 public:
  /// verbosity: 1 (critical alone) to 5 (debug).
  Messages(int verbosity, const std::string& logging_level, const std::string& log_file);

  /// False when the log file cannot be written.
  [[nodiscard]] bool good() const { return good_; }
  /// where: "case 3" or empty.
  void say(Level level, const std::string& where, const std::string& text);

  /// Show or renew the line of progress. Only if standard error is a terminal.
  void progress(std::size_t done, std::size_t skipped, std::size_t count, double seconds);
  void end_progress();

 private:
  void draw_line();

  std::mutex mutex_;
  Level console_;
  Level file_;
  std::ofstream log_;
  bool good_ = true;
  bool terminal_ = false;
  std::string line_;
};

/// "[=====>    ] 12/40 cases, 1.3 a second, 0:22 left".
[[nodiscard]] std::string progress_line(std::size_t done, std::size_t skipped, std::size_t count, double seconds, int width);

}  // namespace choana::node::extract
