#include "node/api_client.h"

#include <cstdio>

#include "scp/asio.h"
// Beast after our door to Asio.
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include "node/files.h"
#include "node/http_api.h"

namespace choana::node {

Result<NodePorts> read_ports(const std::filesystem::path& ports_file) {
  auto text = read_file(ports_file, 4096);
  if (!text) return fail(ErrorCode::not_found, "read_ports", "No node is running on this state folder (there is no " + ports_file.filename().string() + ").");
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) return fail(ErrorCode::not_found, "read_ports", ports_file.string() + " cannot be read.");
  return NodePorts{json.value("dicom", std::uint16_t{0}), json.value("http", std::uint16_t{0})};
}

std::string url_segment(const std::string& text) {
  std::string segment;
  for (const char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~') {
      segment += c;
      continue;
    }
    char escape[4];
    std::snprintf(escape, sizeof escape, "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
    segment += escape;
  }
  return segment;
}

Result<ApiResponse> call_node(const NodeSettings& settings, const std::string& method, const std::string& path, const std::string& body) {
  namespace beast = boost::beast;
  namespace http = beast::http;
  using tcp = boost::asio::ip::tcp;
  auto ports = read_ports(settings.node.ports_file());
  if (!ports) return fail(ports.error());
  if (ports->http == 0) return fail(ErrorCode::connection_failed, "call_node", "The node's HTTP interface is turned off (http.listen).");
  const auto unreachable = [&](const std::string& why) {
    return fail(ErrorCode::connection_failed, "call_node", "The node does not answer on its HTTP port " + std::to_string(ports->http) + ": " + why + ".");
  };
  try {
    const std::string host = settings.http.listen ? settings.http.listen->host : "127.0.0.1";
    const std::string address = host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : host;
    boost::asio::io_context context;
    beast::tcp_stream stream(context);
    http::response<http::string_body> response;
    beast::flat_buffer buffer;
    http::request<http::string_body> request{http::string_to_verb(method), path, 11};
    if (!body.empty()) {
      request.body() = body;
      request.set(http::field::content_type, "application/json");
    }
    request.prepare_payload();
    request.set(http::field::host, address);
    request.set(http::field::user_agent, "choana");
    if (!settings.http.token_file.empty()) {
      auto token = read_token(settings.http.token_file);
      if (!token) return fail(token.error());
      request.set(http::field::authorization, "Bearer " + *token);
    }
    beast::error_code failed;
    stream.expires_after(std::chrono::seconds(10));
    // Asynchronous calls, because deadlines of a tcp_stream apply only to them.
    stream.async_connect(tcp::endpoint(boost::asio::ip::make_address(address), ports->http), [&](beast::error_code e) {
      if (e) {
        failed = e;
        return;
      }
      http::async_write(stream, request, [&](beast::error_code written, std::size_t) {
        if (written) {
          failed = written;
          return;
        }
        http::async_read(stream, buffer, response, [&](beast::error_code got, std::size_t) { failed = got; });
      });
    });
    context.run();
    if (failed) return unreachable(failed.message());
    return ApiResponse{static_cast<int>(response.result_int()), response.body()};
  } catch (const std::exception& e) {
    return unreachable(e.what());
  }
}

}  // namespace choana::node
