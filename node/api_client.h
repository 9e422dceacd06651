#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/result.h"
#include "node/node_settings.h"

namespace choana::node {

struct ApiResponse {
  int status = 0;
  std::string body;
};

/// Call the HTTP interface of the node that runs on these settings on this machine (the port comes from ports.json).
/// Errors: connection_failed (no node is running, or its HTTP is off), timed_out.
/// body: sent as JSON unless empty.
Result<ApiResponse> call_node(const NodeSettings& settings, const std::string& method, const std::string& path, const std::string& body = {});

/// A text as one segment of a path: everything but letters, digits and -._~ as %XX.
std::string url_segment(const std::string& text);

/// HTTP port of a running node, from state_dir/ports.json. Errors: not_found.
struct NodePorts {
  std::uint16_t dicom = 0;
  std::uint16_t http = 0;
};
Result<NodePorts> read_ports(const std::filesystem::path& ports_file);

}  // namespace choana::node
