#include "processing/radiomics/ibsi/ibsi_discretiser.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace choana::processing::ibsi {

Result<Discretisation> discretise(std::span<const double> values, const DiscretisationSettings& settings, std::optional<double> origin) {
  if (values.empty() || !std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); }))
    return fail(ErrorCode::degenerate_input, "discretise", "The region has no voxel, or one that is not a number.");
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double minimum = *low;
  const double maximum = *high;
  Discretisation result;
  result.levels.reserve(values.size());
  switch (settings.method) {
    case DiscretisationMethod::none:
      if (minimum < 1 || maximum > grey_levels_max || !std::all_of(values.begin(), values.end(), [](double v) { return v == std::floor(v); }))
        return fail(ErrorCode::degenerate_input, "discretise",
                    "Without discretisation the intensities must be whole numbers from 1 to " + std::to_string(grey_levels_max) +
                        ". Choose fixed_bin_number, or fixed_bin_size for calibrated intensities.");
      for (const double value : values) result.levels.push_back(static_cast<int>(value));
      break;
    case DiscretisationMethod::fixed_bin_number: {
      const double count = settings.bin_count;
      for (const double value : values)
        result.levels.push_back(value < maximum ? static_cast<int>(std::min(std::floor(count * (value - minimum) / (maximum - minimum)) + 1, count)) : settings.bin_count);
      break;
    }
    case DiscretisationMethod::fixed_bin_size: {
      const double start = origin.value_or(minimum);
      if (!((maximum - start) / settings.bin_width < grey_levels_max))
        return fail(ErrorCode::limit_exceeded, "discretise",
                    "The bin width " + std::to_string(settings.bin_width) + " would make more than " + std::to_string(grey_levels_max) + " grey levels.");
      for (const double value : values) result.levels.push_back(std::max(1, static_cast<int>(std::floor((value - start) / settings.bin_width)) + 1));
      break;
    }
  }
  result.present = result.levels;
  std::sort(result.present.begin(), result.present.end());
  result.present.erase(std::unique(result.present.begin(), result.present.end()), result.present.end());
  result.highest = result.present.back();
  return result;
}

}  // namespace choana::processing::ibsi
