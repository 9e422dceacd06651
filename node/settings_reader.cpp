#include "node/settings_reader.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <set>
#include <toml++/toml.h>

#include "core/near_match.h"
#include "core/sha256.h"
#include "core/unique_identifier.h"

namespace choana {
namespace {

constexpr std::size_t settings_max_bytes = 1 << 20;
constexpr std::size_t problems_max = 50;
constexpr std::size_t rows_max = 1000;  // [[peer]], [[destination]], [[package]]
constexpr std::string_view step = "read_settings";

// Every key of every table: what an unknown key is compared with, and where a misplaced one belongs.
struct TableKeys {
  std::string_view table;
  std::vector<std::string> keys;
};

const std::vector<TableKeys>& known_tables() {
  static const std::vector<TableKeys> tables{
      {"node", {"ae_title", "state_dir", "language"}},
      {"receive", {"listen", "associations_max", "object_max_mib", "accept_unknown_peers", "extra_sop_classes", "tls"}},
      {"receive.tls", {"listen", "certificate_file", "key_file", "trusted_file"}},
      {"peer", {"name", "ae_title", "networks"}},
      {"destination",
       {"name", "ae_title", "host", "port", "tls", "certificate_file", "key_file", "trusted_file", "storage_commitment"}},
      {"query", {"destination"}},
      {"study", {"quiet_s", "deadline_s"}},
      {"process", {"workers", "threads", "memory_max_mib", "wall_max_s"}},
      {"models", {"trusted_keys"}},
      {"package", {"path", "enabled"}},
      {"report", {"sr_sop_class", "not_analysed", "charts"}},
      {"http", {"listen", "token_file"}},
      {"store", {"url"}},
      {"retention", {"inputs_days", "results_days", "disk_low_mib", "disk_reserve_mib"}},
      {"log", {"level"}},
  };
  return tables;
}

std::string_view kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "a list";
    case toml::node_type::string: return "text";
    case toml::node_type::integer: return "a whole number";
    case toml::node_type::floating_point: return "a number with a fraction";
    case toml::node_type::boolean: return "true or false";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time: return "a date or time";
    case toml::node_type::none: break;
  }
  return "nothing";
}

// Collects everything that is wrong, with the line it stands in.
class Problems {
 public:
  explicit Problems(std::string file_name) : file_name_(std::move(file_name)) {}

  void add(const toml::source_region& where, const std::string& what) { add(where.begin.line, what); }
  void add(std::uint32_t line, const std::string& what) {
    if (problems_.size() < problems_max) problems_.emplace_back(line, file_name_ + ":" + std::to_string(line) + ": " + what);
  }
  [[nodiscard]] bool empty() const { return problems_.empty(); }
  [[nodiscard]] std::string text() {
    std::stable_sort(problems_.begin(), problems_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string all;
    for (const auto& [line, problem] : problems_) all += (all.empty() ? "" : "\n") + problem;
    return all;
  }

 private:
  std::string file_name_;
  std::vector<std::pair<std::uint32_t, std::string>> problems_;
};

// Reads the keys of one table; a value of another type or outside its range becomes a problem and leaves the default.
class TableReader {
 public:
  TableReader(const toml::table& table, std::string_view name, bool repeated, Problems& problems)
      : table_(table), name_(name), shown_(repeated ? "[[" + std::string(name) + "]]" : "[" + std::string(name) + "]"), problems_(problems) {
    const auto& tables = known_tables();
    const auto self = std::find_if(tables.begin(), tables.end(), [&](const TableKeys& t) { return t.table == name_; });
    for (const auto& [key, value] : table_) {
      if (std::find(self->keys.begin(), self->keys.end(), key.str()) != self->keys.end()) continue;
      std::string advice = did_you_mean(key.str(), self->keys);
      for (const TableKeys& other : tables)
        if (advice.empty() && std::find(other.keys.begin(), other.keys.end(), key.str()) != other.keys.end())
          advice = " It belongs in [" + std::string(other.table) + "].";
      if (advice.empty()) {
        advice = " Known keys:";
        for (const std::string& known : self->keys) advice += " " + known;
        advice += ".";
      }
      problems_.add(key.source(), "unknown key \"" + printable(key.str()) + "\" in " + shown_ + "." + advice);
    }
  }

