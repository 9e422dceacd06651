// First octet: which decoder. What decodes and is of sane size must survive writing and reading again.
#include <cstdlib>

#include "scp/upper_layer/pdu.h"
#include "tests/fuzz/seeds.h"

using namespace choana::scp;

namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

// Items have 16-bit lengths: what was decoded from several user items need not fit one again.
template <typename T>
bool writable(const T& message) {
  std::size_t user = 64;
  for (const auto& role : message.user.roles) user += role.sop_class_uid.size() + 8;
  for (const auto& extended : message.user.extended_negotiations) user += extended.sop_class_uid.size() + extended.information.size() + 8;
  return user + message.user.implementation_class_uid.size() + message.user.implementation_version_name.size() < 60000;
}

ByteView body_of(const Bytes& pdu) { return ByteView(pdu).subspan(pdu_header_bytes); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  ByteView body(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      if (const auto request = decode_associate_request(body)) {
        std::size_t syntaxes = 0;
        for (const auto& context : request->contexts) {
          std::size_t own = context.abstract_syntax.size() + 8;
          for (const auto& syntax : context.transfer_syntaxes) own += syntax.size() + 4;
          syntaxes = std::max(syntaxes, own);
        }
        if (syntaxes > 60000 || !writable(*request)) return 0;
        const auto again = decode_associate_request(body_of(encode(*request)));
        require(again.has_value() && *again == *request);
      }
      break;
    case 1:
      if (const auto accept = decode_associate_accept(body)) {
        if (!writable(*accept)) return 0;
        for (const auto& context : accept->contexts) {
          if (context.transfer_syntax.size() > 60000) return 0;
        }
        const auto again = decode_associate_accept(body_of(encode(*accept)));
        require(again.has_value() && *again == *accept);
      }
      break;
    case 2: {
      std::size_t taken = 0;
      while (!body.empty()) {
        const std::size_t before = body.size();
        const auto fragment = take_fragment(body);
        if (!fragment) break;
        require(body.size() < before && fragment->bytes.size() <= before);
        taken += fragment->bytes.size();
      }
      require(taken <= size);
      break;
    }
    default:
      if (const auto rejected = decode_associate_reject(body)) require(decode_associate_reject(body_of(encode(*rejected))) == *rejected);
      if (const auto aborted = decode_abort(body)) require(decode_abort(body_of(encode(*aborted))) == *aborted);
  }
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  AssociateRequest request;
  request.titles.called = pad_ae_title("CHOANA");
  request.titles.calling = pad_ae_title("MR1");
  request.application_context = std::string(dicom_application_context);
  request.contexts = {{1, "1.2.840.10008.1.1", {"1.2.840.10008.1.2"}}, {3, "1.2.840.10008.5.1.4.1.1.4", {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2"}}};
  request.user.maximum_length = 16384;
  request.user.implementation_class_uid = "1.2.3";
  request.user.implementation_version_name = "V";
  request.user.asynchronous_window = AsynchronousWindow{5, 5};
  request.user.roles = {{"1.2.840.10008.1.20.1", false, true}};
  request.user.extended_negotiations = {{"1.2.840.10008.5.1.4.1.1.4", {2, 0, 3, 0, 1, 0}}};
  request.user.user_identity = UserIdentity{2, true};
  AssociateAccept accept;
  accept.titles = request.titles;
  accept.contexts = {{1, ContextResult::acceptance, "1.2.840.10008.1.2"}};
  accept.user = request.user;
  const auto seed = [](std::uint8_t which, const Bytes& pdu) {
    Bytes out{which};
    out.insert(out.end(), pdu.begin() + pdu_header_bytes, pdu.end());
    return out;
  };
  return {seed(0, encode(request)), seed(1, encode(accept)), seed(2, encode_data(3, true, Bytes(100, 7), 64)), seed(3, encode(reject::local_limit)), {}};
}
