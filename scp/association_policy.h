#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "scp/upper_layer/pdu.h"

namespace choana::scp {

/// An IP address as 16 octets; IPv4 as ::ffff:a.b.c.d, so that both families compare alike.
using AddressBytes = std::array<std::uint8_t, 16>;

/// "10.1.2.3", "fe80::1" (a zone such as %eth0 is dropped). Errors: invalid_settings.
[[nodiscard]] Result<AddressBytes> parse_address(std::string_view text);
[[nodiscard]] std::string to_string(const AddressBytes& address);

/// A network in CIDR notation: "10.1.0.0/16", "fd00::/8", or one address.
class Network {
 public:
  /// Errors: invalid_settings.
  static Result<Network> parse(std::string_view text);
  [[nodiscard]] bool contains(const AddressBytes& address) const;

 private:
  AddressBytes base_{};
  int prefix_bits_ = 128;
};

/// One [[peer]] of the settings.
struct PeerRule {
  std::string name;
  std::string ae_title;                // "*": any title from these networks
  std::vector<std::string> networks;   // CIDR
};

/// Who may send: deny by default. Titles are compared without leading and trailing spaces (PS3.5 6.2).
class AssociationPolicy {
 public:
  AssociationPolicy() = default;

  /// accept_unknown_peers: any well-formed calling title from anywhere; the called title must still be ours.
  /// Errors: invalid_settings (a title that is not a valid AE, a network that is not CIDR).
  static Result<AssociationPolicy> make(std::string ae_title, std::vector<PeerRule> peers, bool accept_unknown_peers);

  struct Decision {
    std::optional<AssociateReject> reject;  // empty: welcome
    std::string peer;                       // name of the rule that matched
    std::string reason;                     // why not, in words for the log
  };
  [[nodiscard]] Decision decide(std::string_view called_ae_title, std::string_view calling_ae_title, const AddressBytes& address) const;
  /// Does any rule know this address? Strangers get fewer connections before they have said who they are.
  [[nodiscard]] bool knows(const AddressBytes& address) const;

 private:
  struct Rule {
    std::string name;
    std::string ae_title;
    std::vector<Network> networks;
  };
  std::string ae_title_;
  std::vector<Rule> rules_;
  bool accept_unknown_peers_ = false;
};

/// 1 to 16 characters of the default repertoire without backslash and control characters, not only spaces (PS3.5 6.2).
[[nodiscard]] bool is_valid_ae_title(std::string_view title);

}  // namespace choana::scp
