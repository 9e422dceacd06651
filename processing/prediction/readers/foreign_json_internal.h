#pragma once

// Private to the readers of other libraries' JSON: bounded parsing, and access that says what is missing.

#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "processing/prediction/learners/learner.h"

namespace choana::processing {

/// Thrown inside a reader only; `read_foreign` turns it into an Error. The text follows the file's name.
struct ReaderRefusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Parse JSON or Universal Binary JSON from a stranger: at most 256 levels deep and 32 million values, whatever sizes the
/// bytes claim. Throws ReaderRefusal.
[[nodiscard]] nlohmann::json parse_foreign(std::string_view bytes, bool binary);

/// The array as numbers, null as NaN; throws ReaderRefusal with `what` in its text if there is another thing in it.
[[nodiscard]] std::vector<double> number_list(const nlohmann::json& array, const std::string& what);
/// As above, whole numbers within +-2^31 (true and false count as 1 and 0).
[[nodiscard]] std::vector<int> integer_list(const nlohmann::json& array, const std::string& what);
/// A number, or text that is one ("5E-1"), as XGBoost writes its parameters.
[[nodiscard]] double number_of(const nlohmann::json& value, const std::string& what);

/// Run a reader; its refusals and the JSON library's complaints become invalid_package errors that name the file.
/// library: as people call it ("XGBoost").
[[nodiscard]] Result<Learner> read_foreign(const std::string& name, const std::string& library, const std::function<Learner()>& reader);

}  // namespace choana::processing
