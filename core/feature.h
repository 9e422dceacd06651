#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/coded_concept.h"
#include "core/result.h"

namespace choana {

/// What a feature is, printed as PyRadiomics prints it: "<image>_<family>_<name>", such as "wavelet-HHL_glcm_Imc2".
struct FeatureId {
  std::string image = "original";
  std::string family;  // shape, firstorder, glcm, glrlm, glszm, gldm, ngtdm
  std::string name;

  /// Errors: invalid_argument if `text` has not the three parts.
  static Result<FeatureId> parse(std::string_view text);
  [[nodiscard]] std::string str() const;
  friend auto operator<=>(const FeatureId&, const FeatureId&) = default;
};

/// Why there is no number. `reason` is a stable word (flat_region, no_pairs, roi_too_small, ...), `text` a sentence.
struct NotComputed {
  std::string reason;
  std::string text;

  friend bool operator==(const NotComputed&, const NotComputed&) = default;
};

/// A finite number, or the reason why there is none.
struct FeatureValue {
  FeatureId id;
  std::variant<double, NotComputed> value;

  [[nodiscard]] bool computed() const { return std::holds_alternative<double>(value); }
  [[nodiscard]] double number() const { return std::get<double>(value); }
};

/// Features in emission order. Ids are unique; no value is NaN or infinite.
class FeatureVector {
 public:
  /// Adds a number; one that is not finite becomes NotComputed{"not_finite"}. Errors: invalid_argument if the id is there already.
  Status add(FeatureId id, double value);
  Status add(FeatureId id, NotComputed why);

  [[nodiscard]] const std::vector<FeatureValue>& values() const { return values_; }
  [[nodiscard]] std::size_t size() const { return values_.size(); }
  /// nullptr when there is no such feature.
  [[nodiscard]] const FeatureValue* find(const FeatureId& id) const;
  /// The number, or nothing when absent or not computed.
  [[nodiscard]] std::optional<double> number(const FeatureId& id) const;

 private:
  Status add(FeatureValue value);
  std::vector<FeatureValue> values_;
  std::map<FeatureId, std::size_t> positions_;
};

}  // namespace choana
