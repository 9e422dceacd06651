#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace choana::log {

enum class Level { debug, info, warn, error };

/// One key=value pair of an event. Values with blanks are quoted. Never patient data; UIDs only at debug.
struct Field {
  std::string_view key;
  std::string value;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
  template <typename T>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
  Field(std::string_view k, T v) : key(k), value(std::to_string(v)) {}
  Field(std::string_view k, double v);
};

/// Set up once by a program: level "debug" | "info" | "warn" | "error"; file "" = standard error (the journal).
void configure(std::string_view level, const std::string& file = {});

/// Write one event of a module: `event key=value ...`. `module` is scp, dicom, processing, reporting, node.
/// error = someone must act; warn = a degraded result; info = life of a study; debug = for us.
void write(Level level, std::string_view module, std::string_view event, std::initializer_list<Field> fields = {});

inline void debug(std::string_view m, std::string_view e, std::initializer_list<Field> f = {}) { write(Level::debug, m, e, f); }
inline void info(std::string_view m, std::string_view e, std::initializer_list<Field> f = {}) { write(Level::info, m, e, f); }
inline void warn(std::string_view m, std::string_view e, std::initializer_list<Field> f = {}) { write(Level::warn, m, e, f); }
inline void error(std::string_view m, std::string_view e, std::initializer_list<Field> f = {}) { write(Level::error, m, e, f); }

}  // namespace choana::log
