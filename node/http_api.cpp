#include "node/http_api.h"

#include "scp/asio.h"

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "core/log.h"
#include "core/unique_identifier.h"

namespace choana {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

constexpr int studies_default = 100;
constexpr int studies_max = 1000;
constexpr std::size_t token_min_characters = 16;

std::string text(beast::string_view view) { return {view.data(), view.size()}; }

std::string base64(const unsigned char* bytes, std::size_t size) {
  std::string out(4 * ((size + 2) / 3) + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes, static_cast<int>(size));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

// Empty when it is no base64.
std::string from_base64(const std::string& in) {
  if (in.empty() || in.size() % 4 != 0 || in.size() > 4096) return {};
  std::string out(in.size() / 4 * 3, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(in.data()), static_cast<int>(in.size()));
  if (length < 0) return {};
  out.resize(static_cast<std::size_t>(length));
  for (std::size_t n = in.size(); n-- > in.size() - 2 && in[n] == '=';) out.pop_back();
  return out;
}

// A Content-Security-Policy that lets exactly this page's own scripts run.
std::string page_policy(const std::string& page) {
  std::string hashes;
  std::size_t at = 0;
  while ((at = page.find("<script>", at)) != std::string::npos) {
    const std::size_t begin = at + 8;
    const std::size_t end = page.find("</script>", begin);
    if (end == std::string::npos) break;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_Digest(page.data() + begin, end - begin, digest, &size, EVP_sha256(), nullptr);
    hashes += " 'sha256-" + base64(digest, size) + "'";
    at = end;
  }
  return "default-src 'none'; script-src" + (hashes.empty() ? " 'none'" : hashes) +
         "; style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

std::optional<std::string> percent_decoded(std::string_view in) {
  std::string out;
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  for (std::size_t n = 0; n < in.size(); ++n) {
    if (in[n] != '%') {
      out += in[n];
      continue;
    }
    if (n + 2 >= in.size() || digit(in[n + 1]) < 0 || digit(in[n + 2]) < 0) return std::nullopt;
    out += static_cast<char>(digit(in[n + 1]) * 16 + digit(in[n + 2]));
    n += 2;
  }
  return out;
}

// What stands in a request target, split: path segments and query parameters.
struct Target {
  std::vector<std::string> path;
  std::map<std::string, std::string> query;
};

std::optional<Target> parse_target(std::string_view target) {
  if (target.empty() || target[0] != '/' || target.size() > 2048) return std::nullopt;
  Target parsed;
  std::string_view query;
  if (const auto mark = target.find('?'); mark != std::string_view::npos) {
    query = target.substr(mark + 1);
    target = target.substr(0, mark);
  }
  target.remove_prefix(1);
  while (!target.empty()) {
    const auto slash = target.find('/');
    auto segment = percent_decoded(target.substr(0, slash));
    if (!segment || parsed.path.size() >= 16) return std::nullopt;
    parsed.path.push_back(std::move(*segment));
    if (slash == std::string_view::npos) break;
    target.remove_prefix(slash + 1);
  }
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    const auto equals = pair.find('=');
    auto key = percent_decoded(pair.substr(0, equals));
    auto value = equals == std::string_view::npos ? std::optional<std::string>("") : percent_decoded(pair.substr(equals + 1));
    if (!key || !value || parsed.query.size() >= 16) return std::nullopt;
    if (!key->empty()) parsed.query[*key] = *value;
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return parsed;
}

// "localhost:8080" -> "localhost"; "[::1]:8080" -> "::1".
std::string host_name(const std::string& host) {
  if (!host.empty() && host[0] == '[') return host.substr(1, host.find(']') == std::string::npos ? std::string::npos : host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

bool names_loopback(const std::string& host) {
  std::string name = host_name(host);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name == "localhost" || name == "::1") return true;
  boost::system::error_code error;
  const auto address = asio::ip::make_address(name, error);
  return !error && address.is_loopback();
}

http::status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_found: return http::status::not_found;
    case ErrorCode::invalid_argument: return http::status::bad_request;
    case ErrorCode::limit_exceeded: return http::status::payload_too_large;
    case ErrorCode::disk_full: return http::status::insufficient_storage;
    case ErrorCode::io_error:
    case ErrorCode::timed_out: return http::status::service_unavailable;
    default: return http::status::internal_server_error;
  }
}

// Answers requests; knows nothing of sockets.
class Router {
 public:
  Router(bool loopback, std::string token, std::string dashboard, ApiBackend backend)
      : loopback_(loopback), token_(std::move(token)), dashboard_(std::move(dashboard)), page_policy_(page_policy(dashboard_)), backend_(std::move(backend)) {}

  Response answer(const Request& request) const {
    Response response;
    try {
      response = route(request);
    } catch (const std::exception& error) {
      log::error("node", "http_request_failed", {{"reason", error.what()}});
      response = problem(http::status::internal_server_error, "The request could not be answered; see the node's log.");
    }
    response.version(request.version());
    response.keep_alive(request.keep_alive());
    response.set("X-Content-Type-Options", "nosniff");
    response.set(http::field::cache_control, "no-store");
    response.set("Referrer-Policy", "no-referrer");
    response.set("Cross-Origin-Resource-Policy", "same-origin");
    if (response.find("Content-Security-Policy") == response.end()) response.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    const std::uint64_t size = response.body().size();
    if (request.method() == http::verb::head) response.body().clear();
    response.content_length(size);
    return response;
  }

  /// RFC 9457 problem document; the type is about:blank, so the title is the status phrase.
  static Response problem(http::status status, const std::string& detail, const std::string& code = {}) {
    nlohmann::ordered_json json{{"type", "about:blank"}, {"title", text(http::obsolete_reason(status))}, {"status", static_cast<int>(status)}, {"detail", detail}};
    if (!code.empty()) json["code"] = code;
    return plain(status, json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), "application/problem+json");
  }

 private:
  static Response plain(http::status status, std::string body, const char* type) {
    Response response;
    response.result(status);
    response.set(http::field::content_type, type);
    response.body() = std::move(body);
    return response;
  }
  static Response json(std::string body, http::status status = http::status::ok) { return plain(status, std::move(body), "application/json"); }
  static Response problem(const Error& error) { return problem(status_of(error.code), error.message, std::string(to_string(error.code))); }
  static Response not_found() { return problem(http::status::not_found, "There is nothing at this address."); }
  static Response wrong_method(const char* allowed) {
    Response response = problem(http::status::method_not_allowed, std::string("Allowed here: ") + allowed + ".");
    response.set(http::field::allow, allowed);
    return response;
  }

  // The token as Bearer, or as the password of Basic so that a browser can ask for it.
  [[nodiscard]] bool has_token(const Request& request) const {
    const std::string field = text(request[http::field::authorization]);
    std::string given;
    if (beast::iequals(beast::string_view(field).substr(0, 7), "bearer ")) {
      given = field.substr(7);
    } else if (beast::iequals(beast::string_view(field).substr(0, 6), "basic ")) {
      const std::string pair = from_base64(field.substr(6));
      if (const auto colon = pair.find(':'); colon != std::string::npos) given = pair.substr(colon + 1);
    }
    return given.size() == token_.size() && CRYPTO_memcmp(given.data(), token_.data(), token_.size()) == 0;
  }

  [[nodiscard]] std::optional<Response> refusal(const Request& request) const {
    const std::string host = text(request[http::field::host]);
    if (loopback_ && !names_loopback(host))
      return problem(http::status::misdirected_request, "The Host header does not name this machine's loopback address.");
    const bool changes = request.method() != http::verb::get && request.method() != http::verb::head;
    if (changes) {
      // A page of somebody else must not act through the browser of someone who is allowed to.
      const std::string origin = text(request[http::field::origin]);
      if (!origin.empty() && origin != "http://" + host && origin != "https://" + host)
        return problem(http::status::forbidden, "A page of another origin must not change anything here.");
      const std::string site = text(request["Sec-Fetch-Site"]);
      if (!site.empty() && site != "same-origin" && site != "none")
        return problem(http::status::forbidden, "A page of another site must not change anything here.");
    }
    if (!token_.empty() && !has_token(request)) {
      Response response = problem(http::status::unauthorized, "This needs the token of the node.");
      response.insert(http::field::www_authenticate, "Bearer realm=\"choana\"");
      response.insert(http::field::www_authenticate, "Basic realm=\"choana\", charset=\"UTF-8\"");
      return response;
    }
    return std::nullopt;
  }

  [[nodiscard]] Response route(const Request& request) const {
    const auto target = parse_target({request.target().data(), request.target().size()});
    if (!target) return problem(http::status::bad_request, "The address cannot be read.");
    const std::vector<std::string>& path = target->path;
    const bool reads = request.method() == http::verb::get || request.method() == http::verb::head;
    if (path.size() == 1 && path[0] == "healthz") return reads ? health() : wrong_method("GET, HEAD");
    if (path.size() == 1 && path[0] == "readyz") return reads ? readiness() : wrong_method("GET, HEAD");
    if (auto refused = refusal(request)) return std::move(*refused);
    if (path.empty()) return reads ? dashboard() : wrong_method("GET, HEAD");
    if (path.size() == 1 && path[0] == "metrics") {
      if (!reads) return wrong_method("GET, HEAD");
      if (!backend_.metrics) return not_found();
      return plain(http::status::ok, backend_.metrics(), "text/plain; version=0.0.4; charset=utf-8");
    }
    if (path.size() < 3 || path[0] != "api" || path[1] != "v1") return not_found();
    return route_api(request, *target, reads);
  }

  [[nodiscard]] Response route_api(const Request& request, const Target& target, bool reads) const {
    const std::vector<std::string>& path = target.path;
    const bool posts = request.method() == http::verb::post;
    if (path[2] == "studies" && path.size() == 3) return reads ? list(target.query) : wrong_method("GET, HEAD");
    if (path[2] == "patients" && path.size() == 5 && path[4] == "clinical" && backend_.put_clinical) {
      if (request.method() != http::verb::put) return wrong_method("PUT");
      const Status done = backend_.put_clinical(path[3], request.body());
      return done ? plain(http::status::no_content, "", "application/json") : problem(done.error());
    }
    if (path.size() < 4) return not_found();
    const std::string& uid = path[3];
    const bool known = (path[2] == "studies" && (path.size() == 4 || (path.size() == 5 && path[4] == "reprocess"))) ||
                       (path[2] == "results" && path.size() == 5 && path[4] == "resend");
    if (!known) return not_found();
    if (!is_valid_uid(uid)) return problem(http::status::bad_request, "This is no UID: digits and dots, at most 64 characters.");
    if (path.size() == 4) {
      if (!reads) return wrong_method("GET, HEAD");
      const auto story = backend_.study_story(uid);
      return story ? json(study_story_json(*story)) : problem(story.error());
    }
    if (!posts) return wrong_method("POST");
    if (path[2] == "studies") {
      const auto created = backend_.reprocess(uid);
      if (!created) return problem(created.error());
      return json(nlohmann::json{{"job", created->job_id}, {"created", created->created}}.dump(), http::status::accepted);
    }
    const auto queued = backend_.resend(uid);
    return queued ? json(nlohmann::json{{"queued", *queued}}.dump(), http::status::accepted) : problem(queued.error());
  }

  [[nodiscard]] Response health() const {
    const bool works = !backend_.healthy || backend_.healthy();
    return works ? json(R"({"status":"ok"})") : problem(http::status::service_unavailable, "The node does not make progress.");
  }

  [[nodiscard]] Response readiness() const {
    const std::vector<std::string> reasons = backend_.not_ready ? backend_.not_ready() : std::vector<std::string>();
    if (reasons.empty()) return json(R"({"status":"ready","reasons":[]})");
    nlohmann::ordered_json body{{"type", "about:blank"}, {"title", "Service Unavailable"}, {"status", 503}, {"detail", reasons.front()}, {"reasons", reasons}};
    return plain(http::status::service_unavailable, body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), "application/problem+json");
  }

