#include "node/http_api.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/unit/node/temporary_folder.h"

namespace choana {
namespace {

// A client of plain sockets: nothing of the code under test.
class Connection {
 public:
  explicit Connection(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Connection() { ::close(socket_); }
  void send(const std::string& bytes) const { static_cast<void>(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL)); }
  [[nodiscard]] std::string until_closed() const {
    std::string all;
    char bytes[4096];
    for (ssize_t size = 0; (size = ::recv(socket_, bytes, sizeof bytes, 0)) > 0;) all.append(bytes, static_cast<std::size_t>(size));
    return all;
  }

 private:
  int socket_ = -1;
};

struct Answer {
  int status = 0;
  std::string head;
  std::string body;

  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
  [[nodiscard]] bool has(const std::string& header) const { return head.find(header) != std::string::npos; }
};

Answer parse(const std::string& all) {
  Answer answer;
  const auto end = all.find("\r\n\r\n");
  if (end == std::string::npos) return answer;
  answer.head = all.substr(0, end + 2);
  answer.body = all.substr(end + 4);
  answer.status = std::atoi(all.c_str() + 9);
  return answer;
}

class HttpApiTest : public testing::Test {
 protected:
  void start(const std::string& host = "127.0.0.1", const std::string& token = {}, HttpLimits limits = {}) {
    ApiBackend backend;
    backend.healthy = [] { return true; };
    backend.not_ready = [this] { return reasons; };
    backend.metrics = [] { return "choana_ready 1\n"; };
    backend.list_studies = [this](std::optional<StudyState> state, int limit, std::optional<std::int64_t> after) -> Result<StudyPage> {
      asked = (state ? std::string(to_string(*state)) : "any") + " " + std::to_string(limit) + " " + std::to_string(after.value_or(0));
      StudyPage list;
      list.studies.push_back(story.study);
      list.next = 7;
      return list;
    };
    backend.study_story = [this](const std::string& uid) -> Result<StudyStory> {
      if (uid != "1.2.3") return fail(ErrorCode::not_found, "job_store", "The job store knows no study of this UID.");
      return story;
    };
    backend.reprocess = [this](const std::string& uid) -> Result<JobCreated> {
      asked = "reprocess " + uid;
      return JobCreated{5, true};
    };
    backend.resend = [this](const std::string& uid) -> Result<int> {
      asked = "resend " + uid;
      return 2;
    };
    auto started = HttpApi::start({host, 0}, token, page, backend, limits);
    ASSERT_TRUE(started) << started.error().message;
    api = std::move(*started);
    ASSERT_NE(api->port(), 0);
  }

  void SetUp() override {
    story.study.study_instance_uid = "1.2.3";
    story.study.study_number = 9;
    story.study.state = StudyState::not_analysed;
    story.study.revision = 2;
    story.study.outcome = "not_analysed";
    story.study.reason_code = "missing_role";
    story.study.reason_text = "No contrast-enhanced T1 series was found.";
    story.study.first_at_ms = 1'700'000'000'123;
    story.study.attempts.push_back({1, 1'700'000'001'000, 1'700'000'002'000, "worker_crashed: signal 11"});
    Delivery delivery;
    delivery.destination = "pacs";
    delivery.sop_instance_uid = "7.1";
    delivery.kind = "SR-R";
    delivery.state = DeliveryState::delivered;
    delivery.attempts = 2;
    delivery.last_status = "0000";
    story.study.deliveries.push_back(delivery);
    story.deliveries.push_back(delivery);
    story.result_json = R"({"format":"choana-result/1","features":[{"value":0.1}]})";
    story.events.push_back({1'700'000'000'123, "received", "The first object \"arrived\"."});
  }

  Answer request(const std::string& line, const std::string& more = {}, const std::string& host = "localhost") {
    const Connection connection(api->port());
    connection.send(line + " HTTP/1.1\r\n" + (host.empty() ? "" : "Host: " + host + "\r\n") + "Connection: close\r\n" + more + "\r\n");
    return parse(connection.until_closed());
  }
  Answer get(const std::string& target, const std::string& more = {}) { return request("GET " + target, more); }
  Answer post(const std::string& target, const std::string& more = {}) { return request("POST " + target, "Content-Length: 0\r\n" + more); }

