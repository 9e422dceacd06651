// How the acceptor behaves on the wire: one table, every row an association of its own with a peer that is built octet by
// octet. Expected behaviour: PS3.8 (upper layer), PS3.7 (DIMSE), PS3.4 B (storage), spec/durability.md 4.1 and 7.
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <future>
#include <iostream>
#include <iterator>
#include <thread>

#include "tests/integration/scp/wire_fixture.h"

namespace choana::test {
namespace {

using scp::AssociateReject;
using scp::ContextResult;

// Empty: as it should be. Otherwise what came instead.
using Outcome = std::string;
using Behaviour = std::function<Outcome(Receiver&)>;
struct Row {
  std::string name;
  Behaviour behaves;
};

const Outcome good;

Outcome check(bool ok, std::string otherwise) { return ok ? good : std::move(otherwise); }

std::string hex(std::optional<std::uint16_t> status) { return status ? scp::status_text(*status) : "no response"; }

scp::AssociateRequest usual() { return association_request(usual_contexts()); }

// ---- association ----

Behaviour accepted(const std::function<void(scp::AssociateRequest&)>& change) {
  return [change](Receiver& receiver) -> Outcome {
    auto request = usual();
    change(request);
    Client client(receiver);
    if (!client.associate(request)) return "not accepted";
    if (!client.echo()) return "no echo";
    return check(client.release(), "no release");
  };
}

Behaviour rejected(AssociateReject reason, const std::function<void(scp::AssociateRequest&)>& change) {
  return [reason, change](Receiver& receiver) -> Outcome {
    auto request = usual();
    change(request);
    Client client(receiver);
    if (client.associate(request)) return "accepted";
    if (!client.reject) return "no A-ASSOCIATE-RJ";
    if (*client.reject != reason) {
      return "rejected " + std::to_string(client.reject->result) + "/" + std::to_string(client.reject->source) + "/" + std::to_string(client.reject->reason);
    }
    return check(client.peer.ended(), "still open");
  };
}

// Rejected, aborted or closed; never accepted, never silent.
Behaviour refused(const std::function<scp::Bytes()>& request) {
  return [request](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (client.associate(request())) return "accepted";
    return check(client.peer.ended(), "neither refused nor closed");
  };
}

Behaviour refused_request(const std::function<void(scp::AssociateRequest&)>& change) {
  return refused([change] {
    auto request = usual();
    change(request);
    return encode(request);
  });
}

// An association request with octets put in by hand: `items` follow the fixed part.
scp::Bytes with_items(const scp::Bytes& items) {
  const auto whole = encode(usual());
  scp::Bytes body(whole.begin() + 6, whole.begin() + 6 + 68);
  body.insert(body.end(), items.begin(), items.end());
  scp::Bytes out;
  scp::ByteWriter(out).u8(1).u8(0).u32(body.size()).block(body);
  return out;
}

scp::Bytes item(std::uint8_t type, const scp::Bytes& value) {
  scp::Bytes out;
  scp::ByteWriter(out).u8(type).u8(0).u16(value.size()).block(value);
  return out;
}
scp::Bytes item(std::uint8_t type, std::string_view value) { return item(type, scp::Bytes(value.begin(), value.end())); }
scp::Bytes join(std::initializer_list<scp::Bytes> parts) {
  scp::Bytes out;
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}
scp::Bytes application_context_item() { return item(0x10, scp::dicom_application_context); }
scp::Bytes echo_context_item(const scp::Bytes& extra = {}) {
  return item(0x20, join({{1, 0, 0, 0}, item(0x30, echo_class), item(0x40, implicit_le), extra}));
}
scp::Bytes user_item(const scp::Bytes& extra = {}) { return item(0x50, join({item(0x51, scp::Bytes{0, 0, 0x40, 0}), item(0x52, "1.2.3"), extra})); }

Behaviour raw_accepted(const std::function<scp::Bytes()>& request) {
  return [request](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate(request())) return "not accepted";
    return check(client.echo() && client.release(), "no echo");
  };
}

// Octets that are no association: the connection must end at once.
Behaviour hangs_up(const std::string& octets) {
  return [octets](Receiver& receiver) -> Outcome {
    RawPeer peer(receiver.port());
    peer.send(octets);
    return check(peer.ended(5'000), "still open");
  };
}

// On an established association, these octets lead to an abort.
Behaviour aborts(const std::function<void(Client&)>& act) {
  return [act](Receiver& receiver) -> Outcome {
    const auto before = receiver.committed().size();
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    act(client);
    if (!client.aborted()) return "not aborted";
    return check(receiver.committed().size() == before, "something was stored");
  };
}

Behaviour identity(std::uint8_t type, bool wants_response) {
  return accepted([=](scp::AssociateRequest& r) { r.user.user_identity = scp::UserIdentity{type, wants_response}; });
}

Behaviour maximum_length(std::uint32_t length) {
  return [length](Receiver& receiver) -> Outcome {
    auto request = usual();
    request.user.maximum_length = length;
    Client client(receiver);
    if (!client.associate(request)) return "not accepted";
    client.command(3, store_request(std::string(mr_class), InstanceIdentity{}.sop_instance));
    client.data(3, mr_image());
    std::uint32_t largest = 0;
    const auto response = receive_command(client.peer, &largest);
    if (!response || response->status != 0) return "not stored";
    return check(length == 0 || largest <= length, "a PDU of " + std::to_string(largest) + " octets");
  };
}

void add_association_rows(std::vector<Row>& rows) {
  const auto add = [&rows](std::string name, Behaviour behaves) { rows.push_back({std::move(name), std::move(behaves)}); };

  add("verification is answered and the release confirmed", accepted([](auto&) {}));
  add("an abort by the peer ends the connection", [](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    client.peer.send(encode(scp::Abort{0, 0}));
    return check(client.peer.ended(), "still open");
  });
  add("a called AE title with leading spaces is the same title", accepted([](auto& r) { r.titles.called = scp::pad_ae_title("  CHOANA"); }));
  add("a called AE title padded with NUL is the same title", accepted([](auto& r) {
    r.titles.called = {'C', 'H', 'O', 'A', 'N', 'A'};
  }));
  add("a calling AE title with leading spaces is the same title", accepted([](auto& r) { r.titles.calling = scp::pad_ae_title("   MR1"); }));
  add("a wrong called AE title is rejected 1/1/7", rejected({1, 1, 7}, [](auto& r) { r.titles.called = scp::pad_ae_title("OTHER"); }));
  add("a called AE title in other case is another title", rejected({1, 1, 7}, [](auto& r) { r.titles.called = scp::pad_ae_title("choana"); }));
  add("a called AE title of spaces is rejected 1/1/7", rejected({1, 1, 7}, [](auto& r) { r.titles.called = scp::pad_ae_title(""); }));
  add("an unknown calling AE title is rejected 1/1/3", rejected({1, 1, 3}, [](auto& r) { r.titles.calling = scp::pad_ae_title("STRANGER"); }));
  add("a calling AE title of spaces is rejected 1/1/3", rejected({1, 1, 3}, [](auto& r) { r.titles.calling = scp::pad_ae_title(""); }));
  add("a calling AE title with a backslash is rejected 1/1/3", rejected({1, 1, 3}, [](auto& r) { r.titles.calling = scp::pad_ae_title("MR\\1"); }));
  add("a calling AE title with control characters is rejected 1/1/3", rejected({1, 1, 3}, [](auto& r) { r.titles.calling = scp::pad_ae_title("MR\n1"); }));
  add("a known title from a foreign network is rejected 1/1/3", rejected({1, 1, 3}, [](auto& r) { r.titles.calling = scp::pad_ae_title("FAR"); }));
  add("a protocol version with further bits is accepted", accepted([](auto& r) { r.protocol_version = 0xFFFF; }));
  add("a protocol version without bit 0 is rejected 1/2/2", rejected({1, 2, 2}, [](auto& r) { r.protocol_version = 2; }));
  add("an unknown application context is rejected 1/1/2", rejected({1, 1, 2}, [](auto& r) { r.application_context = "1.2.3.4.5"; }));
  add("a missing application context is rejected 1/1/2", rejected({1, 1, 2}, [](auto& r) { r.application_context.clear(); }));
  add("an association without presentation contexts is refused", refused_request([](auto& r) { r.contexts.clear(); }));
  add("an even presentation context id is refused", refused_request([](auto& r) { r.contexts[0].id = 2; }));
  add("a presentation context id of zero is refused", refused_request([](auto& r) { r.contexts[0].id = 0; }));
  add("a presentation context id used twice is refused", refused_request([](auto& r) { r.contexts[1].id = 1; }));
  add("128 presentation contexts are all answered in order", [](Receiver& receiver) -> Outcome {
    auto request = usual();
    request.contexts.clear();
    for (int id = 1; id < 256; id += 2) request.contexts.push_back({static_cast<std::uint8_t>(id), id == 1 ? echo_class : std::string(mr_class), {explicit_le, implicit_le}});
    Client client(receiver);
    if (!client.associate(request)) return "not accepted";
    if (client.accept->contexts.size() != 128) return "answers are missing";
    for (std::size_t i = 0; i < 128; ++i) {
      if (client.accept->contexts[i].id != request.contexts[i].id || client.accept->contexts[i].result != ContextResult::acceptance) return "a context is not answered";
    }
    return check(client.store(mr_image(), 255) == 0, "context 255 does not work");
  });
  add("40 transfer syntaxes for one context are weighed", [](Receiver& receiver) -> Outcome {
    auto request = usual();
    request.contexts[1].transfer_syntaxes.clear();
    for (int i = 0; i < 39; ++i) request.contexts[1].transfer_syntaxes.push_back("1.2.3.4." + std::to_string(i));
    request.contexts[1].transfer_syntaxes.push_back(explicit_le);
    Client client(receiver);
    if (!client.associate(request)) return "not accepted";
    return check(client.store(mr_image()) == 0, "not stored");
  });
  add("explicit little endian is preferred, then implicit, then what stands first", [](Receiver& receiver) -> Outcome {
    auto request = usual();
    const std::string jpeg = "1.2.840.10008.1.2.4.70";
    const std::string rle = "1.2.840.10008.1.2.5";
    request.contexts = {{1, std::string(mr_class), {jpeg, implicit_le, explicit_le}}, {3, std::string(mr_class), {jpeg, implicit_le}}, {5, std::string(mr_class), {rle, jpeg}}};
    Client client(receiver);
    if (!client.associate(request)) return "not accepted";
    const auto& contexts = client.accept->contexts;
    return check(contexts[0].transfer_syntax == explicit_le && contexts[1].transfer_syntax == implicit_le && contexts[2].transfer_syntax == rle, "other choices");
  });
  add("an unknown abstract syntax is answered with 3, the others work", [](Receiver& receiver) -> Outcome {
    auto request = usual();
    request.contexts[2].abstract_syntax = "1.2.3.4.5.6";
    Client client(receiver);
    if (!client.associate(request)) return "not accepted";
    if (client.result_of(5) != ContextResult::abstract_syntax_not_supported) return "another result";
    return check(client.echo() && client.store(mr_image()) == 0, "the others do not work");
  });
  add("unknown transfer syntaxes are answered with 4", [](Receiver& receiver) -> Outcome {
    auto request = usual();
    request.contexts[2].transfer_syntaxes = {"1.2.3.4.5.6"};
    Client client(receiver);
    if (!client.associate(request)) return "not accepted";
    return check(client.result_of(5) == ContextResult::transfer_syntaxes_not_supported, "another result");
  });
  add("a context without transfer syntaxes is not accepted", [](Receiver& receiver) -> Outcome {
    auto request = usual();
    request.contexts[2].transfer_syntaxes.clear();
    Client client(receiver);
    if (!client.associate(request)) return check(client.peer.ended(), "neither answered nor closed");
    return check(client.result_of(5) != ContextResult::acceptance, "accepted");
  });
  add("a context without abstract syntax is not accepted", [](Receiver& receiver) -> Outcome {
    auto request = usual();
    request.contexts[2].abstract_syntax.clear();
    Client client(receiver);
    if (!client.associate(request)) return check(client.peer.ended(), "neither answered nor closed");
    return check(client.result_of(5) != ContextResult::acceptance, "accepted");
  });
  add("contexts of which none is acceptable are all answered", [](Receiver& receiver) -> Outcome {
    auto request = usual();
    request.contexts = {{1, "1.2.3", {implicit_le}}, {3, "1.2.4", {implicit_le}}};
    Client client(receiver);
    if (!client.associate(request)) return check(client.peer.ended(), "neither answered nor closed");
    return check(client.accept->contexts.size() == 2 && client.release(), "not both answered");
  });
  add("JPEG 2000 is not negotiated", [](Receiver& receiver) -> Outcome {
    auto request = usual();
    request.contexts[2].transfer_syntaxes = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"};
    Client client(receiver);
    if (!client.associate(request)) return "not accepted";
    return check(client.result_of(5) == ContextResult::transfer_syntaxes_not_supported, "accepted");
  });
  for (const char* syntax : {"1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80",
                             "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}) {
    add(std::string("transfer syntax ") + syntax + " is accepted", [syntax](Receiver& receiver) -> Outcome {
      auto request = usual();
      request.contexts[2].transfer_syntaxes = {syntax};
      Client client(receiver);
      if (!client.associate(request)) return "not accepted";
      return check(client.result_of(5) == ContextResult::acceptance, "refused");
    });
  }
  add("every class of the pipeline and of its results is accepted", [](Receiver& receiver) -> Outcome {
    auto request = usual();
    request.contexts.clear();
    std::uint8_t id = 1;
    for (const char* uid : {"4", "4.1", "4.3", "66.4", "66.7", "481.3", "7", "88.11", "88.22", "88.33", "88.34"}) {
      request.contexts.push_back({id, std::string("1.2.840.10008.5.1.4.1.1.") + uid, {explicit_le}});
      id = static_cast<std::uint8_t>(id + 2);
    }
    Client client(receiver);
    if (!client.associate(request)) return "not accepted";
    return check(std::all_of(client.accept->contexts.begin(), client.accept->contexts.end(), [](const auto& c) { return c.result == ContextResult::acceptance; }), "one is refused");
  });
  add("a class that nobody asked for (CT) is not accepted", [](Receiver& receiver) -> Outcome {
    auto request = usual();
    request.contexts[2].abstract_syntax = "1.2.840.10008.5.1.4.1.1.2";
    Client client(receiver);
    if (!client.associate(request)) return "not accepted";
    return check(client.result_of(5) == ContextResult::abstract_syntax_not_supported, "accepted");
  });
  add("a user-information length beyond the PDU is refused", refused([] {
    auto user = user_item();
    user[3] = static_cast<std::uint8_t>(user[3] + 40);
    return with_items(join({application_context_item(), echo_context_item(), user}));
  }));
  add("an item length beyond the PDU is refused", refused([] {
    auto context = echo_context_item();
    context[2] = 0x70;
    return with_items(join({application_context_item(), context}));
  }));
  add("a sub-item length beyond its context is refused", refused([] {
    const auto context = item(0x20, join({{1, 0, 0, 0}, {0x30, 0, 0x10, 0, '1', '.', '2'}}));
    return with_items(join({application_context_item(), context, user_item()}));
  }));
  add("an association request shorter than its fixed part is refused", refused([] { return scp::Bytes{1, 0, 0, 0, 0, 4, 0, 1, 0, 0}; }));
  add("an association request of length zero is refused", refused([] { return scp::Bytes{1, 0, 0, 0, 0, 0}; }));
  add("a cut item head is refused", refused([] { return with_items(join({application_context_item(), echo_context_item(), user_item(), {0x50, 0}})); }));
  add("unknown items are skipped at every level", raw_accepted([] {
    const auto odd = item(0x7E, "odd things");
    return with_items(join({odd, application_context_item(), odd, echo_context_item(odd), user_item(odd), odd}));
  }));
  add("items in another order are accepted", raw_accepted([] { return with_items(join({user_item(), echo_context_item(), application_context_item()})); }));
  add("reserved octets are not looked at", raw_accepted([] {
    auto request = encode(association_request({{1, echo_class, {implicit_le}}}));
    request[1] = 0xFF;
    request[8] = request[9] = 0xFF;                                  // after the protocol version
    std::fill(request.begin() + 42, request.begin() + 74, 0xFF);     // after the titles
    request[75] = 0xFF;                                              // of the application context item
    const std::size_t context = 74 + 4 + scp::dicom_application_context.size();
    request[context + 1] = request[context + 5] = request[context + 6] = request[context + 7] = 0xFF;
    return request;
  }));
  add("an association without user information is accepted", raw_accepted([] { return with_items(join({application_context_item(), echo_context_item()})); }));
  add("UIDs padded with NUL are understood", raw_accepted([] {
    const auto padded = [](std::string text) { return text + std::string(1, '\0'); };
    return with_items(join({item(0x10, padded(std::string(scp::dicom_application_context))),
                            item(0x20, join({{1, 0, 0, 0}, item(0x30, padded(echo_class)), item(0x40, padded(implicit_le))})), user_item()}));
  }));
  add("maximum length 0 means unlimited", maximum_length(0));
  add("maximum length 64 is kept to", maximum_length(64));
  add("maximum length 8 is kept to", maximum_length(8));
  add("maximum length 4096 is kept to", maximum_length(4096));
  add("maximum length 2^32-1 is accepted", maximum_length(0xFFFFFFFF));
  add("a maximum length in which nothing fits is refused", refused_request([](auto& r) { r.user.maximum_length = 7; }));
  add("no maximum length is accepted", accepted([](auto& r) { r.user.maximum_length.reset(); }));
  add("a maximum length item of three octets is refused", refused([] {
    return with_items(join({application_context_item(), echo_context_item(), item(0x50, item(0x51, scp::Bytes{0, 0, 1}))}));
  }));
  for (const auto& [invoked, performed] : std::vector<std::pair<int, int>>{{0, 0}, {5, 5}, {1, 1}}) {
    add("an asynchronous window of " + std::to_string(invoked) + "/" + std::to_string(performed) + " is answered with 1/1", [invoked, performed](Receiver& receiver) -> Outcome {
      auto request = usual();
      request.user.asynchronous_window = scp::AsynchronousWindow{static_cast<std::uint16_t>(invoked), static_cast<std::uint16_t>(performed)};
      Client client(receiver);
      if (!client.associate(request)) return "not accepted";
      return check(client.accept->user.asynchronous_window == scp::AsynchronousWindow{1, 1} && client.echo(), "another answer");
    });
  }
  add("no asynchronous window is answered where none was proposed", [](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    return check(!client.accept->user.asynchronous_window, "answered");
  });
  const auto roles = [](scp::RoleSelection proposed, std::optional<scp::RoleSelection> expected) -> Behaviour {
    return [=](Receiver& receiver) -> Outcome {
      auto request = usual();
      request.contexts.push_back({21, std::string(scp::storage_commitment_push_class), {implicit_le}});
      request.user.roles = {proposed};
      Client client(receiver);
      if (!client.associate(request)) return "not accepted";
      const auto& answered = client.accept->user.roles;
      const bool as_expected = expected ? answered == std::vector{*expected} : answered.empty();
      return check(as_expected && client.echo(), "another answer");
    };
  };
  add("role selection as SCU is confirmed", roles({std::string(mr_class), true, false}, scp::RoleSelection{std::string(mr_class), true, false}));
  add("role selection as SCU and SCP is answered with SCU", roles({std::string(mr_class), true, true}, scp::RoleSelection{std::string(mr_class), true, false}));
  add("the SCP role is granted for storage commitment reports",
      roles({std::string(scp::storage_commitment_push_class), false, true}, scp::RoleSelection{std::string(scp::storage_commitment_push_class), false, true}));
  add("role selection for a class without context is not answered", roles({"1.2.3.4", true, true}, std::nullopt));
  add("a role selection whose UID is longer than its item is refused", refused([] {
    return with_items(join({application_context_item(), echo_context_item(), user_item(item(0x54, scp::Bytes{0, 9, '1', '.', '2', 1, 0}))}));
  }));
  for (int type = 1; type <= 5; ++type) {
    add("user identity of type " + std::to_string(type) + " is taken", identity(static_cast<std::uint8_t>(type), false));
    add("user identity of type " + std::to_string(type) + " asking for an answer is taken", identity(static_cast<std::uint8_t>(type), true));
  }
  add("user identity with name and password is taken", raw_accepted([] {
    return with_items(join({application_context_item(), echo_context_item(), user_item(item(0x58, scp::Bytes{2, 1, 0, 3, 'b', 'o', 'b', 0, 2, 'p', 'w'}))}));
  }));
  add("a user identity longer than its item is refused", refused([] {
    return with_items(join({application_context_item(), echo_context_item(), user_item(item(0x58, scp::Bytes{2, 1, 0, 99, 'b', 'o', 'b'}))}));
  }));
  add("extended negotiation of storage is answered", [](Receiver& receiver) -> Outcome {
    auto request = usual();
    request.user.extended_negotiations = {{std::string(mr_class), {2, 0, 3, 0, 1, 0}}, {"1.2.3", {1}}};
    Client client(receiver);
    if (!client.associate(request)) return "not accepted";
    const auto& answered = client.accept->user.extended_negotiations;
    return check(answered.size() == 1 && answered[0].sop_class_uid == mr_class && answered[0].information.size() == 6 && client.echo(), "another answer");
  });
  add("common extended negotiation is skipped", raw_accepted([] {
    return with_items(join({application_context_item(), echo_context_item(), user_item(item(0x57, scp::Bytes{0, 3, '1', '.', '2', 0, 1, '1', 0, 0}))}));
  }));
  add("the acceptance repeats the title fields and names its implementation", [](Receiver& receiver) -> Outcome {
    auto request = usual();
    request.titles.called = scp::pad_ae_title("  CHOANA");
    Client client(receiver);
    if (!client.associate(request)) return "not accepted";
    return check(client.accept->titles == request.titles && !client.accept->user.implementation_class_uid.empty() && client.accept->user.maximum_length == 131072 &&
                     client.accept->application_context == scp::dicom_application_context,
                 "another acceptance");
  });
  add("a second association request is aborted", aborts([](Client& c) { c.peer.send(encode(usual())); }));
  add("data before the association is refused", refused([] { return scp::encode_data(1, true, encode(echo_request()), 0); }));
  add("a release before the association is refused", refused([] { return scp::encode_release_request(); }));
  add("an abort before the association ends the connection", refused([] { return encode(scp::Abort{0, 0}); }));
  add("an A-ASSOCIATE-AC from the peer is aborted", aborts([](Client& c) { c.peer.send(encode(scp::AssociateAccept{})); }));
  add("an A-ASSOCIATE-RJ from the peer is aborted", aborts([](Client& c) { c.peer.send(encode(scp::AssociateReject{})); }));
  add("a release reply that nobody asked for is aborted", aborts([](Client& c) { c.peer.send(scp::encode_release_reply()); }));
  add("a PDU of unknown type is aborted", aborts([](Client& c) { c.peer.send(scp::Bytes{0x42, 0, 0, 0, 0, 4, 0, 0, 0, 0}); }));
  add("a PDU of unknown type as the first is refused", refused([] { return scp::Bytes{0x08, 0, 0, 0, 0, 4, 0, 0, 0, 0}; }));
  add("an HTTP request is hung up on", hangs_up("GET / HTTP/1.1\r\nHost: node\r\n\r\n"));
  add("a TLS client hello is hung up on", hangs_up(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)));
  add("an SSH banner is hung up on", hangs_up("SSH-2.0-OpenSSH_9.2\r\n"));
  add("an HL7 message is hung up on", hangs_up("\x0bMSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5\r\x1c\r"));
  add("NUL octets are hung up on", hangs_up(std::string(64, '\0')));
  add("an association request of 2 GB is hung up on", hangs_up(std::string("\x01\x00\x7f\xff\xff\xff", 6)));
  add("a P-DATA-TF of 2 GB is aborted", aborts([](Client& c) { c.peer.send(scp::Bytes{4, 0, 0x7F, 0xFF, 0xFF, 0xFF}); }));
  add("a P-DATA-TF over the announced length is aborted", aborts([](Client& c) { c.peer.send(scp::Bytes{4, 0, 0, 2, 0, 1}); }));
  add("an association that comes octet by octet is accepted", [](Receiver& receiver) -> Outcome {
    Client client(receiver);
    const auto request = encode(association_request({{1, echo_class, {implicit_le}}}));
    for (const std::uint8_t octet : request) client.peer.send(scp::Bytes{octet});
    return check(client.read_answer() && client.echo() && client.release(), "not accepted");
  });
  add("association request and C-ECHO in one write are both answered", [](Receiver& receiver) -> Outcome {
    Client client(receiver);
    client.peer.send(join({encode(usual()), scp::encode_data(1, true, encode(echo_request(9)), 0), scp::encode_release_request()}));
    if (!client.read_answer()) return "not accepted";
    const auto response = receive_command(client.peer);
    if (!response || response->message_id_responded_to != 9) return "no echo";
    const auto pdu = client.peer.receive();
    return check(pdu && pdu->type == 6, "no release");
  });
  add("a connection that says nothing does not disturb others", [](Receiver& receiver) -> Outcome {
    RawPeer silent(receiver.port());
    Client client(receiver);
    return check(client.associate() && client.echo(), "disturbed");
  });
  add("20 silent, half-open and slow peers keep no honest one waiting", [](Receiver& receiver) -> Outcome {
    std::vector<std::unique_ptr<RawPeer>> offenders;
    for (int i = 0; i < 20; ++i) {
      offenders.push_back(std::make_unique<RawPeer>(receiver.port()));
      if (i % 2 == 0) offenders.back()->send(ByteView(encode(usual())).first(40));
    }
    Client client(receiver);
    return check(client.associate() && client.store(mr_image()) == 0 && client.release(), "kept waiting");
  });
  add("200 associations work at once", [](Receiver& receiver) -> Outcome {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 200; ++i) {
      clients.push_back(std::make_unique<Client>(receiver));
      if (!clients.back()->associate()) return "association " + std::to_string(i) + " was not accepted";
    }
    for (auto& client : clients) {
      if (!client->echo()) return "an echo is missing";
    }
    for (auto& client : clients) {
      if (!client->release()) return "a release is missing";
    }
    return good;
  });
  add("associations beyond the limit are rejected 2/3/2, and a freed place is given again", [](Receiver&) -> Outcome {
    Receiver small([](scp::AcceptorSettings& s) { s.associations_max = 2; });
    Client first(small);
    Client second(small);
    if (!first.associate() || !second.associate()) return "not accepted";
    Client third(small);
    if (third.associate()) return "accepted";
    if (third.reject != AssociateReject{2, 3, 2}) return "another answer";
    if (!first.release()) return "no release";
    Client fourth(small);
    return check(fourth.associate() && fourth.echo(), "the place is not given again");
  });
  add("a limit of one title leaves room for others", [](Receiver&) -> Outcome {
    Receiver small([](scp::AcceptorSettings& s) {
      s.associations_per_ae_max = 1;
      s.peers.push_back({"other", "MR2", {"127.0.0.1"}});
    });
    Client first(small);
    Client second(small);
    Client other(small);
    if (!first.associate()) return "not accepted";
    if (second.associate() || second.reject != AssociateReject{2, 3, 2}) return "another answer";
    return check(other.associate(association_request(usual_contexts(), "CHOANA", "MR2")), "the other title is refused");
  });
  add("a nearly full disk refuses associations for the time being", [](Receiver&) -> Outcome {
    Receiver full([](scp::AcceptorSettings& s) { s.disk_low_bytes = UINT64_MAX; });
    Client client(full);
    if (client.associate()) return "accepted";
    return check(client.reject && client.reject->result == 2, "not transient");
  });
  add("any title of a network can be let in", [](Receiver&) -> Outcome {
    Receiver open([](scp::AcceptorSettings& s) { s.peers = {{"all", "*", {"127.0.0.0/8"}}}; });
    Client client(open);
    return check(client.associate(association_request(usual_contexts(), "CHOANA", "WHOEVER")), "not accepted");
  });
  add("unknown peers can be let in, under our own title only", [](Receiver&) -> Outcome {
    Receiver open([](scp::AcceptorSettings& s) {
      s.peers.clear();
      s.accept_unknown_peers = true;
    });
    Client client(open);
    Client wrong(open);
    if (!client.associate(association_request(usual_contexts(), "CHOANA", "WHOEVER"))) return "not accepted";
    return check(!wrong.associate(association_request(usual_contexts(), "OTHER", "WHOEVER")) && wrong.reject == AssociateReject{1, 1, 7}, "another answer");
  });
  add("nobody is let in by default", [](Receiver&) -> Outcome {
    Receiver closed([](scp::AcceptorSettings& s) { s.peers.clear(); });
    Client client(closed);
    return check(!client.associate() && client.reject == AssociateReject{1, 1, 3}, "another answer");
  });
}

// ---- messages ----

Outcome refused_status(std::optional<std::uint16_t> status, Client& client, Receiver& receiver, std::size_t before) {
  if (!status) return "no response";
  if (*status == 0) return "acknowledged";
  if (!client.echo()) return "the association is dead after " + hex(status);
  return check(receiver.committed().size() == before, "something was stored");
}

// The data set is refused with a status of these classes (first two hex digits), the association lives on.
Behaviour store_refused(const std::function<scp::Bytes()>& data_set, std::uint8_t context = 3, InstanceIdentity id = {}, std::vector<unsigned> classes = {0xA9, 0xC0}) {
  return [=](Receiver& receiver) -> Outcome {
    const auto before = receiver.committed().size();
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    const auto status = client.store(data_set(), context, id);
    const Outcome outcome = refused_status(status, client, receiver, before);
    if (!outcome.empty()) return outcome;
    return check(std::find(classes.begin(), classes.end(), *status >> 8) != classes.end(), hex(status));
  };
}

scp::Bytes spooled_data_set(Receiver& receiver, const ReceivedInstance& instance, const scp::Bytes& sent) {
  std::ifstream file(receiver.spool() / instance.spool_file, std::ios::binary);
  scp::Bytes bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (bytes.size() < sent.size()) return {};
  return {bytes.end() - static_cast<std::ptrdiff_t>(sent.size()), bytes.end()};
}

// Stored, acknowledged, byte for byte what was sent.
Behaviour stored(const std::function<scp::Bytes()>& data_set, std::uint8_t context = 3, InstanceIdentity id = {}, std::uint32_t maximum = 16384) {
  return [=](Receiver& receiver) -> Outcome {
    const auto before = receiver.committed().size();
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    const scp::Bytes sent = data_set();
    const auto status = client.store(sent, context, id, maximum);
    if (status != 0) return hex(status);
    const auto committed = receiver.committed();
    if (committed.size() != before + 1) return "not committed before the response";
    if (spooled_data_set(receiver, committed.back(), sent) != sent) return "other octets in the spool";
    if (committed.back().study_instance_uid != id.study) return "another study";
    return check(client.release(), "no release");
  };
}

scp::Bytes deflated(const scp::Bytes& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  scp::Bytes out(deflateBound(&stream, bytes.size()) + 64);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

void send_fragments(Client& client, std::uint8_t context, bool command, ByteView bytes, std::size_t fragment_bytes, bool one_pdu) {
  scp::Bytes body;
  scp::Bytes all;
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(fragment_bytes, bytes.size()));
    bytes = bytes.subspan(part.size());
    scp::ByteWriter(body).u32(part.size() + 2).u8(context).u8((command ? 1U : 0U) | (bytes.empty() ? 2U : 0U)).block(part);
    if (!one_pdu) {
      scp::ByteWriter(all).u8(4).u8(0).u32(body.size()).block(body);
      body.clear();
    }
  }
  if (one_pdu) scp::ByteWriter(all).u8(4).u8(0).u32(body.size()).block(body);
  client.peer.send(all);
}

Behaviour in_fragments(std::size_t fragment_bytes, bool one_pdu) {
  return [=](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    client.command(3, store_request(std::string(mr_class), InstanceIdentity{}.sop_instance));
    send_fragments(client, 3, false, mr_image(), fragment_bytes, one_pdu);
    return check(client.status() == 0, "not stored");
  };
}

// A C-STORE of a good data set under a changed command.
Behaviour command_refused(const std::function<void(scp::DimseCommand&)>& change, std::vector<std::uint16_t> expected, std::uint8_t context = 3) {
  return [=](Receiver& receiver) -> Outcome {
    const auto before = receiver.committed().size();
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    auto command = store_request(std::string(mr_class), InstanceIdentity{}.sop_instance);
    change(command);
    client.command(context, command);
    if (command.has_data_set) client.data(context, mr_image());
    const auto status = client.status();
    const Outcome outcome = refused_status(status, client, receiver, before);
    if (!outcome.empty()) return outcome;
    return check(std::find(expected.begin(), expected.end(), *status) != expected.end(), hex(status));
  };
}

scp::Bytes pdv(std::uint8_t context, std::uint8_t control, const scp::Bytes& bytes) {
  scp::Bytes out;
  scp::ByteWriter(out).u8(4).u8(0).u32(bytes.size() + 6).u32(bytes.size() + 2).u8(context).u8(control).block(bytes);
  return out;
}

void add_message_rows(std::vector<Row>& rows) {
  const auto add = [&rows](std::string name, Behaviour behaves) { rows.push_back({std::move(name), std::move(behaves)}); };
  const auto store_command = [] { return store_request(std::string(mr_class), InstanceIdentity{}.sop_instance); };

  add("a stray C-CANCEL is ignored and the next C-ECHO works", [](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    scp::DimseCommand cancel;
    cancel.command_field = scp::dimse_command::cancel_request;
    cancel.message_id_responded_to = 5;
    client.command(1, cancel);
    return check(client.echo(), "no echo");
  });
  add("an unknown command gets 0211", command_refused([](auto& c) { c.command_field = 0x0140; c.has_data_set = false; }, {0x0211}));
  add("an unknown command with a data set gets 0211 after it", command_refused([](auto& c) { c.command_field = 0x0055; }, {0x0211}));
  add("a C-FIND on a storage context gets 0211", command_refused([](auto& c) { c.command_field = 0x0020; }, {0x0211}));
  add("a C-ECHO on a storage context is refused", command_refused([](auto& c) { c = echo_request(); }, {0x0122, 0x0118, 0x0211}));
  add("a C-STORE on the verification context is refused", command_refused([](auto&) {}, {0x0122, 0x0118, 0x0211}, 1));
  add("a command of another class than its context is refused",
      command_refused([](auto& c) { c.affected_sop_class_uid = "1.2.840.10008.5.1.4.1.1.4.1"; }, {0x0122, 0x0118, 0xA900}));
  add("a command without SOP class is refused", command_refused([](auto& c) { c.affected_sop_class_uid.clear(); }, {0x0122, 0x0118, 0xA900}));
  add("a C-STORE without a data set is refused", command_refused([](auto& c) { c.has_data_set = false; }, {0xC000, 0xA900, 0x0212}));
  add("an instance UID with ../ in the command is refused", command_refused([](auto& c) { c.affected_sop_instance_uid = "../../evil"; }, {0x0117, 0xA900, 0xC000}));
  add("an instance UID of dots is refused", command_refused([](auto& c) { c.affected_sop_instance_uid = ".."; }, {0x0117, 0xA900, 0xC000}));
  add("an instance UID with NUL inside is refused",
      command_refused([](auto& c) { c.affected_sop_instance_uid = std::string("1.2.3\0.4", 8); }, {0x0117, 0xA900, 0xC000}));
  add("an instance UID of 66 characters is refused", command_refused([](auto& c) { c.affected_sop_instance_uid = "1." + std::string(64, '2'); }, {0x0117, 0xA900, 0xC000}));
  add("no instance UID is refused", command_refused([](auto& c) { c.affected_sop_instance_uid.clear(); }, {0x0117, 0xA900, 0xC000}));
  add("an instance UID other than the data set's is refused with A9xx", command_refused([](auto& c) { c.affected_sop_instance_uid = "1.2.3.100.999"; }, {0xA900}));
  add("the response names message, class and instance", [store_command](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    auto command = store_command();
    command.message_id = 4711;
    client.command(3, command);
    client.data(3, mr_image());
    const auto response = receive_command(client.peer);
    return check(response && response->command_field == 0x8001 && response->message_id_responded_to == 4711 && response->affected_sop_class_uid == mr_class &&
                     response->affected_sop_instance_uid == InstanceIdentity{}.sop_instance && !response->has_data_set,
                 "another response");
  });
  add("a data set without its command is aborted", aborts([](Client& c) { c.data(3, mr_image()); }));
  add("a command on a context that was not negotiated is aborted", aborts([](Client& c) { c.command(99, echo_request()); }));
  add("a command on an even context id is aborted", aborts([](Client& c) { c.command(2, echo_request()); }));
  add("data on another context than its command is aborted", aborts([=](Client& c) {
    c.command(3, store_command());
    c.data(5, mr_image());
  }));
  add("a command in the middle of a data set is aborted", aborts([=](Client& c) {
    c.command(3, store_command());
    c.peer.send(pdv(3, 0, {8, 0, 5, 0}));
    c.command(3, echo_request());
  }));
  add("a release in the middle of a data set is aborted", aborts([=](Client& c) {
    c.command(3, store_command());
    c.peer.send(pdv(3, 0, {8, 0, 5, 0}));
    c.peer.send(scp::encode_release_request());
  }));
  add("a release between a command and its data set is aborted", aborts([=](Client& c) {
    c.command(3, store_command());
    c.peer.send(scp::encode_release_request());
  }));
  add("a connection that ends in mid data set leaves nothing", [=](Receiver& receiver) -> Outcome {
    const auto before = receiver.committed().size();
    {
      Client client(receiver);
      if (!client.associate()) return "not accepted";
      client.command(3, store_command());
      client.peer.send(pdv(3, 0, mr_image()));
    }
    Client next(receiver);
    return check(next.associate() && next.echo() && receiver.committed().size() == before, "something was stored");
  });
  add("an abort in mid data set leaves nothing", aborts([=](Client& c) {
    c.command(3, store_command());
    c.peer.send(pdv(3, 0, mr_image()));
    c.peer.send(encode(scp::Abort{0, 0}));
  }));
  add("fragments of one octet are put together", in_fragments(1, false));
  add("fragments of two octets are put together", in_fragments(2, false));
  add("fragments of one octet in one PDU are put together", in_fragments(1, true));
  add("several fragments in one PDU are put together", in_fragments(100, true));
  add("a command set split over PDUs is put together", [=](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    send_fragments(client, 3, true, encode(store_command()), 7, false);
    client.data(3, mr_image());
    return check(client.status() == 0, "not stored");
  });
  add("command and data set in one PDU are understood", [=](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    auto command = encode(store_command());
    auto data = mr_image();
    scp::Bytes body;
    scp::ByteWriter(body).u32(command.size() + 2).u8(3).u8(3).block(command);
    scp::ByteWriter(body).u32(data.size() + 2).u8(3).u8(2).block(data);
    scp::Bytes pdu;
    scp::ByteWriter(pdu).u8(4).u8(0).u32(body.size()).block(body);
    client.peer.send(pdu);
    return check(client.status() == 0, "not stored");
  });
  add("an empty last fragment ends the data set", [=](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    client.command(3, store_command());
    client.peer.send(pdv(3, 0, mr_image()));
    client.peer.send(pdv(3, 2, {}));
    return check(client.status() == 0, "not stored");
  });
  add("an empty fragment in the middle is nothing", [=](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    client.command(3, store_command());
    client.peer.send(pdv(3, 0, {}));
    client.peer.send(pdv(3, 2, mr_image()));
    return check(client.status() == 0, "not stored");
  });
  add("reserved bits of the message control header are not looked at", [=](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    client.peer.send(pdv(3, 0xF3, encode(store_command())));
    client.peer.send(pdv(3, 0xF2, mr_image()));
    return check(client.status() == 0, "not stored");
  });
  add("a fragment without control header is aborted", aborts([](Client& c) { c.peer.send(scp::Bytes{4, 0, 0, 0, 0, 5, 0, 0, 0, 1, 3}); }));
  add("a fragment of length zero is aborted", aborts([](Client& c) { c.peer.send(scp::Bytes{4, 0, 0, 0, 0, 4, 0, 0, 0, 0}); }));
  add("a fragment longer than its PDU is aborted", aborts([](Client& c) { c.peer.send(scp::Bytes{4, 0, 0, 0, 0, 6, 0, 0, 0, 99, 3, 3}); }));
  add("a P-DATA-TF without a fragment is aborted", aborts([](Client& c) { c.peer.send(scp::Bytes{4, 0, 0, 0, 0, 0}); }));
  add("a cut command set is aborted", aborts([](Client& c) {
    auto command = encode(echo_request());
    command.resize(command.size() - 3);
    c.peer.send(pdv(1, 3, command));
  }));
  add("a command set with an element of another group is aborted", aborts([](Client& c) {
    auto command = encode(echo_request());
    command.insert(command.end(), {8, 0, 5, 0, 0, 0, 0, 0});
    c.peer.send(pdv(1, 3, command));
  }));
  add("a request without message ID is aborted", aborts([](Client& c) {
    auto command = echo_request();
    command.message_id.reset();
    c.command(1, command);
  }));
  add("an empty command set is aborted", aborts([](Client& c) { c.peer.send(pdv(1, 3, {})); }));
  add("a command set over the limit is aborted", aborts([](Client& c) {
    for (int i = 0; i < 3; ++i) c.peer.send(pdv(1, 1, scp::Bytes(10'000)));
  }));
  add("a response to nothing is aborted", aborts([](Client& c) {
    auto command = echo_request();
    command.command_field = 0x8030;
    command.status = 0;
    c.command(1, command);
  }));
  add("a wrong group length of the command set is not looked at", [](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    auto command = encode(echo_request());
    command[8] = 0xFF;
    client.peer.send(pdv(1, 3, command));
    return check(client.status() == 0, "no echo");
  });
  add("a hundred C-ECHOs on one association are answered", [](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    for (std::uint16_t i = 0; i < 100; ++i) {
      if (!client.echo(i)) return "an answer is missing";
    }
    return check(client.release(), "no release");
  });
  add("C-STOREs sent without waiting are answered in order", [=](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    for (std::uint16_t id = 1; id <= 5; ++id) {
      auto command = store_command();
      command.message_id = id;
      client.command(3, command);
      client.data(3, mr_image());
    }
    for (std::uint16_t id = 1; id <= 5; ++id) {
      const auto response = receive_command(client.peer);
      if (!response || response->status != 0 || response->message_id_responded_to != id) return "answer " + std::to_string(id) + " is missing";
    }
    return good;
  });
  add("a storage commitment report is taken", [](Receiver& receiver) -> Outcome {
    auto request = usual();
    request.contexts.push_back({21, std::string(scp::storage_commitment_push_class), {implicit_le}});
    request.user.roles = {{std::string(scp::storage_commitment_push_class), false, true}};
    Client client(receiver);
    if (!client.associate(request)) return "not accepted";
    scp::DimseCommand report;
    report.command_field = scp::dimse_command::event_report_request;
    report.message_id = 3;
    report.has_data_set = true;
    report.event_type_id = 2;
    report.affected_sop_class_uid = std::string(scp::storage_commitment_push_class);
    report.affected_sop_instance_uid = "1.2.840.10008.1.20.1.1";
    client.command(21, report);
    client.data(21, DataSetBytes(Encoding::implicit_little).text(0x00081195, "UI", "1.2.3.9").bytes());
    const auto response = receive_command(client.peer);
    return check(response && response->command_field == 0x8100 && response->status == 0 && response->event_type_id == 2 && receiver.report_type() == 2, "not taken");
  });
}

// ---- data sets ----

void add_data_set_rows(std::vector<Row>& rows) {
  const auto add = [&rows](std::string name, Behaviour behaves) { rows.push_back({std::move(name), std::move(behaves)}); };
  using Make = std::function<scp::Bytes()>;
  const InstanceIdentity id;

  add("explicit little endian is stored octet for octet", stored([] { return mr_image(); }));
  add("implicit little endian is stored octet for octet", stored([=] { return mr_image(id, 512, Encoding::implicit_little); }, 5));
  add("explicit big endian is stored octet for octet", stored([=] { return mr_image(id, 512, Encoding::explicit_big); }, 7));
  add("a deflated data set is stored octet for octet", stored([] { return deflated(mr_image()); }, 11));
  add("a deflated data set with a padding octet is stored", stored([] { auto bytes = deflated(mr_image()); bytes.push_back(0); return bytes; }, 11));
  add("encapsulated pixel data is stored octet for octet", stored([=] {
    return mr_head(id).head(0x7FE00010, "OB", 0xFFFFFFFF).item(0).item(6).raw("\xFF\xD8\x01\x02\xFF\xD9").end_sequence().bytes();
  }, 13));
  add("an object of 3 MB is stored octet for octet", stored([=] { return mr_image(id, 3'000'000); }, 3, id, 131072));
  add("sequences of undefined length are walked", stored([=] {
    return mr_head(id).head(0x00400275, "SQ", 0xFFFFFFFF).item().text(0x00400007, "LO", "x").end_item().end_sequence().bytes();
  }));
  add("sequences and items of defined length are walked", stored([=] {
    return mr_head(id).head(0x00400275, "SQ", 18).item(10).text(0x00400007, "LO", "xy").bytes();
  }));
  add("an empty sequence and an empty item are walked", stored([=] {
    return mr_head(id).head(0x00400275, "SQ", 0).head(0x00400276, "SQ", 8).item(0).bytes();
  }));
  add("UN of undefined length is walked as implicit VR", stored([=] {
    const auto nested = DataSetBytes(Encoding::implicit_little).item().text(0x00091002, "", "abcd").end_item().end_sequence().bytes();
    return mr_head(id).head(0x00291010, "UN", 0xFFFFFFFF).raw(nested).bytes();
  }));
  add("UN of undefined length in big endian is little endian inside", stored([=] {
    const auto nested = DataSetBytes(Encoding::implicit_little).item().text(0x00091002, "", "abcd").end_item().end_sequence().bytes();
    return mr_head(id, Encoding::explicit_big).head(0x00291010, "UN", 0xFFFFFFFF).raw(nested).bytes();
  }, 7));
  add("group lengths are walked", stored([=] { return DataSetBytes().head(0x00080000, "UL", 4).u32(4711).raw(mr_head(id).bytes()).bytes(); }));
  add("private elements without a creator are kept", stored([=] { return mr_head(id).text(0x00111001, "LO", "private").head(0x00111002, "UN", 4).raw("abcd").bytes(); }));
  add("group 0002 inside the data set is kept", stored([=] { return DataSetBytes().text(0x00020010, "UI", "1.2.840.10008.1.2.1").raw(mr_head(id).bytes()).bytes(); }));
  add("elements out of order are kept", stored([=] { return mr_head(id).text(0x00080070, "LO", "late").text(0x00080005, "CS", "ISO_IR 100").bytes(); }));
  add("trailing padding is kept", stored([=] { return mr_head(id).head(0xFFFCFFFC, "OB", 4).raw(std::string(4, '\0')).bytes(); }));
  add("values of odd length are kept", stored([=] { return mr_head(id).head(0x00081080, "LO", 3).raw("abc").bytes(); }));
  add("a VR of the future is walked with a long length", stored([=] {
    return mr_head(id).u16(0x0008).u16(0x9999).raw("ZZ").u16(0).u32(4).raw("abcd").bytes();
  }));
  const auto nested = [=](int depth) {
    auto set = mr_head(id);
    for (int i = 0; i < depth; ++i) set.head(0x00400275, "SQ", 0xFFFFFFFF).item();
    set.text(0x00400007, "LO", "deep");
    for (int i = 0; i < depth; ++i) set.end_item().end_sequence();
    return set.bytes();
  };
  add("20-deep nesting is kept", stored([=] { return nested(20); }));
  add("64-deep nesting is kept", stored([=] { return nested(64); }));
  add("65-deep nesting is refused", store_refused([=] { return nested(65); }));
  add("20,000-deep nesting is refused", store_refused([=] { return nested(20'000); }));
  add("nesting of a million levels is refused", store_refused([] {
    auto set = mr_head();
    for (int i = 0; i < 1'000'000; ++i) set.head(0x00400275, "SQ", 0xFFFFFFFF).item();
    return set.bytes();
  }));
  InstanceIdentity long_id;
  long_id.sop_instance = "1." + std::string(62, '2');
  long_id.study = "1." + std::string(62, '3');
  long_id.series = "1." + std::string(62, '4');
  add("UIDs of 64 characters are kept", stored([=] { return mr_image(long_id); }, 3, long_id));
  InstanceIdentity zero_id;
  zero_id.sop_instance = "1.2.03.4";
  add("a UID with a leading zero is kept, as it occurs", stored([=] { return mr_image(zero_id); }, 3, zero_id));
  add("a data set of another class than its command is refused", store_refused([=] { auto other = id; other.sop_class += ".1"; return mr_image(other); }, 3, id, {0xA9}));
  add("a data set of another instance than its command is refused", store_refused([=] { auto other = id; other.sop_instance += ".1"; return mr_image(other); }, 3, id, {0xA9}));
  const auto without = [=](std::uint32_t left_out) {
    DataSetBytes set;
    const std::vector<std::pair<std::uint32_t, std::string>> uids{{0x00080016, id.sop_class}, {0x00080018, id.sop_instance}, {0x0020000D, id.study}, {0x0020000E, id.series}};
    for (const auto& [tag, value] : uids) {
      if (tag != left_out) set.text(tag, "UI", value);
    }
    return set.bytes();
  };
  add("a data set without Study Instance UID is refused", store_refused([=] { return without(0x0020000D); }));
  add("a data set without Series Instance UID is refused", store_refused([=] { return without(0x0020000E); }));
  add("a data set without SOP Instance UID is refused", store_refused([=] { return without(0x00080018); }));
  add("a data set without SOP Class UID is refused", store_refused([=] { return without(0x00080016); }));
  const auto with_study = [=](std::string study) { auto other = id; other.study = std::move(study); return mr_image(other); };
  add("an empty Study Instance UID is refused", store_refused([=] { return with_study(""); }));
  add("a Study Instance UID with ../ is refused", store_refused([=] { return with_study("1.2/../../etc"); }));
  add("a Study Instance UID with NUL inside is refused", store_refused([=] { return with_study(std::string("1.2\0.3", 6)); }));
  add("a Study Instance UID of 65 characters is refused", store_refused([=] { return with_study("1." + std::string(63, '2')); }));
  add("a Study Instance UID of letters is refused", store_refused([=] { return with_study("1.2.abc"); }));
  add("a Study Instance UID that stands twice and differs is refused", store_refused([=] { return mr_head(id).text(0x0020000D, "UI", "9.9").bytes(); }));
  add("a Study Instance UID inside a sequence is not that of the instance", store_refused([=] {
    return DataSetBytes(without(0x0020000D).empty() ? Encoding::explicit_little : Encoding::explicit_little)
        .raw(without(0x0020000D)).head(0x00400275, "SQ", 0xFFFFFFFF).item().text(0x0020000D, "UI", id.study).end_item().end_sequence().bytes();
  }));
  const auto cut = [](Make make, std::size_t octets) -> Make {
    return [=] {
      auto bytes = make();
      bytes.resize(bytes.size() - octets);
      return bytes;
    };
  };
  const Make with_open_sequence = [=] { return mr_head(id).head(0x00400275, "SQ", 0xFFFFFFFF).item().text(0x00400007, "LO", "xy").end_item().end_sequence().bytes(); };
  add("a data set cut before the end of a sequence is refused", store_refused(cut(with_open_sequence, 8)));
  add("a data set cut before the end of an item is refused", store_refused(cut(with_open_sequence, 16)));
  add("a data set cut inside an element of a sequence is refused", store_refused(cut(with_open_sequence, 17)));
  add("a data set cut inside a sequence of defined length is refused", store_refused(cut([=] {
    return mr_head(id).head(0x00400275, "SQ", 18).item(10).text(0x00400007, "LO", "xy").bytes();
  }, 10)));
  add("an implicit data set cut inside a sequence is refused", store_refused(cut([=] {
    return mr_head(id, Encoding::implicit_little).head(0x00400275, "SQ", 18).item(10).text(0x00400007, "LO", "xy").bytes();
  }, 4), 5));
  add("a data set cut inside its pixel data is refused", store_refused(cut([] { return mr_image(); }, 100)));
  add("a data set cut inside the head of an element is refused", store_refused(cut([=] { return mr_head(id).head(0x00280010, "US", 2).bytes(); }, 3)));
  add("a data set cut inside a fragment of pixel data is refused", store_refused(cut([=] {
    return mr_head(id).head(0x7FE00010, "OB", 0xFFFFFFFF).item(0).item(6).raw("\xFF\xD8\x01\x02\xFF\xD9").end_sequence().bytes();
  }, 10), 13));
  add("encapsulated pixel data without its end is refused", store_refused(cut([=] {
    return mr_head(id).head(0x7FE00010, "OB", 0xFFFFFFFF).item(0).item(6).raw("\xFF\xD8\x01\x02\xFF\xD9").end_sequence().bytes();
  }, 8), 13));
  add("a deflated data set that is cut is refused", store_refused(cut([] { return deflated(mr_image()); }, 20), 11));
  add("a deflated data set followed by rubbish is refused", store_refused([] { auto bytes = deflated(mr_image()); bytes.insert(bytes.end(), {1, 2, 3}); return bytes; }, 11));
  add("a data set that is not deflated is refused", store_refused([] { return mr_image(); }, 11));
  add("a deflated bomb is refused", store_refused([=] { return deflated(mr_image(id, 100'000'000)); }, 11, id, {0xA7, 0xA9, 0xC0}));
  add("an empty data set is refused", store_refused([] { return scp::Bytes{}; }));
  add("rubbish is refused", store_refused([] { return scp::Bytes(1000, 0xA5); }));
  add("text is refused", store_refused([] { const std::string_view text = "This is not DICOM at all, it is a sentence."; return scp::Bytes(text.begin(), text.end()); }));
  add("zeros are refused", store_refused([] { return scp::Bytes(1000, 0); }));
  add("zeros in implicit VR are refused", store_refused([] { return scp::Bytes(1000, 0); }, 5));
  add("a whole file in place of a data set is refused", store_refused([] {
    scp::Bytes bytes(128, 0);
    bytes.insert(bytes.end(), {'D', 'I', 'C', 'M'});
    const auto image = mr_image();
    bytes.insert(bytes.end(), image.begin(), image.end());
    return bytes;
  }));
  add("implicit VR under explicit VR is refused", store_refused([=] { return mr_image(id, 512, Encoding::implicit_little); }));
  add("an element that claims 4 GB is refused", store_refused([=] { return mr_head(id).head(0x7FE00010, "OW", 0xFFFFFFFE).raw("abcd").bytes(); }));
  add("an item longer than its sequence is refused", store_refused([=] { return mr_head(id).head(0x00400275, "SQ", 10).item(100).text(0x00400007, "LO", "xy").bytes(); }));
  add("an element longer than its item is refused", store_refused([=] { return mr_head(id).head(0x00400275, "SQ", 18).item(10).head(0x00400007, "LO", 200).raw(std::string(200, 'x')).bytes(); }));
  add("an element between items is refused", store_refused([=] { return mr_head(id).head(0x00400275, "SQ", 0xFFFFFFFF).text(0x00400007, "LO", "xy").end_sequence().bytes(); }));
  add("a delimiter that closes nothing is refused", store_refused([=] { return mr_head(id).end_sequence().bytes(); }));
  add("an item outside a sequence is refused", store_refused([=] { return mr_head(id).item().bytes(); }));
  add("an undefined length of text is refused", store_refused([=] { return mr_head(id).head(0x00081080, "UT", 0xFFFFFFFF).raw("abcd").bytes(); }));
  add("an object over the limit gets A700, the next is stored", [=](Receiver&) -> Outcome {
    Receiver small([](scp::AcceptorSettings& s) { s.object_max_bytes = 100'000; });
    Client client(small);
    if (!client.associate()) return "not accepted";
    const auto status = client.store(mr_image(id, 300'000));
    if (status != 0xA700) return hex(status);
    return check(client.store(mr_image()) == 0 && small.committed().size() == 1, "the next is not stored");
  });
  add("a data set without end is aborted", [=](Receiver&) -> Outcome {
    Receiver small([](scp::AcceptorSettings& s) { s.object_max_bytes = 100'000; });
    Client client(small);
    if (!client.associate()) return "not accepted";
    client.command(3, store_request(std::string(mr_class), id.sop_instance));
    const auto block = pdv(3, 0, scp::Bytes(100'000));
    for (int i = 0; i < 2'000; ++i) {
      if (!client.peer.send(block)) return good;
    }
    return check(client.aborted(), "200 MB were taken");
  });
  add("a full disk gets A700", [=](Receiver&) -> Outcome {
    Receiver full([](scp::AcceptorSettings& s) { s.disk_reserve_bytes = UINT64_MAX; });
    Client client(full);
    if (!client.associate()) return "not accepted";
    const auto status = client.store(mr_image());
    return check(status == 0xA700 && client.echo(), hex(status));
  });
  add("the same object twice is acknowledged twice and kept twice", [=](Receiver& receiver) -> Outcome {
    const auto before = receiver.committed().size();
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    if (client.store(mr_image()) != 0 || client.store(mr_image()) != 0) return "not acknowledged";
    const auto committed = receiver.committed();
    return check(committed.size() == before + 2 && committed[before].sha256 == committed[before + 1].sha256 && committed[before].spool_file != committed[before + 1].spool_file,
                 "not both kept");
  });
  add("other contents under the same UID are kept apart", [=](Receiver& receiver) -> Outcome {
    const auto before = receiver.committed().size();
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    if (client.store(mr_image(id, 512)) != 0 || client.store(mr_image(id, 514)) != 0) return "not acknowledged";
    const auto committed = receiver.committed();
    return check(committed.size() == before + 2 && committed[before].sha256 != committed[before + 1].sha256, "not both kept");
  });
  add("refused objects do not spoil the next one", [=](Receiver& receiver) -> Outcome {
    Client client(receiver);
    if (!client.associate()) return "not accepted";
    for (int i = 0; i < 10; ++i) {
      if (client.store(scp::Bytes(50'000, 0xA5)) == 0) return "acknowledged rubbish";
    }
    return check(client.store(mr_image()) == 0, "the next is not stored");
  });
}

std::vector<Row> table() {
  std::vector<Row> rows;
  add_association_rows(rows);
  add_message_rows(rows);
  add_data_set_rows(rows);
  return rows;
}

TEST(WireBehaviour, AnswersEveryRowOfTheTable) {
  Receiver receiver;
  const auto rows = table();
  std::size_t passed = 0;
  for (const Row& row : rows) {
    Outcome outcome = row.behaves(receiver);
    // Whatever happened, the next honest peer is served.
    Client honest(receiver);
    if (outcome.empty() && !(honest.associate() && honest.echo() && honest.release())) outcome = "the next peer is not served";
    EXPECT_EQ(outcome, "") << row.name;
    if (outcome.empty()) ++passed;
  }
  std::cout << passed << " of " << rows.size() << " behaviours\n";
  // No part of a refused object stays behind.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(receiver.spool())) EXPECT_NE(entry.path().extension(), ".part") << entry.path();
}

}  // namespace
}  // namespace choana::test