  [[nodiscard]] Response dashboard() const {
    if (dashboard_.empty()) return not_found();
    Response response = plain(http::status::ok, dashboard_, "text/html; charset=utf-8");
    response.set("Content-Security-Policy", page_policy_);
    return response;
  }

  [[nodiscard]] Response list(const std::map<std::string, std::string>& query) const {
    std::optional<StudyState> state;
    std::optional<std::int64_t> after;
    int limit = studies_default;
    for (const auto& [key, value] : query) {
      const char* end = value.data() + value.size();
      if (key == "state") {
        if (value.empty()) continue;
        state = study_state_from(value);
        if (!state)
          return problem(http::status::bad_request,
                         "state must be one of collecting, ready, running, reporting, sending, delivered, not_analysed, failed, superseded.");
      } else if (key == "limit") {
        const auto [rest, error] = std::from_chars(value.data(), end, limit);
        if (error != std::errc() || rest != end || limit < 1 || limit > studies_max) return problem(http::status::bad_request, "limit must be 1 to 1000.");
      } else if (key == "after") {
        if (value.empty()) continue;
        std::int64_t number = 0;
        const auto [rest, error] = std::from_chars(value.data(), end, number);
        if (error != std::errc() || rest != end || number < 1) return problem(http::status::bad_request, "after must be the next of the page before.");
        after = number;
      } else {
        return problem(http::status::bad_request, "Unknown parameter; known: state, limit, after.");
      }
    }
    const auto page = backend_.list_studies(state, limit, after);
    return page ? json(studies_json(*page)) : problem(page.error());
  }