  std::vector<std::string> reasons;
  std::string page = "<!doctype html><script>start()</script>";
  std::string asked;
  StudyStory story;
  std::unique_ptr<HttpApi> api;
};

TEST_F(HttpApiTest, HealthAndReadinessAnswer) {
  start();
  EXPECT_EQ(get("/healthz").status, 200);
  EXPECT_EQ(get("/readyz").status, 200);
  reasons = {"The disk is almost full.", "No destination is configured."};
  const Answer answer = get("/readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("application/problem+json"));
  EXPECT_EQ(answer.json()["reasons"].size(), 2U);
  EXPECT_EQ(answer.json()["detail"], "The disk is almost full.");
}

TEST_F(HttpApiTest, MetricsArePrometheusText) {
  start();
  const Answer answer = get("/metrics");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.has("text/plain; version=0.0.4"));
  EXPECT_EQ(answer.body, "choana_ready 1\n");
}

TEST_F(HttpApiTest, StudiesAreListedWithTheirNames) {
  start();
  const Answer answer = get("/api/v1/studies?state=not_analysed&limit=50&after=12");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(asked, "not_analysed 50 12");
  const auto study = answer.json()["studies"][0];
  EXPECT_EQ(study["study_instance_uid"], "1.2.3");
  EXPECT_EQ(study["study_number"], 9);
  EXPECT_EQ(study["state"], "not_analysed");
  EXPECT_EQ(study["revision"], 2);
  EXPECT_EQ(study["outcome"], "not_analysed");
  EXPECT_EQ(study["reason"]["code"], "missing_role");
  EXPECT_EQ(study["received_at"], "2023-11-14T22:13:20.123Z") << "date -u -d @1700000000";
  EXPECT_TRUE(study["updated_at"].is_null());
  EXPECT_EQ(study["deliveries"][0]["last_status"], "0000");
  EXPECT_EQ(study["attempts"][0]["error"], "worker_crashed: signal 11");
  EXPECT_EQ(answer.json()["next"], "7");
  EXPECT_EQ(get("/api/v1/studies").status, 200);
  EXPECT_EQ(asked, "any 100 0");
}

TEST_F(HttpApiTest, WrongParametersAreExplained) {
  start();
  for (const char* query : {"state=lost", "limit=0", "limit=1001", "limit=ten", "after=x", "stat=ready", "limit=%zz"}) {
    const Answer answer = get(std::string("/api/v1/studies?") + query);
    EXPECT_EQ(answer.status, 400) << query;
    EXPECT_TRUE(answer.has("application/problem+json")) << query;
    EXPECT_EQ(answer.json()["status"], 400) << query;
  }
}

TEST_F(HttpApiTest, AStudyTellsItsStory) {
  start();
  const auto json = get("/api/v1/studies/1.2.3").json();
  EXPECT_EQ(json["result"]["format"], "choana-result/1");
  EXPECT_EQ(json["deliveries"][0]["destination"], "pacs");
  EXPECT_EQ(json["deliveries"][0]["attempts"], 2);
  EXPECT_EQ(json["events"][0]["text"], "The first object \"arrived\".");
  const Answer unknown = get("/api/v1/studies/9.9");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.json()["code"], "not_found");
  EXPECT_EQ(get("/api/v1/studies/..%2f..%2fetc").status, 400);
}

TEST_F(HttpApiTest, ReprocessAndResendAreAccepted) {
  start();
  EXPECT_EQ(post("/api/v1/studies/1.2.3/reprocess").status, 202);
  EXPECT_EQ(asked, "reprocess 1.2.3");
  const Answer answer = post("/api/v1/results/7.1/resend");
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.json()["queued"], 2);
  const Answer read = get("/api/v1/results/7.1/resend");
  EXPECT_EQ(read.status, 405);
  EXPECT_TRUE(read.has("Allow: POST"));
}

TEST_F(HttpApiTest, UnknownAddressesAreProblems) {
  start();
  for (const char* target : {"/nothing", "/api/v1", "/api/v2/studies", "/api/v1/studies/1.2/delete", "/healthz/x", "/api/v1/patients/1/clinical"}) {
    const Answer answer = get(target);
    EXPECT_EQ(answer.status, 404) << target;
    EXPECT_TRUE(answer.has("application/problem+json")) << target;
  }
}

