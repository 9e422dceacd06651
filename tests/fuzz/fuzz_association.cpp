// The state machine and the messages above it, fed as from a socket, up to the first C-STORE (no disk is touched: the
// command is decoded, its data set is not opened).
#include <cstdlib>
#include <cstring>

#include "scp/dimse_command.h"
#include "scp/sop_classes.h"
#include "scp/upper_layer/association.h"
#include "tests/fuzz/seeds.h"

using namespace choana::scp;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto offered = offered_classes({}, {});
  if (size < 1) return 0;
  const std::size_t piece = 1U + data[0];
  ByteView rest(data + 1, size - 1);
  Association association;
  while (!rest.empty()) {
    const auto room = association.writable();
    const std::size_t count = std::min({piece, rest.size(), room.size()});
    if (count == 0) std::abort();
    std::memcpy(room.data(), rest.data(), count);
    rest = rest.subspan(count);
    association.written(count);
    while (true) {
      const auto event = association.poll();
      if (std::holds_alternative<Association::NeedMore>(event)) break;
      if (const auto* request = std::get_if<AssociateRequest>(&event)) {
        const auto negotiation = negotiate(*request, offered, 131072);
        if (negotiation.answers.size() != request->contexts.size()) std::abort();
        const auto answer = association.accept(*request, negotiation);
        if (!decode_associate_accept(ByteView(answer).subspan(pdu_header_bytes))) std::abort();
      } else if (const auto* fragment = std::get_if<Fragment>(&event)) {
        if (association.context(fragment->context_id) == nullptr) std::abort();
        (void)decode_command(fragment->bytes);
        (void)association.data(fragment->context_id, true, fragment->bytes);
      } else if (std::holds_alternative<Association::ReleaseRequested>(event)) {
        (void)association.release_reply();
      }
    }
  }
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  AssociateRequest request;
  request.titles.called = pad_ae_title("CHOANA");
  request.titles.calling = pad_ae_title("MR1");
  request.application_context = std::string(dicom_application_context);
  request.contexts = {{1, "1.2.840.10008.1.1", {"1.2.840.10008.1.2"}}};
  request.user.maximum_length = 64;
  DimseCommand echo;
  echo.command_field = dimse_command::echo_request;
  echo.message_id = 1;
  echo.affected_sop_class_uid = "1.2.840.10008.1.1";
  Bytes seed{63};
  for (const auto& part : {encode(request), encode_data(1, true, encode(echo), 64), encode_release_request()}) seed.insert(seed.end(), part.begin(), part.end());
  return {seed};
}