  bool loopback_;
  std::string token_;
  std::string dashboard_;
  std::string page_policy_;
  ApiBackend backend_;
};

class Session;

// What sessions and the listener share; everything runs in the one HTTP thread.
struct Shared {
  Router router;
  HttpLimits limits;
  std::set<Session*> open;
};

class Session final : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket&& socket, Shared& shared) : stream_(std::move(socket)), shared_(shared) { shared_.open.insert(this); }
  ~Session() { shared_.open.erase(this); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void read() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(shared_.limits.header_max_bytes));
    parser_->body_limit(shared_.limits.body_max_bytes);
    stream_.expires_after(std::chrono::seconds(shared_.limits.request_timeout_s));
    http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](beast::error_code error, std::size_t) { self->on_read(error); });
  }

  void close() {
    beast::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.socket().close(ignored);
  }

  void refuse(http::status status, const std::string& detail) {
    Response response = Router::problem(status, detail);
    response.version(11);
    write(std::move(response), true);
  }

 private:
  void on_read(beast::error_code error) {
    if (error == http::error::body_limit) return refuse(http::status::payload_too_large, "The request body is too large.");
    if (error == http::error::header_limit) return refuse(http::status::request_header_fields_too_large, "The request header is too large.");
    if (error.category() == make_error_code(http::error::bad_target).category() && error != http::error::end_of_stream && error != http::error::partial_message)
      return refuse(http::status::bad_request, "This is not an HTTP request.");
    if (error) return close();
    const Request request = parser_->release();
    if (request.version() >= 11 && request[http::field::host].empty()) return refuse(http::status::bad_request, "The Host header is missing.");
    Response response = shared_.router.answer(request);
    const bool last = !response.keep_alive();
    write(std::move(response), last);
  }

  void write(Response&& response, bool last) {
    if (last) response.keep_alive(false);
    // A HEAD answer says how long the body would be, but has none.
    if (response.find(http::field::content_length) == response.end()) response.prepare_payload();
    response_.emplace(std::move(response));
    serializer_.emplace(*response_);
    stream_.expires_after(std::chrono::seconds(shared_.limits.request_timeout_s));
    const auto done = [self = shared_from_this(), last](beast::error_code error, std::size_t) {
      if (error || last) return self->close();
      self->read();
    };
    http::async_write(stream_, *serializer_, done);
  }

  beast::tcp_stream stream_;
  Shared& shared_;
  beast::flat_buffer buffer_{64 * 1024};
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<Response> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
};

}  // namespace

