#pragma once

#include <string>

namespace choana {

/// A coded entry as DICOM writes it (PS3.3 8.8). value: SH, at most 16 characters; meaning: LO, at most 64.
struct CodedConcept {
  std::string value;
  std::string scheme;
  std::string meaning;

  [[nodiscard]] bool empty() const { return value.empty(); }
  friend bool operator==(const CodedConcept&, const CodedConcept&) = default;
};

/// A unit of measurement in UCUM: code "mm3", meaning "cubic millimeter".
struct Unit {
  std::string code = "1";
  std::string meaning = "no units";

  friend bool operator==(const Unit&, const Unit&) = default;
};

}  // namespace choana
