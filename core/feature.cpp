#include "core/feature.h"

#include <cmath>
#include <utility>

namespace choana {

Result<FeatureId> FeatureId::parse(std::string_view text) {
  const auto last = text.rfind('_');
  const auto middle = last == std::string_view::npos ? last : text.rfind('_', last - 1);
  if (last == std::string_view::npos || middle == std::string_view::npos || middle == 0 || last == middle + 1 || last + 1 == text.size())
    return fail(ErrorCode::invalid_argument, "feature_id",
                "'" + std::string(text) + "' is not a feature name of the form image_class_Feature, such as original_glcm_Contrast.");
  return FeatureId{std::string(text.substr(0, middle)), std::string(text.substr(middle + 1, last - middle - 1)), std::string(text.substr(last + 1))};
}

std::string FeatureId::str() const { return image + "_" + family + "_" + name; }

Status FeatureVector::add(FeatureValue value) {
  if (!positions_.emplace(value.id, values_.size()).second)
    return fail(ErrorCode::invalid_argument, "feature_vector", "The feature " + value.id.str() + " was computed twice.");
  values_.push_back(std::move(value));
  return {};
}

Status FeatureVector::add(FeatureId id, double value) {
  if (!std::isfinite(value)) return add(FeatureValue{std::move(id), NotComputed{"not_finite", "The formula has no finite value for this region."}});
  return add(FeatureValue{std::move(id), value});
}

Status FeatureVector::add(FeatureId id, NotComputed why) { return add(FeatureValue{std::move(id), std::move(why)}); }

const FeatureValue* FeatureVector::find(const FeatureId& id) const {
  const auto found = positions_.find(id);
  return found == positions_.end() ? nullptr : &values_[found->second];
}

std::optional<double> FeatureVector::number(const FeatureId& id) const {
  const FeatureValue* value = find(id);
  if (value == nullptr || !value->computed()) return std::nullopt;
  return value->number();
}

}  // namespace choana
