#include "node/commands/extract/output.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>
#include <unordered_map>

#include "core/version.h"
#include "processing/prediction/readers/table.h"

namespace choana::node::extract {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view journal_mark = "choana-extract-journal/1 ";
constexpr std::size_t line_bytes_max = 4096;
constexpr std::size_t settings_bytes_max = 64U << 20;
constexpr std::size_t record_bytes_max = std::size_t{4} << 30;

tl::unexpected<Error> io_problem(const std::string& what, const fs::path& path) {
  const int number = errno;
  return fail(number == ENOSPC || number == EDQUOT ? ErrorCode::disk_full : ErrorCode::io_error, "write_output",
              what + " " + path.string() + (number != 0 ? ": " + std::string(std::strerror(number)) : std::string()) + ".");
}

// -- records --

void put(std::string& bytes, std::uint32_t number) {
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(number >> shift & 0xFF);
}

void put(std::string& bytes, const std::string& text) {
  put(bytes, static_cast<std::uint32_t>(text.size()));
  bytes += text;
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  std::uint32_t number() {
    if (bytes_.size() < 4) return good_ = false, 0;
    std::uint32_t value = 0;
    for (std::size_t at = 0; at < 4; ++at) value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes_[at])) << (8 * at);
    bytes_.remove_prefix(4);
    return value;
  }
  std::string text() {
    const std::size_t size = number();
    if (!good_ || size > bytes_.size()) return good_ = false, std::string();
    std::string value(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return value;
  }
  char character() {
    if (bytes_.empty()) return good_ = false, '\0';
    const char value = bytes_.front();
    bytes_.remove_prefix(1);
    return value;
  }
  [[nodiscard]] bool good() const { return good_; }

 private:
  std::string_view bytes_;
  bool good_ = true;
};

std::string encode(const CaseResult& result) {
  std::string bytes;
  put(bytes, static_cast<std::uint32_t>(result.rows.size()));
  for (const Row& row : result.rows) {
    put(bytes, static_cast<std::uint32_t>(row.cells.size()));
    for (const Cell& cell : row.cells) {
      bytes += static_cast<char>(cell.kind);
      put(bytes, cell.name);
      put(bytes, cell.text);
      if (cell.kind == Cell::Kind::json) put(bytes, cell.json);
    }
    put(bytes, row.details);
  }
  return bytes;
}

std::optional<CaseResult> decode(std::string_view bytes) {
  Reader reader(bytes);
  CaseResult result;
  const std::uint32_t rows = reader.number();
  for (std::uint32_t r = 0; r < rows && reader.good(); ++r) {
    Row row;
    const std::uint32_t cells = reader.number();
    for (std::uint32_t c = 0; c < cells && reader.good(); ++c) {
      Cell cell;
      cell.kind = static_cast<Cell::Kind>(reader.character());
      cell.name = reader.text();
      cell.text = reader.text();
      if (cell.kind == Cell::Kind::json) cell.json = reader.text();
      row.cells.push_back(std::move(cell));
    }
    row.details = reader.text();
    result.rows.push_back(std::move(row));
  }
  if (!reader.good()) return std::nullopt;
  return result;
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// Fewer bytes than asked for: the end of the file.
std::string read_at(int file, std::size_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  std::size_t got = 0;
  while (got < size) {
    const ssize_t more = ::pread(file, bytes.data() + got, size - got, static_cast<off_t>(offset + got));
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) break;
    got += static_cast<std::size_t>(more);
  }
  bytes.resize(got);
  return bytes;
}

std::optional<std::string> line_at(int file, std::size_t offset) {
  const std::string bytes = read_at(file, offset, line_bytes_max);
  const std::size_t end = bytes.find('\n');
  if (end == std::string::npos) return std::nullopt;
  return bytes.substr(0, end);
}

// Which settings differ, by name: what a person needs to know.
std::string difference(const std::string& before, const std::string& now) {
  const auto a = nlohmann::json::parse(before, nullptr, false), b = nlohmann::json::parse(now, nullptr, false);
  if (a.is_discarded() || b.is_discarded() || !a.is_object() || !b.is_object()) return "other settings";
  std::string text;
  const auto add = [&text](const std::string& name, const std::string& was, const std::string& is) {
    if (text.size() > 400) return;
    text += (text.empty() ? "" : ", ") + name + (was.size() + is.size() < 120 ? " " + was + ", now " + is : std::string());
  };
  const std::function<void(const nlohmann::json&, const nlohmann::json&, const std::string&)> compare = [&](const auto& x, const auto& y, const std::string& path) {
    if (x == y) return;
    if (!x.is_object() || !y.is_object()) return add(path.empty() ? "settings" : path, x.is_null() ? "absent" : x.dump(), y.is_null() ? "absent" : y.dump());
    std::set<std::string> keys;
    for (const auto& [key, value] : x.items()) keys.insert(key);
    for (const auto& [key, value] : y.items()) keys.insert(key);
    for (const std::string& key : keys) compare(x.contains(key) ? x[key] : nlohmann::json(), y.contains(key) ? y[key] : nlohmann::json(), path.empty() ? key : path + "." + key);
  };
  compare(a, b, "");
  return text.empty() ? "other settings" : text;
}

