#pragma once

#include <span>
#include <string_view>

#include "processing/radiomics/filters/image_filter.h"

namespace choana::processing {

/// An image type of PyRadiomics by the name that parameter files use.
struct FilterEntry {
  std::string_view name;
  ImageFilter apply = nullptr;
};

/// Every image type, in the order of PyRadiomics' documentation.
[[nodiscard]] std::span<const FilterEntry> filter_catalogue();

/// The images of one image type. Errors: invalid_profile (no such image type), those of the filter.
[[nodiscard]] Result<DerivedImages> derive_images(std::string_view image_type, const FilterInput& input, const ExtractionSettings& settings);

}  // namespace choana::processing
