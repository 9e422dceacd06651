#pragma once

#include <string>

#include "core/received_instance.h"
#include "core/result.h"

namespace choana {

/// One line of JSON that holds everything of a ReceivedInstance; text that is no UTF-8 keeps its bytes as U+FFFD.
[[nodiscard]] std::string to_json(const ReceivedInstance& instance);
/// Errors: invalid_argument.
[[nodiscard]] Result<ReceivedInstance> received_instance_from_json(const std::string& text);

}  // namespace choana
