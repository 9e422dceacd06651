#include "processing/radiomics/families/gldm.h"

#include <array>

#include "processing/radiomics/families/level_size_statistics.h"

namespace choana::processing {
namespace {

using Row = FeatureRow<LevelSizeStatistics>;
constexpr auto none = Quantity::none;

constexpr std::array rows{
    Row{"DependenceEntropy", "FCBV", none, level_size::entropy},
    Row{"DependenceNonUniformity", "Z87G", none, level_size::size_non_uniformity},
    Row{"DependenceNonUniformityNormalized", "OKJI", none, level_size::size_non_uniformity_normalised},
    // One dependence a voxel: the percentage is always 1, and the normalised non-uniformity equals first order Uniformity.
    Row{"DependencePercentage", "FV8Z", none, nullptr, Availability::retired},
    Row{"DependenceVariance", "DNX2", none, level_size::size_variance},
    Row{"GrayLevelNonUniformity", "FP8K", none, level_size::level_non_uniformity},
    Row{"GrayLevelNonUniformityNormalized", "5SPA", none, nullptr, Availability::retired},
    Row{"GrayLevelVariance", "1PFV", none, level_size::level_variance},
    Row{"HighGrayLevelEmphasis", "OAE7", none, level_size::high_level_emphasis},
    Row{"LargeDependenceEmphasis", "IMOQ", none, level_size::large_emphasis},
    Row{"LargeDependenceHighGrayLevelEmphasis", "9QMG", none, level_size::large_high_emphasis},
    Row{"LargeDependenceLowGrayLevelEmphasis", "NBZI", none, level_size::large_low_emphasis},
    Row{"LowGrayLevelEmphasis", "TL9H", none, level_size::low_level_emphasis},
    Row{"SmallDependenceEmphasis", "SODN", none, level_size::small_emphasis},
    Row{"SmallDependenceHighGrayLevelEmphasis", "JA6D", none, level_size::small_high_emphasis},
    Row{"SmallDependenceLowGrayLevelEmphasis", "EQ3F", none, level_size::small_low_emphasis},
};

}  // namespace

std::vector<NamedValue> gldm_features(const LevelSizeMatrix& dependences, const std::vector<std::string>& names) {
  return evaluate(std::span<const Row>(rows), names, LevelSizeStatistics(dependences), NotComputed{"not_finite", "The value is not finite for this region."});
}

std::vector<FeatureDescription> describe_gldm() { return describe_rows("gldm", std::span<const Row>(rows)); }

}  // namespace choana::processing
