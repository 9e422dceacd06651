#include "processing/radiomics/families/glszm.h"

#include <array>

#include "processing/radiomics/families/level_size_statistics.h"

namespace choana::processing {
namespace {

using Row = FeatureRow<LevelSizeStatistics>;
constexpr auto none = Quantity::none;

constexpr std::array rows{
    Row{"GrayLevelNonUniformity", "JNSA", none, level_size::level_non_uniformity},
    Row{"GrayLevelNonUniformityNormalized", "Y1RO", none, level_size::level_non_uniformity_normalised},
    Row{"GrayLevelVariance", "BYLV", none, level_size::level_variance},
    Row{"HighGrayLevelZoneEmphasis", "5GN9", none, level_size::high_level_emphasis},
    Row{"LargeAreaEmphasis", "48P8", none, level_size::large_emphasis},
    Row{"LargeAreaHighGrayLevelEmphasis", "J17V", none, level_size::large_high_emphasis},
    Row{"LargeAreaLowGrayLevelEmphasis", "YH51", none, level_size::large_low_emphasis},
    Row{"LowGrayLevelZoneEmphasis", "XMSY", none, level_size::low_level_emphasis},
    Row{"SizeZoneNonUniformity", "4JP3", none, level_size::size_non_uniformity},
    Row{"SizeZoneNonUniformityNormalized", "VB3A", none, level_size::size_non_uniformity_normalised},
    Row{"SmallAreaEmphasis", "5QRC", none, level_size::small_emphasis},
    Row{"SmallAreaHighGrayLevelEmphasis", "HW1V", none, level_size::small_high_emphasis},
    Row{"SmallAreaLowGrayLevelEmphasis", "5RAI", none, level_size::small_low_emphasis},
    Row{"ZoneEntropy", "GU8N", none, level_size::entropy},
    Row{"ZonePercentage", "P30P", none, level_size::percentage},
    Row{"ZoneVariance", "3NSA", none, level_size::size_variance},
};

}  // namespace

std::vector<NamedValue> glszm_features(const LevelSizeMatrix& zones, const std::vector<std::string>& names) {
  return evaluate(std::span<const Row>(rows), names, LevelSizeStatistics(zones), NotComputed{"not_finite", "The value is not finite for this region."});
}

std::vector<FeatureDescription> describe_glszm() { return describe_rows("glszm", std::span<const Row>(rows)); }

}  // namespace choana::processing
