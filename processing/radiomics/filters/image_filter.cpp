#include "processing/radiomics/filters/image_filter.h"

#include <utility>

namespace choana::processing {

Result<DerivedImage> boxed_image(std::string name, const FilterInput& input, PixelType pixel_type, std::vector<double> values) {
  auto geometry = crop_geometry(input.image.geometry, input.box);
  if (!geometry) return fail(geometry.error());
  return DerivedImage{std::move(name), input.box, ScalarVolume{std::move(*geometry), std::move(values), pixel_type}};
}

}  // namespace choana::processing
