#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "scp/upper_layer/bytes.h"

/// Protocol data units of the DICOM upper layer (PS3.8 section 9.3) as values. Decoding is strict about lengths and
/// tolerant about everything the standard reserves: unknown items are skipped, reserved octets are not looked at.
namespace choana::scp {

enum class PduType : std::uint8_t {
  associate_request = 0x01,
  associate_accept = 0x02,
  associate_reject = 0x03,
  data = 0x04,
  release_request = 0x05,
  release_reply = 0x06,
  abort = 0x07,
};

inline constexpr std::size_t pdu_header_bytes = 6;
inline constexpr std::string_view dicom_application_context = "1.2.840.10008.3.1.1.1";

/// Result of one presentation context in an A-ASSOCIATE-AC (PS3.8 table 9-18).
enum class ContextResult : std::uint8_t {
  acceptance = 0,
  user_rejection = 1,
  no_reason = 2,
  abstract_syntax_not_supported = 3,
  transfer_syntaxes_not_supported = 4,
};

struct ProposedContext {
  std::uint8_t id = 0;
  std::string abstract_syntax;
  std::vector<std::string> transfer_syntaxes;

  friend bool operator==(const ProposedContext&, const ProposedContext&) = default;
};

struct AnsweredContext {
  std::uint8_t id = 0;
  ContextResult result = ContextResult::no_reason;
  std::string transfer_syntax;

  friend bool operator==(const AnsweredContext&, const AnsweredContext&) = default;
};

/// PS3.7 D.3.3.4.
struct RoleSelection {
  std::string sop_class_uid;
  bool scu = false;
  bool scp = false;

  friend bool operator==(const RoleSelection&, const RoleSelection&) = default;
};

/// PS3.7 D.3.3.3.
struct AsynchronousWindow {
  std::uint16_t operations_invoked = 1;
  std::uint16_t operations_performed = 1;

  friend bool operator==(const AsynchronousWindow&, const AsynchronousWindow&) = default;
};

/// PS3.7 D.3.3.5.
struct ExtendedNegotiation {
  std::string sop_class_uid;
  Bytes information;

  friend bool operator==(const ExtendedNegotiation&, const ExtendedNegotiation&) = default;
};

/// PS3.7 D.3.3.7. The secrets themselves are checked for their bounds and not kept: Choana identifies peers by title,
/// network and certificate.
struct UserIdentity {
  std::uint8_t type = 0;
  bool positive_response_requested = false;

  friend bool operator==(const UserIdentity&, const UserIdentity&) = default;
};

/// User information (PS3.8 annex D, PS3.7 annex D), the same for request and acceptance.
struct UserInformation {
  std::optional<std::uint32_t> maximum_length;  // PS3.8 D.1; 0 = unlimited
  std::string implementation_class_uid;
  std::string implementation_version_name;
  std::optional<AsynchronousWindow> asynchronous_window;
  std::vector<RoleSelection> roles;
  std::vector<ExtendedNegotiation> extended_negotiations;
  std::optional<UserIdentity> user_identity;

  friend bool operator==(const UserInformation&, const UserInformation&) = default;
};

/// The 32 octets of the two AE title fields as they came: an acceptance repeats them (PS3.8 table 9-17).
struct AeTitleFields {
  std::array<std::uint8_t, 16> called{};
  std::array<std::uint8_t, 16> calling{};

  friend bool operator==(const AeTitleFields&, const AeTitleFields&) = default;
};

struct AssociateRequest {
  std::uint16_t protocol_version = 1;
  AeTitleFields titles;
  std::string application_context;  // empty when the item was absent
  std::vector<ProposedContext> contexts;
  UserInformation user;

  friend bool operator==(const AssociateRequest&, const AssociateRequest&) = default;
};

struct AssociateAccept {
  std::uint16_t protocol_version = 1;
  AeTitleFields titles;
  std::string application_context{dicom_application_context};
  std::vector<AnsweredContext> contexts;
  UserInformation user;

