#pragma once

#include <span>
#include <string_view>

#include "processing/radiomics/image.h"

namespace choana::processing::ibsi {

/// One reference value of the digital phantom (IBSI reference manual, CC BY 4.0), numbers as printed.
struct PhantomReference {
  std::string_view tag;
  std::string_view code;
  std::string_view aggregation;   // empty where there is but one
  std::string_view value;
  std::string_view tolerance;     // "0": none is printed
  std::string_view pyradiomics;   // family_Name of the same feature there; empty if there is none

  [[nodiscard]] static double number(std::string_view text);
  /// The printed tolerance; without one, half a unit of the third significant digit.
  [[nodiscard]] double allowed_deviation() const;
};

/// 482 values: every feature that has one, under each aggregation.
[[nodiscard]] std::span<const PhantomReference> phantom_references();

/// The phantom: 5 x 4 x 4 voxels of 2 mm, whole numbers, no processing; and its mask, label 1.
[[nodiscard]] ScalarVolume phantom_image();
[[nodiscard]] MaskVolume phantom_mask();

}  // namespace choana::processing::ibsi
