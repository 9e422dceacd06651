#include "node/commands/extract/messages.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <iostream>

namespace choana::node::extract {
namespace {

Level level_of(const std::string& name) {
  if (name == "NOTSET" || name == "DEBUG") return Level::debug;
  if (name == "INFO") return Level::info;
  if (name == "ERROR") return Level::error;
  if (name == "CRITICAL") return Level::critical;
  return Level::warning;
}

char letter(Level level) {
  switch (level) {
    case Level::debug: return 'D';
    case Level::info: return 'I';
    case Level::warning: return 'W';
    case Level::error: return 'E';
    case Level::critical: return 'C';
  }
  return 'C';
}

std::string duration(double seconds) {
  const long whole = std::lround(std::min(seconds, 359999.0));
  char text[32];
  if (whole >= 3600) std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  else std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  return text;
}

}  // namespace

Messages::Messages(int verbosity, const std::string& logging_level, const std::string& log_file)
    : console_(static_cast<Level>(std::clamp(6 - verbosity, 1, 5) * 10)), file_(level_of(logging_level)), terminal_(isatty(STDERR_FILENO) == 1) {
  if (log_file.empty()) return;
  log_.open(log_file, std::ios::app);
  good_ = static_cast<bool>(log_);
}

void Messages::say(Level level, const std::string& where, const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (log_.is_open() && level >= file_) {
    const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    std::tm parts{};
    localtime_r(&now, &parts);
    char stamp[32];
    std::strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &parts);
    log_ << "[" << stamp << "] " << letter(level) << ": " << (where.empty() ? "" : "(" + where + ") ") << "choana.extract: " << text << "\n" << std::flush;
  }
  if (level < console_) return;
  if (!line_.empty()) std::cerr << "\r\x1b[K";
  std::cerr << "choana extract: " << (level == Level::warning ? "warning: " : "") << (where.empty() ? "" : where + ": ") << text << "\n";
  draw_line();
}

void Messages::progress(std::size_t done, std::size_t skipped, std::size_t count, double seconds) {
  if (!terminal_ || count < 2) return;
  winsize size{};
  const int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  const std::lock_guard lock(mutex_);
  line_ = progress_line(done, skipped, count, seconds, columns - 1);
  draw_line();
}

void Messages::end_progress() {
  const std::lock_guard lock(mutex_);
  if (!line_.empty()) std::cerr << "\n";
  line_.clear();
}

void Messages::draw_line() {
  if (!line_.empty()) std::cerr << "\r" << line_ << "\x1b[K" << std::flush;
}

std::string progress_line(std::size_t done, std::size_t skipped, std::size_t count, double seconds, int width) {
  std::string text = " " + std::to_string(done + skipped) + "/" + std::to_string(count) + " cases";
  if (skipped > 0) text += " (" + std::to_string(skipped) + " from before)";
  // The rate is that of the cases computed now.
  if (done > 0 && seconds > 0) {
    const double rate = static_cast<double>(done) / seconds;
    char buffer[48];
    if (rate >= 1) std::snprintf(buffer, sizeof buffer, ", %.1f a second", rate);
    else if (rate * 60 >= 1) std::snprintf(buffer, sizeof buffer, ", %.1f a minute", rate * 60);
    else std::snprintf(buffer, sizeof buffer, ", %.1f an hour", rate * 3600);
    text += buffer;
    if (done + skipped < count) text += ", " + duration(static_cast<double>(count - done - skipped) / rate) + " left";
    else text += ", " + duration(seconds);
  }
  const int bar = std::min(30, width - static_cast<int>(text.size()) - 2);
  if (bar < 5) return text.substr(0, static_cast<std::size_t>(std::max(width, 0)));
  const auto filled = static_cast<std::size_t>(static_cast<double>(bar) * static_cast<double>(done + skipped) / static_cast<double>(std::max<std::size_t>(count, 1)));
  std::string line = "[" + std::string(filled, '=');
  if (filled < static_cast<std::size_t>(bar)) line += ">" + std::string(static_cast<std::size_t>(bar) - filled - 1, ' ');
  return line + "]" + text;
}

}  // namespace choana::node::extract
