#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "scp/upper_layer/pdu.h"

namespace choana::scp {

inline constexpr std::string_view implicit_little_endian = "1.2.840.10008.1.2";
inline constexpr std::string_view explicit_little_endian = "1.2.840.10008.1.2.1";
inline constexpr std::string_view deflated_little_endian = "1.2.840.10008.1.2.1.99";
inline constexpr std::string_view explicit_big_endian = "1.2.840.10008.1.2.2";

/// What a service offers for one abstract syntax.
struct OfferedClass {
  std::string sop_class_uid;
  std::vector<std::string> transfer_syntaxes;
  bool peer_may_be_scp = false;    // answer an SCP role proposal with yes (storage commitment reports)
  bool is_storage = false;         // answer storage extended negotiation (PS3.4 B.3.1)
};

/// A context both sides agreed on.
struct AcceptedContext {
  std::uint8_t id = 0;
  std::string abstract_syntax;
  std::string transfer_syntax;
};

struct Negotiation {
  std::vector<AnsweredContext> answers;  // one for each proposed context, in the order proposed
  std::vector<AcceptedContext> accepted;
  UserInformation user;                  // the acceptor's half
};

/// Answer every proposed context. Explicit little endian is taken where proposed, then implicit little endian, then the
/// first of the others in the proposer's order. A context for a class not offered gets "abstract syntax not supported",
/// one without a common transfer syntax "transfer syntaxes not supported" (PS3.8 table 9-18).
/// Role selection is answered for offered classes, an asynchronous window with 1/1 (we answer one command after the
/// other), extended negotiation for storage with level 2, no coercion. A user identity is not answered: PS3.7 D.3.3.7
/// wants a response only from an acceptor that verified it.
[[nodiscard]] Negotiation negotiate(const AssociateRequest& request, const std::vector<OfferedClass>& offered,
                                    std::uint32_t maximum_length);

/// Choana's own name in every association and file it writes (PS3.7 D.3.3.2).
[[nodiscard]] const std::string& implementation_class_uid();
inline constexpr std::string_view implementation_version_name = "CHOANA_0.1";

}  // namespace choana::scp