  void text(std::string_view key, std::string& value, std::size_t length_max = 1024) {
    const toml::node* node = find(key, toml::node_type::string, "text in quotation marks");
    if (node == nullptr) return;
    const std::string& found = node->as_string()->get();
    if (found.size() > length_max || found.find('\0') != std::string::npos) {
      problem(key, "must be at most " + std::to_string(length_max) + " bytes without NUL.");
    } else {
      value = found;
    }
  }

  void path(std::string_view key, std::filesystem::path& value, const std::filesystem::path& base) {
    std::string found;
    text(key, found, 4000);
    if (!found.empty()) value = std::filesystem::path(found).is_absolute() ? std::filesystem::path(found) : (base / found).lexically_normal();
  }

  void boolean(std::string_view key, bool& value) {
    if (const toml::node* node = find(key, toml::node_type::boolean, "true or false")) value = node->as_boolean()->get();
  }

  template <typename Integer>
  void integer(std::string_view key, Integer& value, std::int64_t lowest, std::int64_t highest) {
    const toml::node* node = find(key, toml::node_type::integer, "a whole number");
    if (node == nullptr) return;
    const std::int64_t found = node->as_integer()->get();
    if (found < lowest || found > highest) {
      problem(key, "must be " + std::to_string(lowest) + " to " + std::to_string(highest) + ", not " + std::to_string(found) + ".");
    } else {
      value = static_cast<Integer>(found);
    }
  }

  // Returns the index of the word among `words`, or -1.
  int word(std::string_view key, const std::vector<std::string>& words) {
    std::string found;
    const toml::node* node = find(key, toml::node_type::string, "text in quotation marks");
    if (node == nullptr) return -1;
    found = node->as_string()->get();
    const auto at = std::find(words.begin(), words.end(), found);
    if (at != words.end()) return static_cast<int>(at - words.begin());
    std::string all;
    for (const std::string& w : words) all += (all.empty() ? "\"" : ", \"") + w + "\"";
    problem(key, "must be one of " + all + ", not \"" + printable(found) + "\"." + did_you_mean(found, words));
    return -1;
  }

  void texts(std::string_view key, std::vector<std::string>& values) {
    const toml::node* node = find(key, toml::node_type::array, "a list of texts, such as [\"a\", \"b\"]");
    if (node == nullptr) return;
    const toml::array& list = *node->as_array();
    if (list.size() > rows_max) return problem(key, "has more than " + std::to_string(rows_max) + " entries.");
    std::vector<std::string> found;
    for (const toml::node& entry : list) {
      if (!entry.is_string())
        return problems_.add(entry.source(), std::string(key) + " in " + shown_ + " expects texts, but holds " + std::string(kind_of(entry)) + ".");
      found.push_back(entry.as_string()->get());
    }
    values = std::move(found);
  }

  /// A key that must be there and not be empty.
  void required(std::string_view key) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) {
      problems_.add(table_.source(), shown_ + " needs the key " + std::string(key) + ".");
    } else if (node->is_string() && node->as_string()->get().empty()) {
      problem(key, "must not be empty.");
    }
  }

  void problem(std::string_view key, const std::string& what) {
    const toml::node* node = table_.get(key);
    problems_.add(node != nullptr ? node->source() : table_.source(), std::string(key) + " in " + shown_ + " " + what);
  }

  [[nodiscard]] bool has(std::string_view key) const { return table_.get(key) != nullptr; }
  [[nodiscard]] const toml::table& table() const { return table_; }

  // What stands in the file may be anything: show it in one short line.
  static std::string printable(std::string_view text) {
    std::string shown;
    for (const char c : text.substr(0, 60)) shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
    return shown;
  }

 private:
  const toml::node* find(std::string_view key, toml::node_type type, std::string_view expected) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return nullptr;
    if (node->type() == type) return node;
    problem(key, "expects " + std::string(expected) + ", but is " + std::string(kind_of(*node)) + ".");
    return nullptr;
  }

  const toml::table& table_;
  std::string name_;
  std::string shown_;
  Problems& problems_;
};

