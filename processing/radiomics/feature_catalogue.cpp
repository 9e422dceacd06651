#include "processing/radiomics/feature_catalogue.h"

#include <algorithm>

#include "processing/radiomics/families/first_order.h"
#include "processing/radiomics/families/glcm.h"
#include "processing/radiomics/families/gldm.h"
#include "processing/radiomics/families/glrlm.h"
#include "processing/radiomics/families/glszm.h"
#include "processing/radiomics/families/ngtdm.h"
#include "processing/radiomics/families/shape.h"
#include "processing/radiomics/families/shape2d.h"

namespace choana::processing {

FeatureDescription describe(std::string_view family, std::string_view name, std::string_view code, Quantity quantity, Availability availability) {
  FeatureDescription description{family, name, code, code.find('_') == std::string_view::npos ? "IBSI" : "99CHOANA", "1", "1", availability};
  switch (quantity) {
    case Quantity::none: break;
    case Quantity::length: description.unit = description.raw_unit = "mm"; break;
    case Quantity::area: description.unit = description.raw_unit = "mm2"; break;
    case Quantity::volume: description.unit = description.raw_unit = "mm3"; break;
    case Quantity::per_length: description.unit = description.raw_unit = "/mm"; break;
    case Quantity::intensity: description.raw_unit = "[arb'U]"; break;
    case Quantity::intensity_squared: description.raw_unit = "[arb'U]2"; break;
    case Quantity::intensity_squared_volume:
      description.unit = "mm3";
      description.raw_unit = "[arb'U]2.mm3";
      break;
  }
  return description;
}

const std::vector<FeatureDescription>& feature_catalogue() {
  static const std::vector<FeatureDescription> catalogue = [] {
    std::vector<FeatureDescription> all;
    for (const auto& family : {describe_shape(), describe_shape2d(), describe_first_order(), describe_glcm(), describe_gldm(), describe_glrlm(), describe_glszm(),
                               describe_ngtdm()})
      all.insert(all.end(), family.begin(), family.end());
    return all;
  }();
  return catalogue;
}

const FeatureDescription* find_feature(std::string_view family, std::string_view name) {
  const auto& catalogue = feature_catalogue();
  const auto found = std::find_if(catalogue.begin(), catalogue.end(), [&](const FeatureDescription& f) { return f.family == family && f.name == name; });
  return found == catalogue.end() ? nullptr : &*found;
}

const std::vector<std::string_view>& family_names() {
  static const std::vector<std::string_view> names{"shape", "shape2D", "firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm"};
  return names;
}

}  // namespace choana::processing
