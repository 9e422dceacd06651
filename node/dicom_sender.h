#pragma once

#include <string>

#include "node/outbox.h"

namespace choana {

/// Senders that speak DICOM through StoreClient, calling themselves `calling_ae_title`.
[[nodiscard]] SenderFactory dicom_senders(std::string calling_ae_title);

}  // namespace choana