struct HttpApi::State {
  State(Router router, HttpLimits limits) : shared{std::move(router), limits, {}} {}

  void accept() {
    acceptor.async_accept([this](beast::error_code error, tcp::socket socket) {
      if (!acceptor.is_open()) return;
      if (!error && static_cast<int>(shared.open.size()) < shared.limits.connections_max) {
        boost::system::error_code ignored;
        socket.set_option(tcp::no_delay(true), ignored);
        std::make_shared<Session>(std::move(socket), shared)->read();
      }
      if (!error) return accept();
      // Out of descriptors or the like: wait instead of spinning.
      pause.expires_after(std::chrono::milliseconds(200));
      pause.async_wait([this](beast::error_code) {
        if (acceptor.is_open()) accept();
      });
    });
  }

  Shared shared;  // outlives the context, whose last handlers hold sessions
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  asio::steady_timer pause{context};
  std::uint16_t port = 0;
  std::thread thread;
};

HttpApi::HttpApi(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpApi::~HttpApi() { stop(); }

Result<std::unique_ptr<HttpApi>> HttpApi::start(const ListenAddress& listen, std::string token, std::string dashboard_html, ApiBackend backend,
                                                HttpLimits limits) {
  constexpr const char* step = "http";
  if (!listen.is_loopback() && token.empty())
    return fail(ErrorCode::invalid_settings, step, "[http] listens on " + to_string(listen) + ", which others can reach: set token_file.");
  try {
    auto state = std::make_unique<State>(Router(listen.is_loopback(), std::move(token), std::move(dashboard_html), std::move(backend)), limits);
    const tcp::endpoint endpoint(asio::ip::make_address(listen.host), listen.port);
    state->acceptor.open(endpoint.protocol());
    state->acceptor.set_option(asio::socket_base::reuse_address(true));
    state->acceptor.bind(endpoint);
    state->acceptor.listen(128);
    state->port = state->acceptor.local_endpoint().port();
    state->accept();
    State* shared = state.get();
    state->thread = std::thread([shared] {
      while (true) {
        try {
          shared->context.run();
          return;
        } catch (const std::exception& error) {
          log::error("node", "http_thread_exception", {{"reason", error.what()}});
        }
      }
    });
    return std::unique_ptr<HttpApi>(new HttpApi(std::move(state)));
  } catch (const std::exception& error) {
    return fail(ErrorCode::connection_failed, step, "[http] cannot listen on " + to_string(listen) + ": " + error.what() + ".");
  }
}

std::uint16_t HttpApi::port() const { return state_->port; }

void HttpApi::stop() {
  if (!state_->thread.joinable()) return;
  asio::post(state_->context, [state = state_.get()] {
    beast::error_code ignored;
    state->acceptor.close(ignored);
    state->pause.cancel();
    const std::set<Session*> open = state->shared.open;
    for (Session* session : open) session->close();
  });
  state_->thread.join();
}

Result<std::string> read_token(const std::filesystem::path& file) {
  constexpr const char* step = "http";
  std::ifstream stream(file);
  if (!stream) return fail(ErrorCode::not_found, step, "The token file " + file.string() + " cannot be read.");
  std::string line;
  std::getline(stream, line);
  const auto first = line.find_first_not_of(" \t\r");
  if (first == std::string::npos) return fail(ErrorCode::invalid_settings, step, "The token file " + file.string() + " is empty.");
  line = line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
  if (line.size() < token_min_characters)
    return fail(ErrorCode::invalid_settings, step, "The token in " + file.string() + " has fewer than 16 characters; try `openssl rand -hex 32`.");
  return line;
}

}  // namespace choana
