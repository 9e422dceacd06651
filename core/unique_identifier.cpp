#include "core/unique_identifier.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/sha256.h"

namespace choana {
namespace {

// Never changes: every UID that ever left a node depends on it.
constexpr std::string_view uid_namespace = "choana/uid/1";

std::string to_decimal(std::array<std::uint8_t, 16> number) {
  std::string digits;
  bool zero = false;
  while (!zero) {
    unsigned remainder = 0;
    zero = true;
    for (std::uint8_t& byte : number) {
      const unsigned value = remainder * 256U + byte;
      byte = static_cast<std::uint8_t>(value / 10U);
      remainder = value % 10U;
      if (byte != 0) zero = false;
    }
    digits += static_cast<char>('0' + remainder);
  }
  std::reverse(digits.begin(), digits.end());
  return digits;
}

}  // namespace

std::string derive_uid(std::string_view role, std::string_view key) {
  Sha256 hash;
  const auto add = [&hash](std::string_view part) {
    // Lengths keep ("a", "bc") and ("ab", "c") apart.
    hash.update(std::to_string(part.size()) + ":");
    hash.update(part);
  };
  add(uid_namespace);
  add(role);
  add(key);
  const auto digest = hash.digest();
  std::array<std::uint8_t, 16> uuid{};
  std::copy_n(digest.begin(), uuid.size(), uuid.begin());
  uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0F) | 0x80);  // version 8: custom (RFC 9562)
  uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3F) | 0x80);  // variant 10
  return "2.25." + to_decimal(uuid);
}

bool is_valid_uid(std::string_view text) {
  if (text.empty() || text.size() > 64 || text.front() == '.' || text.back() == '.') return false;
  char previous = '0';
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || (c == '.' && previous != '.'))) return false;
    previous = c;
  }
  return true;
}

}  // namespace choana
