#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "node/job_store.h"
#include "node/node_settings.h"

namespace choana {

/// What the HTTP interface asks of the node. Called in the HTTP thread; must return soon and not throw.
struct ApiBackend {
  std::function<bool()> healthy;                           // GET /healthz
  std::function<std::vector<std::string>()> not_ready;     // GET /readyz: reasons, empty = ready
  std::function<std::string()> metrics;                    // GET /metrics: Prometheus text
  std::function<Result<StudyPage>(std::optional<StudyState>, int limit, std::optional<std::int64_t> after)> list_studies;
  std::function<Result<StudyStory>(const std::string& study_instance_uid)> study_story;
  std::function<Result<JobCreated>(const std::string& study_instance_uid)> reprocess;
  std::function<Result<int>(const std::string& sop_instance_uid)> resend;
  /// PUT /api/v1/patients/{id}/clinical with a JSON body; unset: 404.
  std::function<Status(const std::string& patient_id, const std::string& body)> put_clinical;
};

struct HttpLimits {
  int connections_max = 64;
  std::size_t header_max_bytes = 8 * 1024;
  std::size_t body_max_bytes = 64 * 1024;
  int request_timeout_s = 15;  // to read a request or write an answer, and between requests
};

/// JSON of `GET /api/v1/studies` and of `choana status --json`.
[[nodiscard]] std::string studies_json(const StudyPage& page);
/// JSON of `GET /api/v1/studies/{uid}` and of `choana why --json`.
[[nodiscard]] std::string study_story_json(const StudyStory& story);

/// The HTTP interface of interface.md section 4, in a thread of its own. On a loopback address no token is needed, but
/// the Host header must name a loopback host (DNS rebinding) and a changing request from a foreign Origin is refused;
/// elsewhere everything but health needs `Authorization: Bearer <token>` (or Basic with the token as password).
class HttpApi {
 public:
  /// Bind and start. token: contents of the token file, or empty; dashboard_html: what GET / answers, or empty.
  /// Errors: invalid_settings (no token and not loopback), connection_failed (address in use, ...).
  [[nodiscard]] static Result<std::unique_ptr<HttpApi>> start(const ListenAddress& listen, std::string token, std::string dashboard_html,
                                                              ApiBackend backend, HttpLimits limits = {});
  ~HttpApi();
  HttpApi(const HttpApi&) = delete;
  HttpApi& operator=(const HttpApi&) = delete;

  /// The port that is really bound.
  [[nodiscard]] std::uint16_t port() const;
  /// Stop accepting, end the sessions, join the thread.
  void stop();

 private:
  struct State;
  explicit HttpApi(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// First line of a token file, trimmed. Errors: not_found, invalid_settings (empty, shorter than 16 characters).
[[nodiscard]] Result<std::string> read_token(const std::filesystem::path& file);

/// The dashboard page built into the program, or empty.
[[nodiscard]] std::string_view dashboard_page();

}  // namespace choana