// -- printing --

std::string displayed_path(const std::string& text, const TableStyle& style) {
  const fs::path path(text);
  if (style.format_path == "basename") return path.filename().string();
  const fs::path whole = fs::absolute(path).lexically_normal();
  return (style.format_path == "relative" ? whole.lexically_relative(style.start) : whole).string();
}

std::string shown(const Cell& cell, const TableStyle& style) { return cell.name == "Image" || cell.name == "Mask" ? displayed_path(cell.text, style) : cell.text; }

// JSON as Python's json.dump(indent=2) lays it out.
std::string indented(const std::string& json, std::size_t depth) {
  std::string text;
  bool in_text = false;
  const auto line = [&] { text += "\n" + std::string(2 * depth, ' '); };
  for (std::size_t at = 0; at < json.size(); ++at) {
    const char c = json[at];
    if (in_text) {
      text += c;
      if (c == '\\' && at + 1 < json.size()) text += json[++at];
      else if (c == '"') in_text = false;
    } else if (c == '"') {
      in_text = true;
      text += c;
    } else if (c == '{' || c == '[') {
      text += c;
      if (at + 1 < json.size() && json[at + 1] == (c == '{' ? '}' : ']')) {
        text += json[++at];
      } else {
        ++depth;
        line();
      }
    } else if (c == '}' || c == ']') {
      --depth;
      line();
      text += c;
    } else if (c == ',') {
      text += c;
      line();
    } else if (c == ':') {
      text += ": ";
    } else if (c != ' ' && c != '\n') {
      text += c;
    }
  }
  return text;
}

std::string csv_row(const std::vector<std::string>& cells) {
  std::string text;
  for (std::size_t at = 0; at < cells.size(); ++at) text += (at == 0 ? "" : ",") + processing::csv_cell(cells[at]);
  return text + '\n';
}

}  // namespace

std::string json_quoted(const std::string& text) { return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace); }

std::string Cell::as_json() const {
  switch (kind) {
    case Kind::number: return text;
    case Kind::not_a_number: return "null";
    case Kind::json: return json;
    case Kind::text: break;
  }
  return json_quoted(text);
}

struct CaseJournal::State {
  int file = -1;
  fs::path path;
  std::size_t table_start = 0;
  std::size_t end = 0;
  std::unordered_map<std::string, Entry> entries;   // by source, the last of each

  ~State() {
    if (file >= 0) ::close(file);
  }
};

CaseJournal::CaseJournal() : state_(std::make_unique<State>()) {}
CaseJournal::~CaseJournal() = default;
CaseJournal::CaseJournal(CaseJournal&&) noexcept = default;
CaseJournal& CaseJournal::operator=(CaseJournal&&) noexcept = default;

