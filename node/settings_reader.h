#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/result.h"
#include "node/node_settings.h"

namespace choana {

/// Read and check a settings file. Everything that is wrong is said at once, one line each, as
/// `choana.toml:12: unknown key "ae_titel" in [node]. Did you mean ae_title?`.
/// Errors: not_found, io_error, limit_exceeded (over 1 MiB), invalid_settings.
[[nodiscard]] Result<NodeSettings> read_settings(const std::filesystem::path& file);

/// The same from text; `file_name` stands in messages, and its folder is the base of relative paths.
[[nodiscard]] Result<NodeSettings> parse_settings(std::string_view text, const std::string& file_name);

/// Parse "127.0.0.1:8080", "[::1]:8080" or "localhost:8080". Errors: invalid_settings.
[[nodiscard]] Result<ListenAddress> parse_listen_address(std::string_view text);

}  // namespace choana
