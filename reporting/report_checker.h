#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"

namespace choana::reporting {

/// Check a folder's worth of result objects against the rules that no public validator knows (spec/sr.md 10): segment
/// numbers exist in the SEG they name, tracking UIDs and source series agree with it, units come from our list, coded
/// features from our table, contributions add up to 1e-6, probabilities lie in 0..100, NumericValue agrees with
/// FloatingPointValue to 1e-8 (16 characters hold no more of some numbers), everything referenced is in the evidence, no page burns in what names the patient, and all
/// objects agree on patient and study. Segments of objects that are not among `files` are not checked.
/// Returns one sentence per violation, without patient data.
/// Errors: not_dicom when a file cannot be read.
[[nodiscard]] Result<std::vector<std::string>> check_results(const std::vector<std::filesystem::path>& files);

}  // namespace choana::reporting
