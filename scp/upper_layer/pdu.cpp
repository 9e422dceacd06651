#include "scp/upper_layer/pdu.h"

#include <algorithm>

namespace choana::scp {
namespace {

// Item types, PS3.8 9.3.2 to 9.3.3, annex D, and PS3.7 annex D.
constexpr std::uint8_t item_application_context = 0x10;
constexpr std::uint8_t item_proposed_context = 0x20;
constexpr std::uint8_t item_answered_context = 0x21;
constexpr std::uint8_t item_abstract_syntax = 0x30;
constexpr std::uint8_t item_transfer_syntax = 0x40;
constexpr std::uint8_t item_user_information = 0x50;
constexpr std::uint8_t item_maximum_length = 0x51;
constexpr std::uint8_t item_implementation_class = 0x52;
constexpr std::uint8_t item_asynchronous_window = 0x53;
constexpr std::uint8_t item_role_selection = 0x54;
constexpr std::uint8_t item_implementation_version = 0x55;
constexpr std::uint8_t item_extended_negotiation = 0x56;
constexpr std::uint8_t item_user_identity = 0x58;

constexpr std::string_view step = "decode_associate";

// 128 odd identifiers exist, so more contexts cannot be valid. The other bounds only keep work and memory small.
constexpr std::size_t contexts_max = 128;
constexpr std::size_t transfer_syntaxes_max = 4096;  // of the whole request
constexpr std::size_t negotiation_items_max = 1024;

tl::unexpected<Error> truncated(std::string what) {
  return fail(ErrorCode::truncated, std::string(step), what + " is longer than what contains it.");
}
tl::unexpected<Error> invalid(std::string what) { return fail(ErrorCode::invalid_attribute, std::string(step), std::move(what)); }

struct Item {
  std::uint8_t type = 0;
  ByteView value;
};

Result<Item> take_item(ByteReader& reader) {
  Item item;
  item.type = reader.u8();
  reader.u8();  // reserved
  const std::size_t length = reader.u16();
  item.value = reader.take(length);
  if (!reader.ok()) return truncated("An item of the association request");
  return item;
}

// UIDs on the wire carry no padding, but NUL and space padding occur.
std::string uid_text(ByteView value) {
  std::string_view text = as_text(value);
  while (!text.empty() && (text.back() == '\0' || text.back() == ' ')) text.remove_suffix(1);
  return std::string(text);
}

Result<ProposedContext> decode_proposed_context(ByteView value, std::size_t& syntaxes_left) {
  ByteReader reader(value);
  ProposedContext context;
  context.id = reader.u8();
  reader.take(3);
  if (!reader.ok()) return truncated("The head of a presentation context");
  bool has_abstract_syntax = false;
  while (!reader.at_end()) {
    auto item = take_item(reader);
    if (!item) return fail(item.error());
    if (item->type == item_abstract_syntax) {
      if (has_abstract_syntax) return invalid("A presentation context has two abstract syntaxes.");
      has_abstract_syntax = true;
      context.abstract_syntax = uid_text(item->value);
    } else if (item->type == item_transfer_syntax) {
      if (syntaxes_left-- == 0) return fail(ErrorCode::limit_exceeded, std::string(step), "The association request lists too many transfer syntaxes.");
      context.transfer_syntaxes.push_back(uid_text(item->value));
    }
  }
  return context;
}

Result<AnsweredContext> decode_answered_context(ByteView value) {
  ByteReader reader(value);
  AnsweredContext context;
  context.id = reader.u8();
  reader.u8();
  context.result = static_cast<ContextResult>(reader.u8());
  reader.u8();
  if (!reader.ok()) return truncated("The head of a presentation context");
  while (!reader.at_end()) {
    auto item = take_item(reader);
    if (!item) return fail(item.error());
    if (item->type == item_transfer_syntax) context.transfer_syntax = uid_text(item->value);
  }
  return context;
}

// UID length, UID, rest: the form of role selection and extended negotiation.
Result<std::string> take_counted_uid(ByteReader& reader) {
  const std::size_t length = reader.u16();
  const ByteView uid = reader.take(length);
  if (!reader.ok()) return truncated("A SOP class UID of the user information");
  return uid_text(uid);
}

Result<UserInformation> decode_user_information(ByteView value) {
  ByteReader reader(value);
  UserInformation user;
  std::size_t items_left = negotiation_items_max;
  while (!reader.at_end()) {
    auto item = take_item(reader);
    if (!item) return fail(item.error());
    if (items_left-- == 0) return fail(ErrorCode::limit_exceeded, std::string(step), "The user information has too many items.");
    ByteReader content(item->value);
    switch (item->type) {
      case item_maximum_length:
        user.maximum_length = content.u32();
        if (!content.ok()) return truncated("The maximum length item");
        break;
      case item_implementation_class: user.implementation_class_uid = uid_text(item->value); break;
      case item_implementation_version: user.implementation_version_name = std::string(as_text(item->value)); break;
      case item_asynchronous_window: {
        AsynchronousWindow window;
        window.operations_invoked = content.u16();
        window.operations_performed = content.u16();
        if (!content.ok()) return truncated("The asynchronous operations window");
        user.asynchronous_window = window;
        break;
      }
      case item_role_selection: {
        auto uid = take_counted_uid(content);
        if (!uid) return fail(uid.error());
        RoleSelection role{std::move(*uid), content.u8() != 0, false};
        role.scp = content.u8() != 0;
        if (!content.ok()) return truncated("A role selection");
        user.roles.push_back(std::move(role));
        break;
      }
      case item_extended_negotiation: {
        auto uid = take_counted_uid(content);
        if (!uid) return fail(uid.error());
        const ByteView rest = content.rest();
        user.extended_negotiations.push_back({std::move(*uid), Bytes(rest.begin(), rest.end())});
        break;
      }
      case item_user_identity: {
        UserIdentity identity;
        identity.type = content.u8();
        identity.positive_response_requested = content.u8() != 0;
        content.take(content.u16());
        content.take(content.u16());
        if (!content.ok()) return truncated("A field of the user identity");
        user.user_identity = identity;
        break;
      }
      default: break;  // common extended negotiation and whatever comes next: no answer is due
    }
  }
  return user;
}

struct AssociateHead {
  std::uint16_t protocol_version = 0;
  AeTitleFields titles;
};

Result<AssociateHead> take_head(ByteReader& reader) {
  AssociateHead head;
  head.protocol_version = reader.u16();
  reader.u16();
  const ByteView called = reader.take(16);
  const ByteView calling = reader.take(16);
  reader.take(32);
  if (!reader.ok()) return truncated("The fixed part of the association request");
  std::copy(called.begin(), called.end(), head.titles.called.begin());
  std::copy(calling.begin(), calling.end(), head.titles.calling.begin());
  return head;
}

void write_item(Bytes& out, std::uint8_t type, std::string_view value) {
  ByteWriter(out).u8(type).u8(0).u16(value.size()).text(value);
}
void write_item(Bytes& out, std::uint8_t type, const Bytes& value) {
  ByteWriter(out).u8(type).u8(0).u16(value.size()).block(value);
}

Bytes encode_user_information(const UserInformation& user) {
  Bytes out;
  ByteWriter writer(out);
  if (user.maximum_length) writer.u8(item_maximum_length).u8(0).u16(4).u32(*user.maximum_length);
  if (!user.implementation_class_uid.empty()) write_item(out, item_implementation_class, user.implementation_class_uid);
  if (user.asynchronous_window) {
    writer.u8(item_asynchronous_window).u8(0).u16(4).u16(user.asynchronous_window->operations_invoked);
    writer.u16(user.asynchronous_window->operations_performed);
  }
  for (const RoleSelection& role : user.roles) {
    writer.u8(item_role_selection).u8(0).u16(role.sop_class_uid.size() + 4).u16(role.sop_class_uid.size());
    writer.text(role.sop_class_uid).u8(role.scu ? 1 : 0).u8(role.scp ? 1 : 0);
  }
  if (!user.implementation_version_name.empty()) write_item(out, item_implementation_version, user.implementation_version_name);
  for (const ExtendedNegotiation& extended : user.extended_negotiations) {
    writer.u8(item_extended_negotiation).u8(0).u16(extended.sop_class_uid.size() + 2 + extended.information.size());
    writer.u16(extended.sop_class_uid.size()).text(extended.sop_class_uid).block(extended.information);
  }
  if (user.user_identity) {
    writer.u8(item_user_identity).u8(0).u16(6).u8(user.user_identity->type);
    writer.u8(user.user_identity->positive_response_requested ? 1 : 0).u16(0).u16(0);
  }
  return out;
}

Bytes with_header(PduType type, const Bytes& body) {
  Bytes out;
  out.reserve(pdu_header_bytes + body.size());
  ByteWriter(out).u8(static_cast<unsigned>(type)).u8(0).u32(body.size()).block(body);
  return out;
}

void write_head(ByteWriter& writer, std::uint16_t version, const AeTitleFields& titles) {
  writer.u16(version).u16(0).block(titles.called).block(titles.calling).zeros(32);
}

}  // namespace

Result<AssociateRequest> decode_associate_request(ByteView body) {
  ByteReader reader(body);
  auto head = take_head(reader);
  if (!head) return fail(head.error());
  AssociateRequest request;
  request.protocol_version = head->protocol_version;
  request.titles = head->titles;
  std::array<bool, 256> seen{};
  std::size_t syntaxes_left = transfer_syntaxes_max;
  while (!reader.at_end()) {
    auto item = take_item(reader);
    if (!item) return fail(item.error());
    if (item->type == item_application_context) {
      request.application_context = uid_text(item->value);
    } else if (item->type == item_proposed_context) {
      if (request.contexts.size() == contexts_max) return fail(ErrorCode::limit_exceeded, std::string(step), "The association request proposes more than 128 presentation contexts.");
      auto context = decode_proposed_context(item->value, syntaxes_left);
      if (!context) return fail(context.error());
      // PS3.8 9.3.2.2: identifiers are odd and unique within the association.
      if (context->id % 2 == 0) return invalid("A presentation context has an even identifier.");
      if (seen[context->id]) return invalid("Two presentation contexts have the same identifier.");
      seen[context->id] = true;
      request.contexts.push_back(std::move(*context));
    } else if (item->type == item_user_information) {
      auto user = decode_user_information(item->value);
      if (!user) return fail(user.error());
      request.user = std::move(*user);
    }
  }
  return request;
}

Result<AssociateAccept> decode_associate_accept(ByteView body) {
  ByteReader reader(body);
  auto head = take_head(reader);
  if (!head) return fail(head.error());
  AssociateAccept accept;
  accept.protocol_version = head->protocol_version;
  accept.titles = head->titles;
  accept.application_context.clear();
  while (!reader.at_end()) {
    auto item = take_item(reader);
    if (!item) return fail(item.error());
    if (item->type == item_application_context) {
      accept.application_context = uid_text(item->value);
    } else if (item->type == item_answered_context) {
      if (accept.contexts.size() == contexts_max) return fail(ErrorCode::limit_exceeded, std::string(step), "The acceptance answers more than 128 presentation contexts.");
      auto context = decode_answered_context(item->value);
      if (!context) return fail(context.error());
      accept.contexts.push_back(std::move(*context));
    } else if (item->type == item_user_information) {
      auto user = decode_user_information(item->value);
      if (!user) return fail(user.error());
      accept.user = std::move(*user);
    }
  }
  return accept;
}

Result<AssociateReject> decode_associate_reject(ByteView body) {
  if (body.size() != 4) return truncated("An A-ASSOCIATE-RJ");
  return AssociateReject{body[1], body[2], body[3]};
}

Result<Abort> decode_abort(ByteView body) {
  if (body.size() != 4) return truncated("An A-ABORT");
  return Abort{body[2], body[3]};
}

Result<Fragment> take_fragment(ByteView& body) {
  ByteReader reader(body);
  const std::size_t length = reader.u32();
  const ByteView value = reader.take(length);
  if (!reader.ok()) return fail(ErrorCode::truncated, "decode_data", "A presentation data value is longer than its PDU.");
  if (length < 2) return fail(ErrorCode::truncated, "decode_data", "A presentation data value is too short for its header.");
  body = reader.rest();
  Fragment fragment;
  fragment.context_id = value[0];
  fragment.is_command = (value[1] & 0x01) != 0;  // PS3.8 annex E.2; the other bits are reserved
  fragment.is_last = (value[1] & 0x02) != 0;
  fragment.bytes = value.subspan(2);
  return fragment;
}

Bytes encode(const AssociateRequest& request) {
  Bytes body;
  ByteWriter writer(body);
  write_head(writer, request.protocol_version, request.titles);
  if (!request.application_context.empty()) write_item(body, item_application_context, request.application_context);
  for (const ProposedContext& context : request.contexts) {
    Bytes value;
    ByteWriter(value).u8(context.id).zeros(3);
    if (!context.abstract_syntax.empty()) write_item(value, item_abstract_syntax, context.abstract_syntax);
    for (const std::string& syntax : context.transfer_syntaxes) write_item(value, item_transfer_syntax, syntax);
    write_item(body, item_proposed_context, value);
  }
  write_item(body, item_user_information, encode_user_information(request.user));
  return with_header(PduType::associate_request, body);
}

Bytes encode(const AssociateAccept& accept) {
  Bytes body;
  ByteWriter writer(body);
  write_head(writer, accept.protocol_version, accept.titles);
  write_item(body, item_application_context, accept.application_context);
  for (const AnsweredContext& context : accept.contexts) {
    Bytes value;
    ByteWriter(value).u8(context.id).u8(0).u8(static_cast<unsigned>(context.result)).u8(0);
    write_item(value, item_transfer_syntax, context.transfer_syntax);
    write_item(body, item_answered_context, value);
  }
  write_item(body, item_user_information, encode_user_information(accept.user));
  return with_header(PduType::associate_accept, body);
}

Bytes encode(const AssociateReject& reject) {
  return with_header(PduType::associate_reject, {0, reject.result, reject.source, reject.reason});
}
Bytes encode(const Abort& abort) { return with_header(PduType::abort, {0, 0, abort.source, abort.reason}); }
Bytes encode_release_request() { return with_header(PduType::release_request, {0, 0, 0, 0}); }
Bytes encode_release_reply() { return with_header(PduType::release_reply, {0, 0, 0, 0}); }

Bytes encode_data(std::uint8_t context_id, bool is_command, ByteView bytes, std::uint32_t maximum_length) {
  constexpr std::uint32_t ours_max = 131072;
  constexpr std::size_t fragment_head = 6;  // length, context, message control header
  const std::size_t limit = maximum_length == 0 ? ours_max : std::clamp<std::uint32_t>(maximum_length, 8, ours_max);
  const std::size_t fragment_max = (limit - fragment_head) & ~std::size_t{1};
  Bytes out;
  ByteWriter writer(out);
  do {
    const ByteView part = bytes.first(std::min(fragment_max, bytes.size()));
    bytes = bytes.subspan(part.size());
    writer.u8(static_cast<unsigned>(PduType::data)).u8(0).u32(part.size() + fragment_head).u32(part.size() + 2);
    writer.u8(context_id).u8((is_command ? 1U : 0U) | (bytes.empty() ? 2U : 0U)).block(part);
  } while (!bytes.empty());
  return out;
}

std::string trim_ae_title(ByteView field) {
  std::string_view text = as_text(field);
  const auto is_padding = [](char c) { return c == ' ' || c == '\0'; };
  while (!text.empty() && is_padding(text.back())) text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return std::string(text);
}

std::array<std::uint8_t, 16> pad_ae_title(std::string_view title) {
  std::array<std::uint8_t, 16> field;
  field.fill(' ');
  std::copy_n(title.begin(), std::min(title.size(), field.size()), field.begin());
  return field;
}

}  // namespace choana::scp