Result<CaseJournal> CaseJournal::open(const fs::path& path, bool resume, const std::string& settings, std::size_t table_start) {
  CaseJournal journal;
  State& state = *journal.state_;
  state.path = path;
  state.table_start = table_start;
  errno = 0;
  if (path.empty()) {
    const char* folder = std::getenv("TMPDIR");
    std::string name = (fs::path(folder != nullptr && *folder != '\0' ? folder : "/tmp") / "choana-extract-XXXXXX").string();
    state.file = ::mkostemp(name.data(), O_CLOEXEC);
    if (state.file < 0) return io_problem("Rows cannot be kept in", name);
    ::unlink(name.c_str());
    return journal;
  }
  state.file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (state.file < 0) return io_problem("The record of finished cases cannot be opened:", path);
  if (::flock(state.file, LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorCode::io_error, "open_journal", "Another run is writing " + path.string() + "; wait for it or name another output.");
  const std::string head = std::string(journal_mark) + version + "\n";
  const auto begin = [&]() -> Status {
    const std::string text = head + "settings " + std::to_string(settings.size()) + " table " + std::to_string(table_start) + "\n" + settings + "\n";
    if (::ftruncate(state.file, 0) != 0 || ::lseek(state.file, 0, SEEK_SET) != 0 || !write_all(state.file, text)) return io_problem("Cannot write", path);
    state.end = text.size();
    return {};
  };
  const auto first = line_at(state.file, 0);
  if (!resume || (!first && ::lseek(state.file, 0, SEEK_END) == 0)) {
    if (auto begun = begin(); !begun) return fail(begun.error());
    return journal;
  }
  const auto unusable = [&](const std::string& why) {
    return fail(ErrorCode::invalid_settings, "resume", path.string() + " " + why + " Without --resume, everything is computed anew.");
  };
  if (!first || !first->starts_with(journal_mark)) return unusable("is no record of an earlier run.");
  if (*first + "\n" != head) return unusable("was written by version " + first->substr(journal_mark.size()) + "; values of two versions are not mixed in one table.");
  const auto second = line_at(state.file, head.size());
  std::size_t settings_bytes = 0;
  if (!second || std::sscanf(second->c_str(), "settings %zu table %zu", &settings_bytes, &state.table_start) != 2 || settings_bytes > settings_bytes_max)
    return unusable("is damaged.");
  std::size_t at = head.size() + second->size() + 1;
  const std::string before = read_at(state.file, at, settings_bytes);
  if (before.size() != settings_bytes) return unusable("is damaged.");
  if (before != settings)
    return fail(ErrorCode::invalid_settings, "resume",
                "The earlier run had other settings: " + difference(before, settings) +
                    ". Values of two settings are not mixed in one table: take the earlier settings, name another output, or leave out --resume to compute everything anew.");
  at += settings_bytes + 1;
  while (const auto line = line_at(state.file, at)) {
    Entry entry;
    char source[65] = {}, content[65] = {};
    int failed = 0, has_details = 0;
    if (std::sscanf(line->c_str(), "case %64s %64s %d %d %zu", source, content, &failed, &has_details, &entry.bytes) != 5 || entry.bytes > record_bytes_max) break;
    entry.source = source;
    entry.content = content;
    entry.failed = failed != 0;
    entry.has_details = has_details != 0;
    entry.offset = at + line->size() + 1;
    // A record counts once its last byte is there.
    if (read_at(state.file, entry.offset + entry.bytes, 1) != "\n") break;
    at = entry.offset + entry.bytes + 1;
    state.entries[entry.source] = entry;
  }
  if (::ftruncate(state.file, static_cast<off_t>(at)) != 0) return io_problem("Cannot write", path);
  state.end = at;
  return journal;
}

std::size_t CaseJournal::table_start() const { return state_->table_start; }

const CaseJournal::Entry* CaseJournal::find(const std::string& source) const {
  const auto found = state_->entries.find(source);
  return found == state_->entries.end() ? nullptr : &found->second;
}

Status CaseJournal::add(const std::string& source, const std::string& content, const CaseResult& result) {
  Entry entry{source, content.empty() ? "-" : content, result.failed, !result.rows.empty() && !result.rows.front().details.empty(), 0, 0};
  const std::string payload = encode(result);
  entry.bytes = payload.size();
  const std::string line = "case " + entry.source + " " + entry.content + " " + (entry.failed ? "1 " : "0 ") + (entry.has_details ? "1 " : "0 ") + std::to_string(entry.bytes) + "\n";
  entry.offset = state_->end + line.size();
  errno = 0;
  if (::lseek(state_->file, static_cast<off_t>(state_->end), SEEK_SET) < 0 || !write_all(state_->file, line + payload + "\n"))
    return io_problem("The results of a case cannot be kept in", state_->path.empty() ? fs::path("the temporary folder") : state_->path);
  state_->end = entry.offset + entry.bytes + 1;
  state_->entries[source] = entry;
  return {};
}

Result<CaseResult> CaseJournal::read(const Entry& entry) const {
  const std::string bytes = read_at(state_->file, entry.offset, entry.bytes);
  auto result = bytes.size() == entry.bytes ? decode(bytes) : std::nullopt;
  if (!result) return fail(ErrorCode::io_error, "read_journal", "The record of finished cases is damaged; run again without --resume.");
  result->failed = entry.failed;
  return std::move(*result);
}

Status print_table(const CaseJournal& journal, const std::vector<const CaseJournal::Entry*>& entries, const TableStyle& style, std::ostream& out) {
  std::vector<std::string> header;
  if (style.format == "csv") {
    std::set<std::string> known, additional;
    bool first = true;
    for (const CaseJournal::Entry* entry : entries) {
      auto result = journal.read(*entry);
      if (!result) return fail(result.error());
      for (const Row& row : result->rows) {
        for (const Cell& cell : row.cells) {
          if (first) {
            header.push_back(cell.name);
            known.insert(cell.name);
          } else if (!known.contains(cell.name)) {
            additional.insert(cell.name);
          }
        }
        first = false;
      }
    }
    header.insert(header.end(), additional.begin(), additional.end());
    if (!first) out << csv_row(header);
  }
  std::unordered_map<std::string, std::size_t> column;
  for (std::size_t at = 0; at < header.size(); ++at) column[header[at]] = at;
  std::size_t number = 0;
  if (style.format == "json") out << "[";
  for (const CaseJournal::Entry* entry : entries) {
    auto result = journal.read(*entry);
    if (!result) return fail(result.error());
    for (Row& row : result->rows) {
      ++number;
      if (style.skip_nans) std::erase_if(row.cells, [](const Cell& cell) { return cell.kind == Cell::Kind::not_a_number; });
      if (style.format == "csv") {
        std::vector<std::string> cells(header.size());
        for (const Cell& cell : row.cells) cells[column.at(cell.name)] = shown(cell, style);
        out << csv_row(cells);
      } else if (style.format == "txt") {
        for (const Cell& cell : row.cells) out << "Case-" << number << "_" << cell.name << ": " << shown(cell, style) << "\n";
      } else {
        out << (number == 1 ? "\n  {" : ",\n  {");
        for (std::size_t at = 0; at < row.cells.size(); ++at) {
          const Cell& cell = row.cells[at];
          const bool is_path = cell.name == "Image" || cell.name == "Mask";
          out << (at == 0 ? "\n    " : ",\n    ") << json_quoted(cell.name) << ": " << (is_path ? json_quoted(shown(cell, style)) : indented(cell.as_json(), 2));
        }
        out << "\n  }";
      }
    }
  }
  if (style.format == "json") out << (number == 0 ? "]" : "\n]");
  out.flush();
  if (!out) return fail(ErrorCode::io_error, "write_output", "The output cannot be written.");
  return {};
}

std::string case_csv(const CaseResult& result) {
  std::vector<std::string> header;
  std::unordered_map<std::string, std::size_t> column;
  for (const Row& row : result.rows)
    for (const Cell& cell : row.cells)
      if (column.emplace(cell.name, header.size()).second) header.push_back(cell.name);
  std::string text = csv_row(header);
  for (const Row& row : result.rows) {
    std::vector<std::string> cells(header.size());
    for (const Cell& cell : row.cells) cells[column.at(cell.name)] = cell.text;
    text += csv_row(cells);
  }
  return text;
}

Status replace_file(const fs::path& path, std::size_t keep, const std::function<Status(std::ostream&)>& write) {
  std::error_code problem;
  errno = 0;
  const bool special = fs::exists(path, problem) && !fs::is_regular_file(path, problem);
  if (special) {
    std::ofstream out(path, std::ios::binary | std::ios::app);
    if (auto written = write(out); !written) return written;
    out.close();
    if (!out) return io_problem("Cannot write", path);
    return {};
  }
  // A link keeps pointing to the file it names.
  fs::path target = path;
  if (fs::is_symlink(path, problem)) target = fs::weakly_canonical(path, problem);
  const fs::path aside = target.string() + ".partial";
  {
    std::ofstream out(aside, std::ios::binary | std::ios::trunc);
    if (!out) return io_problem("Cannot write", aside);
    if (keep > 0) {
      std::ifstream in(target, std::ios::binary);
      std::vector<char> block(1U << 20);
      std::size_t left = keep;
      while (left > 0 && in) {
        in.read(block.data(), static_cast<std::streamsize>(std::min(left, block.size())));
        out.write(block.data(), in.gcount());
        left -= static_cast<std::size_t>(in.gcount());
        if (in.gcount() == 0) break;
      }
      if (left > 0) return fail(ErrorCode::io_error, "write_output", path.string() + " became shorter while it was appended to.");
    }
    if (auto written = write(out); !written) {
      fs::remove(aside, problem);
      return written;
    }
    out.close();
    if (!out) {
      const auto failed = io_problem("Cannot write", path);
      fs::remove(aside, problem);
      return failed;
    }
  }
  fs::rename(aside, target, problem);
  if (problem) return fail(ErrorCode::io_error, "write_output", "Cannot write " + path.string() + ": " + problem.message() + ".");
  return {};
}

}  // namespace choana::node::extract
