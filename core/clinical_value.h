#pragma once

#include <string>
#include <string_view>

namespace choana {

/// A value of the patient that does not come from images: a laboratory value, a stage, the age.
struct ClinicalValue {
  std::string name;    // as packages name it: wbc, n_stage
  double value = 0;    // finite
  std::string unit;    // UCUM; "1" for a count or a stage
  std::string date;    // YYYY-MM-DD of the measurement; empty = not known
  std::string source;  // who said so: api, file, dicom

  friend bool operator==(const ClinicalValue&, const ClinicalValue&) = default;
};

/// Names a patient without holding the Patient ID: SHA-256 over the ID without padding. Empty for an empty ID.
[[nodiscard]] std::string patient_key(std::string_view patient_id);

}  // namespace choana
