#include "processing/radiomics/filters/filter_catalogue.h"

#include <array>
#include <string>

#include "processing/radiomics/filters/gradient.h"
#include "processing/radiomics/filters/laplacian_of_gaussian.h"
#include "processing/radiomics/filters/lbp2d.h"
#include "processing/radiomics/filters/lbp3d.h"
#include "processing/radiomics/filters/pointwise.h"
#include "processing/radiomics/filters/wavelet.h"

namespace choana::processing {
namespace {

Result<DerivedImages> original(const FilterInput& input, const ExtractionSettings&) {
  DerivedImages result;
  result.images.push_back({"original", {{0, 0, 0}, input.image.geometry.size()}, &input.image});
  return result;
}

constexpr std::array catalogue{
    FilterEntry{"Original", original},
    FilterEntry{"LoG", laplacian_of_gaussian_images},
    FilterEntry{"Wavelet", wavelet_images},
    FilterEntry{"Square", square_image},
    FilterEntry{"SquareRoot", square_root_image},
    FilterEntry{"Logarithm", logarithm_image},
    FilterEntry{"Exponential", exponential_image},
    FilterEntry{"Gradient", gradient_image},
    FilterEntry{"LBP2D", lbp2d_image},
    FilterEntry{"LBP3D", lbp3d_images},
};

}  // namespace

std::span<const FilterEntry> filter_catalogue() { return catalogue; }

Result<DerivedImages> derive_images(std::string_view image_type, const FilterInput& input, const ExtractionSettings& settings) {
  for (const FilterEntry& filter : catalogue)
    if (filter.name == image_type) return filter.apply(input, settings);
  return fail(ErrorCode::invalid_profile, "derive_images", "The image type '" + std::string(image_type) + "' is not available in this version.");
}

}  // namespace choana::processing