// PS3.5 6.2, AE: at most 16 characters of the default repertoire, no backslash or control characters, not only blanks.
bool is_ae_title(std::string_view text) {
  if (text.empty() || text.size() > 16) return false;
  bool letters = false;
  for (const char c : text) {
    if (c < 0x20 || c > 0x7E || c == '\\') return false;
    letters = letters || c != ' ';
  }
  return letters;
}

bool is_network(const std::string& text) {
  const auto slash = text.find('/');
  const std::string address = text.substr(0, slash);
  std::array<unsigned char, 16> bytes{};
  const bool v4 = inet_pton(AF_INET, address.c_str(), bytes.data()) == 1;
  if (!v4 && inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) return false;
  if (slash == std::string::npos) return true;
  int bits = -1;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + slash + 1, end, bits);
  return error == std::errc() && rest == end && bits >= 0 && bits <= (v4 ? 32 : 128);
}

bool is_host(const std::string& text) {
  if (text.empty() || text.size() > 253) return false;
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '.' || c == '-' || c == ':' || c == '_'; });
}

void read_listen(TableReader& reader, std::string_view key, ListenAddress& address) {
  if (!reader.has(key)) return;
  std::string found;
  reader.text(key, found, 300);
  if (found.empty()) return reader.problem(key, "expects an address and a port, such as \"127.0.0.1:11112\".");
  const auto parsed = parse_listen_address(found);
  if (!parsed) return reader.problem(key, parsed.error().message);
  address = *parsed;
}

void read_ae_title(TableReader& reader, std::string& title, bool any_allowed) {
  if (!reader.has("ae_title")) return;
  const std::string before = title;
  reader.text("ae_title", title);
  if (title == before || (any_allowed && title == "*")) return;
  if (is_ae_title(title)) {
    title.erase(0, title.find_first_not_of(' '));
    title.erase(title.find_last_not_of(' ') + 1);
  } else {
    reader.problem("ae_title", "must be 1 to 16 ASCII characters without backslash" + std::string(any_allowed ? ", or \"*\"." : "."));
    title = before;
  }
}

void read_tls_files(TableReader& reader, TlsFiles& files, const std::filesystem::path& base) {
  reader.path("certificate_file", files.certificate_file, base);
  reader.path("key_file", files.key_file, base);
  reader.path("trusted_file", files.trusted_file, base);
}

void read_node(TableReader reader, IdentitySettings& node, const std::filesystem::path& base) {
  read_ae_title(reader, node.ae_title, false);
  reader.path("state_dir", node.state_dir, base);
  const std::vector<std::string> languages{"en", "zh"};
  if (const int n = reader.word("language", languages); n >= 0) node.language = languages[static_cast<std::size_t>(n)];
}

void read_receive(TableReader reader, ReceiveSettings& receive, const std::filesystem::path& base, Problems& problems) {
  read_listen(reader, "listen", receive.listen);
  reader.integer("associations_max", receive.associations_max, 1, 1000);
  reader.integer("object_max_mib", receive.object_max_mib, 1, 65536);
  reader.boolean("accept_unknown_peers", receive.accept_unknown_peers);
  reader.texts("extra_sop_classes", receive.extra_sop_classes);
  for (const std::string& uid : receive.extra_sop_classes)
    if (!is_valid_uid(uid)) reader.problem("extra_sop_classes", "holds \"" + TableReader::printable(uid) + "\", which is not a UID.");
  const toml::node* tls = reader.table().get("tls");
  if (tls == nullptr) return;
  if (!tls->is_table()) return reader.problem("tls", "is a table: write [receive.tls] on a line of its own.");
  TableReader tls_reader(*tls->as_table(), "receive.tls", false, problems);
  receive.tls.emplace();
  read_listen(tls_reader, "listen", receive.tls->listen);
  read_tls_files(tls_reader, receive.tls->files, base);
  for (const std::string_view key : {"certificate_file", "key_file", "trusted_file"}) tls_reader.required(key);
}

