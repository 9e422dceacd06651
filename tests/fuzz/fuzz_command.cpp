#include <cstdlib>

#include "scp/dimse_command.h"
#include "tests/fuzz/seeds.h"

using namespace choana::scp;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto command = decode_command({data, size});
  if (!command || command->error_comment.size() > 64) return 0;
  const auto again = decode_command(encode(*command));
  if (!again || *again != *command) std::abort();
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  DimseCommand command;
  command.command_field = dimse_command::store_request;
  command.message_id = 7;
  command.priority = 0;
  command.status = 0xA700;
  command.event_type_id = 1;
  command.message_id_responded_to = 3;
  command.has_data_set = true;
  command.affected_sop_class_uid = "1.2.840.10008.5.1.4.1.1.4";
  command.affected_sop_instance_uid = "1.2.3.4";
  command.error_comment = "odd";
  return {encode(command)};
}