  friend bool operator==(const AssociateAccept&, const AssociateAccept&) = default;
};

/// PS3.8 table 9-21, as "result/source/reason": 1/1/3 is a calling AE title that is not recognised.
struct AssociateReject {
  std::uint8_t result = 1;  // 1 permanent, 2 transient
  std::uint8_t source = 1;  // 1 service user, 2 ACSE provider, 3 presentation provider
  std::uint8_t reason = 1;

  friend bool operator==(const AssociateReject&, const AssociateReject&) = default;
};

namespace reject {
inline constexpr AssociateReject application_context{1, 1, 2};
inline constexpr AssociateReject calling_ae_title{1, 1, 3};
inline constexpr AssociateReject called_ae_title{1, 1, 7};
inline constexpr AssociateReject no_presentation_context{1, 2, 1};
inline constexpr AssociateReject protocol_version{1, 2, 2};
inline constexpr AssociateReject temporary_congestion{2, 3, 1};
inline constexpr AssociateReject local_limit{2, 3, 2};
}  // namespace reject

/// PS3.8 table 9-26.
struct Abort {
  std::uint8_t source = 0;  // 0 service user, 2 service provider
  std::uint8_t reason = 0;

  friend bool operator==(const Abort&, const Abort&) = default;
};

namespace abort_reason {
inline constexpr Abort by_user{0, 0};
inline constexpr Abort not_specified{2, 0};
inline constexpr Abort unrecognised_pdu{2, 1};
inline constexpr Abort unexpected_pdu{2, 2};
inline constexpr Abort unrecognised_parameter{2, 4};
inline constexpr Abort unexpected_parameter{2, 5};
inline constexpr Abort invalid_parameter{2, 6};
}  // namespace abort_reason

/// One presentation data value of a P-DATA-TF (PS3.8 9.3.5 and annex E).
struct Fragment {
  std::uint8_t context_id = 0;
  bool is_command = false;
  bool is_last = false;
  ByteView bytes;
};

// Decoding takes the octets after the six of the PDU header. Errors: truncated (a length points beyond its container),
// invalid_attribute (a value that PS3.8 forbids), limit_exceeded (more items than any valid request can hold).
[[nodiscard]] Result<AssociateRequest> decode_associate_request(ByteView body);
[[nodiscard]] Result<AssociateAccept> decode_associate_accept(ByteView body);
[[nodiscard]] Result<AssociateReject> decode_associate_reject(ByteView body);
[[nodiscard]] Result<Abort> decode_abort(ByteView body);

/// Take the next fragment from the front of a P-DATA-TF body. Errors: truncated, invalid_attribute.
[[nodiscard]] Result<Fragment> take_fragment(ByteView& body);

// Encoding yields whole PDUs, header included.
[[nodiscard]] Bytes encode(const AssociateRequest& request);
[[nodiscard]] Bytes encode(const AssociateAccept& accept);
[[nodiscard]] Bytes encode(const AssociateReject& reject);
[[nodiscard]] Bytes encode(const Abort& abort);
[[nodiscard]] Bytes encode_release_request();
[[nodiscard]] Bytes encode_release_reply();

/// Split one command set or data set into P-DATA-TF PDUs whose length field stays within `maximum_length` (0 =
/// unlimited; at least 8). Fragments are of even length except the last.
[[nodiscard]] Bytes encode_data(std::uint8_t context_id, bool is_command, ByteView bytes, std::uint32_t maximum_length);

/// An AE title without its padding: leading and trailing spaces are not significant (PS3.5 6.2); NUL padding, which
/// occurs, is dropped too.
[[nodiscard]] std::string trim_ae_title(ByteView field);
/// 16 octets, padded with spaces; longer titles are cut.
[[nodiscard]] std::array<std::uint8_t, 16> pad_ae_title(std::string_view title);

}  // namespace choana::scp