void read_peer(TableReader reader, PeerSettings& peer) {
  reader.text("name", peer.name, 64);
  read_ae_title(reader, peer.ae_title, true);
  reader.texts("networks", peer.networks);
  for (const std::string_view key : {"name", "ae_title", "networks"}) reader.required(key);
  for (const std::string& network : peer.networks)
    if (!is_network(network))
      reader.problem("networks", "holds \"" + TableReader::printable(network) + "\"; expected addresses such as 10.1.0.0/16 or ::1/128.");
  if (reader.has("networks") && peer.networks.empty()) reader.problem("networks", "is empty: nobody could send. Use 0.0.0.0/0 for any address.");
}

void read_destination(TableReader reader, DestinationSettings& destination, const std::filesystem::path& base) {
  reader.text("name", destination.name, 64);
  read_ae_title(reader, destination.ae_title, false);
  reader.text("host", destination.host, 253);
  reader.integer("port", destination.port, 1, 65535);
  reader.boolean("tls", destination.tls);
  read_tls_files(reader, destination.tls_files, base);
  for (const std::string_view key : {"name", "ae_title", "host", "port"}) reader.required(key);
  if (!destination.host.empty() && !is_host(destination.host)) reader.problem("host", "must be a host name or an IP address.");
  const int mode = reader.word("storage_commitment", {"off", "same", "new"});
  if (mode >= 0) destination.storage_commitment = static_cast<StorageCommitmentMode>(mode);
}

void read_process(TableReader reader, ProcessSettings& process) {
  reader.integer("workers", process.workers, 1, 64);
  reader.integer("threads", process.threads, 1, 256);
  reader.integer("memory_max_mib", process.memory_max_mib, 256, 1 << 20);
  reader.integer("wall_max_s", process.wall_max_s, 10, 7 * 24 * 3600);
}

void read_models(TableReader reader, ModelSettings& models, const std::filesystem::path& base) {
  reader.texts("trusted_keys", models.trusted_keys);
  for (std::string& key : models.trusted_keys)
    if (!key.starts_with("ed25519:") && !std::filesystem::path(key).is_absolute()) key = (base / key).lexically_normal().string();
}

void read_package(TableReader reader, PackageSettings& package, const std::filesystem::path& base) {
  reader.path("path", package.path, base);
  reader.required("path");
  reader.boolean("enabled", package.enabled);
}

void read_report(TableReader reader, ReportSettings& report) {
  const int sop_class = reader.word("sr_sop_class", {"enhanced", "comprehensive", "comprehensive3d"});
  if (sop_class >= 0) report.sr_sop_class = static_cast<SrSopClass>(sop_class);
  reader.boolean("not_analysed", report.not_analysed);
  reader.boolean("charts", report.charts);
}

void read_http(TableReader reader, HttpSettings& http, const std::filesystem::path& base) {
  std::string listen;
  reader.path("token_file", http.token_file, base);
  if (reader.has("listen")) {
    reader.text("listen", listen, 300);
    if (listen.empty()) {
      http.listen.reset();
    } else {
      read_listen(reader, "listen", *http.listen);
    }
  }
  if (http.listen && !http.listen->is_loopback() && http.token_file.empty())
    reader.problem("listen", "is " + to_string(*http.listen) + ", which others can reach: set token_file as well.");
}

