#pragma once

#include <string>
#include <string_view>

namespace choana {

/// A UID under 2.25 (PS3.5 B.2) that is a function of (role, key): the first 128 bits of SHA-256 over Choana's
/// namespace, role and key with UUID version 8 and variant bits, as decimal. At most 44 characters.
[[nodiscard]] std::string derive_uid(std::string_view role, std::string_view key);

/// 1 to 64 characters of [0-9.], no empty component. Leading zeros are tolerated: they occur.
[[nodiscard]] bool is_valid_uid(std::string_view text);

}  // namespace choana
