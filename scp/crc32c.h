#pragma once

#include <cstdint>

#include "scp/upper_layer/bytes.h"

namespace choana::scp {

/// CRC-32C (Castagnoli, RFC 3720 B.4) of `bytes` after what `crc` already covers; start with 0. Uses the instruction of
/// the processor where it has one.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, ByteView bytes);

}  // namespace choana::scp
