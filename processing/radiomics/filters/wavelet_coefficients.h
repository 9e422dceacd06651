#pragma once

#include <span>
#include <string_view>

namespace choana::processing {

/// The numbers that define one discrete wavelet. synthesis_low is empty for orthogonal wavelets, where it is analysis_low reversed.
struct WaveletCoefficients {
  std::string_view name;
  std::span<const double> analysis_low;
  std::span<const double> synthesis_low;
};

/// db1 to db38, sym2 to sym20, coif1 to coif17, dmey and the bior family; haar (db1) and rbio follow from these.
[[nodiscard]] std::span<const WaveletCoefficients> wavelet_coefficients();

}  // namespace choana::processing
