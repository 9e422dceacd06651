#include "processing/radiomics/filters/filter_catalogue.h"

#include <array>
#include <string>

namespace choana::processing {
namespace {

Result<DerivedImages> original(const FilterInput& input, const ExtractionSettings&) {
  DerivedImages result;
  result.images.push_back({"original", {{0, 0, 0}, input.image.geometry.size()}, &input.image});
  return result;
}

constexpr std::array catalogue{
    FilterEntry{"Original", original},
};

}  // namespace

std::span<const FilterEntry> filter_catalogue() { return catalogue; }

Result<DerivedImages> derive_images(std::string_view image_type, const FilterInput& input, const ExtractionSettings& settings) {
  for (const FilterEntry& filter : catalogue)
    if (filter.name == image_type) return filter.apply(input, settings);
  return fail(ErrorCode::invalid_profile, "derive_images", "The image type '" + std::string(image_type) + "' is not available in this version.");
}

}  // namespace choana::processing