void read_store(TableReader reader, StoreSettings& store) {
  reader.text("url", store.url);
  if (store.url != "sqlite" && !store.url.starts_with("postgresql://"))
    reader.problem("url", "must be \"sqlite\" or \"postgresql://...\"." + did_you_mean(store.url, {"sqlite", "postgresql"}));
}

void read_retention(TableReader reader, RetentionSettings& retention) {
  reader.integer("inputs_days", retention.inputs_days, 1, 36500);
  reader.integer("results_days", retention.results_days, 1, 36500);
  reader.integer("disk_low_mib", retention.disk_low_mib, 0, 1 << 30);
  reader.integer("disk_reserve_mib", retention.disk_reserve_mib, 0, 1 << 30);
  if (retention.disk_reserve_mib > retention.disk_low_mib) reader.problem("disk_reserve_mib", "must not be above disk_low_mib.");
}

// One table of the file, or nothing; anything else under that name is a problem.
template <typename Read>
void read_table(const toml::table& root, std::string_view name, Problems& problems, Read read) {
  const toml::node* node = root.get(name);
  if (node == nullptr) return;
  if (!node->is_table()) {
    problems.add(node->source(), std::string(name) + " is a table: write [" + std::string(name) + "] on a line of its own.");
    return;
  }
  read(TableReader(*node->as_table(), name, false, problems));
}

template <typename Item, typename Read>
void read_rows(const toml::table& root, std::string_view name, Problems& problems, std::vector<Item>& items, Read read) {
  const toml::node* node = root.get(name);
  if (node == nullptr) return;
  if (!node->is_array()) {
    problems.add(node->source(), std::string(name) + " may stand several times: write [[" + std::string(name) + "]] with double brackets.");
    return;
  }
  const toml::array& rows = *node->as_array();
  if (rows.size() > rows_max) problems.add(node->source(), "there are more than " + std::to_string(rows_max) + " [[" + std::string(name) + "]].");
  for (const toml::node& row : rows) {
    if (items.size() == rows_max) return;
    if (!row.is_table()) {
      problems.add(row.source(), std::string(name) + " expects tables: write [[" + std::string(name) + "]].");
      continue;
    }
    read(TableReader(*row.as_table(), name, true, problems), items.emplace_back());
  }
}

template <typename Item>
void check_names_differ(const std::vector<Item>& items, std::string_view table, const toml::table& root, Problems& problems) {
  std::set<std::string> seen;
  const toml::array* rows = root.get_as<toml::array>(table);
  for (std::size_t n = 0; n < items.size(); ++n)
    if (!items[n].name.empty() && !seen.insert(items[n].name).second && rows != nullptr && n < rows->size())
      problems.add(rows->get(n)->source(), "there are two [[" + std::string(table) + "]] named \"" + TableReader::printable(items[n].name) + "\".");
}

void check_top_level(const toml::table& root, Problems& problems) {
  std::vector<std::string> names;
  for (const TableKeys& table : known_tables())
    if (table.table.find('.') == std::string_view::npos) names.emplace_back(table.table);
  for (const auto& [key, value] : root) {
    if (std::find(names.begin(), names.end(), key.str()) != names.end()) continue;
    std::string advice = did_you_mean(key.str(), names);
    if (!value.is_table() && !value.is_array_of_tables())
      for (const TableKeys& table : known_tables())
        if (std::find(table.keys.begin(), table.keys.end(), key.str()) != table.keys.end()) {
          advice = " It belongs in [" + std::string(table.table) + "].";
          break;
        }
    problems.add(key.source(), "unknown " + std::string(value.is_table() || value.is_array_of_tables() ? "table [" : "key \"") +
                                   TableReader::printable(key.str()) + (value.is_table() || value.is_array_of_tables() ? "]." : "\".") + advice);
  }
}

