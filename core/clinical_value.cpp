#include "core/clinical_value.h"

#include "core/sha256.h"

namespace choana {

std::string patient_key(std::string_view patient_id) {
  // Spaces around an LO value mean nothing; some writers pad with a null.
  const auto is_padding = [](char c) { return c == ' ' || c == '\0'; };
  while (!patient_id.empty() && is_padding(patient_id.back())) patient_id.remove_suffix(1);
  while (!patient_id.empty() && is_padding(patient_id.front())) patient_id.remove_prefix(1);
  if (patient_id.empty()) return {};
  return sha256_hex("choana patient|" + std::string(patient_id));
}

}  // namespace choana
