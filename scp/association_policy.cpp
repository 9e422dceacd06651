#include "scp/association_policy.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace choana::scp {
namespace {

constexpr std::string_view step = "association_policy";
constexpr std::array<std::uint8_t, 12> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

bool is_v4(const AddressBytes& address) { return std::equal(v4_prefix.begin(), v4_prefix.end(), address.begin()); }

}  // namespace

Result<AddressBytes> parse_address(std::string_view text) {
  const std::string address(text.substr(0, text.find('%')));
  AddressBytes bytes{};
  std::copy(v4_prefix.begin(), v4_prefix.end(), bytes.begin());
  if (inet_pton(AF_INET, address.c_str(), bytes.data() + v4_prefix.size()) == 1) return bytes;
  if (inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) return bytes;
  return fail(ErrorCode::invalid_settings, std::string(step), "\"" + std::string(text) + "\" is not an IP address.");
}

std::string to_string(const AddressBytes& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (is_v4(address)) {
    inet_ntop(AF_INET, address.data() + v4_prefix.size(), text, sizeof text);
  } else {
    inet_ntop(AF_INET6, address.data(), text, sizeof text);
  }
  return text;
}

Result<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  auto base = parse_address(text.substr(0, slash));
  if (!base) return fail(ErrorCode::invalid_settings, std::string(step), "\"" + std::string(text) + "\" is not a network: write 10.1.0.0/16 or one address.");
  Network network;
  network.base_ = *base;
  const int family_bits = is_v4(*base) ? 32 : 128;
  int prefix = family_bits;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
    if (error != std::errc{} || end != digits.data() + digits.size() || prefix < 0 || prefix > family_bits) {
      return fail(ErrorCode::invalid_settings, std::string(step), "\"" + std::string(text) + "\" has no valid prefix length after the slash.");
    }
  }
  network.prefix_bits_ = prefix + (128 - family_bits);
  return network;
}

bool Network::contains(const AddressBytes& address) const {
  const std::size_t whole = static_cast<std::size_t>(prefix_bits_) / 8;
  if (std::memcmp(base_.data(), address.data(), whole) != 0) return false;
  const int rest = prefix_bits_ % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xFF << (8 - rest));
  return (base_[whole] & mask) == (address[whole] & mask);
}

Result<AssociationPolicy> AssociationPolicy::make(std::string ae_title, std::vector<PeerRule> peers, bool accept_unknown_peers) {
  AssociationPolicy policy;
  if (!is_valid_ae_title(ae_title)) return fail(ErrorCode::invalid_settings, std::string(step), "ae_title \"" + ae_title + "\" is not a valid AE title: 1 to 16 printable characters without backslash.");
  policy.ae_title_ = trim_ae_title(ByteView(reinterpret_cast<const std::uint8_t*>(ae_title.data()), ae_title.size()));
  policy.accept_unknown_peers_ = accept_unknown_peers;
  for (const PeerRule& peer : peers) {
    if (!is_valid_ae_title(peer.ae_title)) return fail(ErrorCode::invalid_settings, std::string(step), "The AE title of peer \"" + peer.name + "\" is not valid: 1 to 16 printable characters without backslash, or \"*\".");
    Rule rule{peer.name, trim_ae_title(ByteView(reinterpret_cast<const std::uint8_t*>(peer.ae_title.data()), peer.ae_title.size())), {}};
    for (const std::string& text : peer.networks) {
      auto network = Network::parse(text);
      if (!network) return fail(network.error());
      rule.networks.push_back(*network);
    }
    policy.rules_.push_back(std::move(rule));
  }
  return policy;
}

bool AssociationPolicy::knows(const AddressBytes& address) const {
  if (accept_unknown_peers_) return true;
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    return std::any_of(rule.networks.begin(), rule.networks.end(), [&](const Network& n) { return n.contains(address); });
  });
}

AssociationPolicy::Decision AssociationPolicy::decide(std::string_view called_ae_title, std::string_view calling_ae_title,
                                                      const AddressBytes& address) const {
  if (!is_valid_ae_title(calling_ae_title)) return {reject::calling_ae_title, {}, "calling_ae_title_invalid"};
  bool title_known = false;
  bool allowed = false;
  std::string peer;
  for (const Rule& rule : rules_) {
    if (rule.ae_title != "*" && rule.ae_title != calling_ae_title) continue;
    if (rule.ae_title != "*") title_known = true;
    if (std::any_of(rule.networks.begin(), rule.networks.end(), [&](const Network& n) { return n.contains(address); })) {
      allowed = true;
      peer = rule.name;
      break;
    }
  }
  if (!allowed && !accept_unknown_peers_) {
    return {reject::calling_ae_title, {}, title_known ? "peer_address_unknown" : "calling_ae_title_unknown"};
  }
  if (called_ae_title != ae_title_) return {reject::called_ae_title, {}, "called_ae_title_wrong"};
  return {std::nullopt, peer, {}};
}

bool is_valid_ae_title(std::string_view title) {
  if (title.empty() || title.size() > 16) return false;
  bool blank = true;
  for (const char c : title) {
    if (c < 0x20 || c > 0x7E || c == '\\') return false;
    if (c != ' ') blank = false;
  }
  return !blank;
}

}  // namespace choana::scp