// Canonical text of what shapes a result; a new key that does so belongs here, too.
std::string result_shaping_text(const NodeSettings& settings) {
  std::string text = "choana-settings/1\nlanguage=" + settings.node.language + "\nsr_sop_class=" + std::string(to_string(settings.report.sr_sop_class)) +
                     "\nnot_analysed=" + (settings.report.not_analysed ? "1" : "0") + "\ncharts=" + (settings.report.charts ? "1" : "0") + "\n";
  for (const PackageSettings& package : settings.packages)
    if (package.enabled) text += "package=" + package.path.string() + "\n";
  return text;
}

}  // namespace

bool ListenAddress::is_loopback() const { return host.starts_with("127.") || host == "::1"; }

std::string to_string(const ListenAddress& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

std::string_view to_string(StorageCommitmentMode mode) {
  switch (mode) {
    case StorageCommitmentMode::off: return "off";
    case StorageCommitmentMode::same_association: return "same";
    case StorageCommitmentMode::new_association: return "new";
  }
  return "off";
}

std::string_view to_string(SrSopClass sop_class) {
  switch (sop_class) {
    case SrSopClass::enhanced: return "enhanced";
    case SrSopClass::comprehensive: return "comprehensive";
    case SrSopClass::comprehensive3d: return "comprehensive3d";
  }
  return "enhanced";
}

const DestinationSettings* NodeSettings::find_destination(const std::string& name) const {
  const auto at = std::find_if(destinations.begin(), destinations.end(), [&](const DestinationSettings& d) { return d.name == name; });
  return at == destinations.end() ? nullptr : &*at;
}

Result<ListenAddress> parse_listen_address(std::string_view text) {
  const auto wrong = [&] {
    return fail(ErrorCode::invalid_settings, std::string(step),
                "expects an IP address and a port, such as \"127.0.0.1:11112\" or \"[::1]:11112\", not \"" + TableReader::printable(text) + "\".");
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong();
  std::string host(text.substr(0, colon));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return wrong();
  }
  if (host == "localhost") host = "127.0.0.1";
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET, host.c_str(), bytes.data()) != 1 && inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1) return wrong();
  ListenAddress address{host, 0};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, address.port);
  if (error != std::errc() || rest != end) return wrong();
  return address;
}