TEST_F(HttpApiTest, TheDashboardRunsOnlyItsOwnScript) {
  start();
  const Answer answer = get("/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, page);
  // printf 'start()' | openssl dgst -sha256 -binary | base64
  EXPECT_TRUE(answer.has("script-src 'sha256-DIm7WJS6ZKDYe5qFLPy+h4JFI9Bol5QmYC57mt3Fb00='")) << answer.head;
  EXPECT_TRUE(answer.has("default-src 'none'"));
  EXPECT_TRUE(answer.has("frame-ancestors 'none'"));
  EXPECT_TRUE(answer.has("X-Content-Type-Options: nosniff"));
}

TEST_F(HttpApiTest, AHostNameThatIsNotOursIsRefusedOnTheLoopback) {
  start();
  EXPECT_EQ(request("GET /api/v1/studies", "", "evil.example").status, 421);
  EXPECT_EQ(request("GET /", "", "127.0.0.1.evil.example").status, 421);
  for (const char* host : {"localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "127.3.2.1"})
    EXPECT_EQ(request("GET /api/v1/studies", "", host).status, 200) << host;
  EXPECT_EQ(request("GET /api/v1/studies", "", "").status, 400) << "HTTP/1.1 needs a Host";
}

TEST_F(HttpApiTest, AForeignPageCannotChangeAnything) {
  start();
  EXPECT_EQ(post("/api/v1/studies/1.2.3/reprocess", "Origin: http://evil.example\r\n").status, 403);
  EXPECT_EQ(post("/api/v1/studies/1.2.3/reprocess", "Sec-Fetch-Site: cross-site\r\n").status, 403);
  EXPECT_EQ(post("/api/v1/studies/1.2.3/reprocess", "Origin: null\r\n").status, 403);
  EXPECT_TRUE(asked.empty());
  EXPECT_EQ(post("/api/v1/studies/1.2.3/reprocess", "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n").status, 202);
}

TEST_F(HttpApiTest, OffTheLoopbackEverythingButHealthNeedsTheToken) {
  const auto refused = HttpApi::start({"0.0.0.0", 0}, "", "", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_settings);
  start("0.0.0.0", "0123456789abcdef");
  EXPECT_EQ(get("/healthz").status, 200);
  EXPECT_EQ(get("/readyz").status, 200);
  for (const char* target : {"/", "/metrics", "/api/v1/studies", "/api/v1/studies/1.2.3"}) {
    const Answer answer = get(target);
    EXPECT_EQ(answer.status, 401) << target;
    EXPECT_TRUE(answer.has("WWW-Authenticate: Bearer")) << target;
    EXPECT_EQ(get(target, "Authorization: Bearer 0123456789abcdef\r\n").status, 200) << target;
    EXPECT_EQ(get(target, "Authorization: Bearer 0123456789abcdeX\r\n").status, 401) << target;
    EXPECT_EQ(get(target, "Authorization: Bearer 0123456789abcdef0\r\n").status, 401) << target;
    // printf 'any:0123456789abcdef' | base64
    EXPECT_EQ(get(target, "Authorization: Basic YW55OjAxMjM0NTY3ODlhYmNkZWY=\r\n").status, 200) << target;
    EXPECT_EQ(get(target, "Authorization: Basic !!!\r\n").status, 401) << target;
  }
  EXPECT_EQ(post("/api/v1/studies/1.2.3/reprocess").status, 401);
  EXPECT_TRUE(asked.find("reprocess") == std::string::npos);
}

TEST_F(HttpApiTest, HeadAnswersWithoutABodyAndKeepAliveWorks) {
  start();
  const Answer head = request("HEAD /metrics");
  EXPECT_EQ(head.status, 200);
  EXPECT_TRUE(head.has("Content-Length: 15"));
  EXPECT_TRUE(head.body.empty());
  const Connection connection(api->port());
  connection.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string both = connection.until_closed();
  EXPECT_NE(both.find("{\"status\":\"ok\"}"), std::string::npos);
  EXPECT_NE(both.find("choana_ready 1"), std::string::npos);
}

TEST_F(HttpApiTest, TooMuchIsRefused) {
  HttpLimits limits;
  limits.body_max_bytes = 1000;
  start("127.0.0.1", "", limits);
  EXPECT_EQ(get("/healthz", "X: " + std::string(20'000, 'x') + "\r\n").status, 431);
  EXPECT_EQ(request("PUT /api/v1/patients/1/clinical", "Content-Length: 1001\r\n").status, 413);
  EXPECT_EQ(get("/" + std::string(3000, 'a')).status, 400);
  const Connection rubbish(api->port());
  rubbish.send(std::string("\x01\x00\x00\x00\x00\xcd\x00\x01", 8) + "CHOANA          \r\n\r\n");  // an A-ASSOCIATE-RQ on the wrong port
  EXPECT_EQ(parse(rubbish.until_closed()).status, 400);
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(HttpApiTest, ConnectionsBeyondTheLimitAreClosedAndOthersLive) {
  HttpLimits limits;
  limits.connections_max = 2;
  start("127.0.0.1", "", limits);
  {
    const Connection first(api->port());
    const Connection second(api->port());
    // Both are known to the server once they have been answered.
    for (const Connection* each : {&first, &second}) each->send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const Connection third(api->port());
    third.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(third.until_closed(), "");
  }
  int status = 0;
  for (int n = 0; n < 1000 && status == 0; ++n) status = get("/healthz").status;
  EXPECT_EQ(status, 200);
}

TEST_F(HttpApiTest, ASilentConnectionIsClosedAndStoppingEndsOpenOnes) {
  HttpLimits limits;
  limits.request_timeout_s = 1;
  start("127.0.0.1", "", limits);
  const Connection silent(api->port());
  EXPECT_EQ(silent.until_closed(), "");
  const Connection open(api->port());
  open.send("GET /healthz HTTP/1.1\r\n");
  api->stop();
  EXPECT_EQ(open.until_closed(), "");
}

TEST(Token, IsTheFirstLineOfItsFileAndNotShort) {
  const test::TemporaryFolder folder;
  std::ofstream(folder.path() / "token") << "  0123456789abcdef \nsecond line\n";
  EXPECT_EQ(*read_token(folder.path() / "token"), "0123456789abcdef");
  std::ofstream(folder.path() / "short") << "abc\n";
  EXPECT_EQ(read_token(folder.path() / "short").error().code, ErrorCode::invalid_settings);
  std::ofstream(folder.path() / "empty") << "\n";
  EXPECT_FALSE(read_token(folder.path() / "empty"));
  EXPECT_EQ(read_token(folder.path() / "none").error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace choana