Result<NodeSettings> parse_settings(std::string_view text, const std::string& file_name) {
  Problems problems(file_name.empty() ? "settings" : file_name);
  if (text.size() > settings_max_bytes) return fail(ErrorCode::limit_exceeded, std::string(step), file_name + " is larger than 1 MiB; this is no settings file.");
  std::filesystem::path base;
  toml::table root;
  try {
    base = std::filesystem::absolute(std::filesystem::path(file_name)).parent_path();
    root = toml::parse(text, std::string_view(file_name));
  } catch (const toml::parse_error& error) {
    problems.add(error.source().begin.line, "this is not TOML: " + TableReader::printable(error.description()) + ".");
    return fail(ErrorCode::invalid_settings, std::string(step), problems.text());
  } catch (const std::exception& error) {
    return fail(ErrorCode::invalid_settings, std::string(step), file_name + " could not be read: " + error.what());
  }

  NodeSettings settings;
  check_top_level(root, problems);
  read_table(root, "node", problems, [&](TableReader reader) { read_node(reader, settings.node, base); });
  read_table(root, "receive", problems, [&](TableReader reader) { read_receive(reader, settings.receive, base, problems); });
  read_rows(root, "peer", problems, settings.peers, [](TableReader reader, PeerSettings& peer) { read_peer(reader, peer); });
  read_rows(root, "destination", problems, settings.destinations,
            [&](TableReader reader, DestinationSettings& destination) { read_destination(reader, destination, base); });
  check_names_differ(settings.peers, "peer", root, problems);
  check_names_differ(settings.destinations, "destination", root, problems);
  read_table(root, "query", problems, [&](TableReader reader) {
    QuerySettings query;
    reader.text("destination", query.destination, 64);
    reader.required("destination");
    std::vector<std::string> names;
    for (const DestinationSettings& destination : settings.destinations) names.push_back(destination.name);
    if (!query.destination.empty() && settings.find_destination(query.destination) == nullptr)
      reader.problem("destination", "names \"" + TableReader::printable(query.destination) + "\", but no [[destination]] has that name." +
                                        did_you_mean(query.destination, names));
    settings.query = query;
  });
  read_table(root, "study", problems, [&](TableReader reader) {
    reader.integer("quiet_s", settings.study.quiet_s, 1, 24 * 3600);
    reader.integer("deadline_s", settings.study.deadline_s, 1, 30 * 24 * 3600);
    if (settings.study.deadline_s < settings.study.quiet_s) reader.problem("deadline_s", "must not be below quiet_s.");
  });
  read_table(root, "process", problems, [&](TableReader reader) { read_process(reader, settings.process); });
  read_table(root, "models", problems, [&](TableReader reader) { read_models(reader, settings.models, base); });
  read_rows(root, "package", problems, settings.packages,
            [&](TableReader reader, PackageSettings& package) { read_package(reader, package, base); });
  read_table(root, "report", problems, [&](TableReader reader) { read_report(reader, settings.report); });
  read_table(root, "http", problems, [&](TableReader reader) { read_http(reader, settings.http, base); });
  read_table(root, "store", problems, [&](TableReader reader) { read_store(reader, settings.store); });
  read_table(root, "retention", problems, [&](TableReader reader) { read_retention(reader, settings.retention); });
  read_table(root, "log", problems, [&](TableReader reader) {
    const std::vector<std::string> levels{"debug", "info", "warn", "error"};
    if (const int n = reader.word("level", levels); n >= 0) settings.log.level = levels[static_cast<std::size_t>(n)];
  });

  for (DestinationSettings& destination : settings.destinations) {
    if (!destination.tls || !settings.receive.tls) continue;
    TlsFiles& files = destination.tls_files;
    const TlsFiles& ours = settings.receive.tls->files;
    if (files.certificate_file.empty() && files.key_file.empty()) {
      files.certificate_file = ours.certificate_file;
      files.key_file = ours.key_file;
    }
    if (files.trusted_file.empty()) files.trusted_file = ours.trusted_file;
  }
  const toml::array* rows = root.get_as<toml::array>("destination");
  for (std::size_t n = 0; n < settings.destinations.size() && rows != nullptr; ++n) {
    const DestinationSettings& destination = settings.destinations[n];
    if (!destination.tls) continue;
    if (destination.tls_files.trusted_file.empty())
      problems.add(rows->get(n)->source(), "[[destination]] \"" + TableReader::printable(destination.name) +
                                               "\" uses TLS: it needs trusted_file, here or in [receive.tls].");
    if (destination.tls_files.certificate_file.empty() != destination.tls_files.key_file.empty())
      problems.add(rows->get(n)->source(), "[[destination]] \"" + TableReader::printable(destination.name) +
                                               "\": certificate_file and key_file go together.");
  }

  if (!problems.empty()) return fail(ErrorCode::invalid_settings, std::string(step), problems.text());
  settings.settings_sha256 = sha256_hex(result_shaping_text(settings));
  return settings;
}

Result<NodeSettings> read_settings(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return fail(ErrorCode::not_found, std::string(step), "There is no settings file " + file.string() + ".");
  if (!std::filesystem::is_regular_file(file, error))
    return fail(ErrorCode::io_error, std::string(step), file.string() + " is not a file.");
  std::ifstream stream(file, std::ios::binary);
  std::string text;
  text.resize(settings_max_bytes + 1);
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (!stream.is_open() || stream.bad())
    return fail(ErrorCode::io_error, std::string(step), file.string() + " cannot be read: " + std::strerror(errno) + ".");
  return parse_settings(text, file.string());
}

}  // namespace choana
