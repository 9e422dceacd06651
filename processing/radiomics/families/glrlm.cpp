#include "processing/radiomics/families/glrlm.h"

#include <array>

#include "processing/radiomics/families/level_size_statistics.h"

namespace choana::processing {
namespace {

using Row = FeatureRow<LevelSizeStatistics>;
constexpr auto none = Quantity::none;

// An empty matrix (see count_runs) has no runs to differ: PyRadiomics gives 0 for these two and no value for the rest.
double run_entropy(const LevelSizeStatistics& s) { return s.total() == 0 ? 0.0 : level_size::entropy(s); }
double run_variance(const LevelSizeStatistics& s) { return s.total() == 0 ? 0.0 : level_size::size_variance(s); }

constexpr std::array rows{
    Row{"GrayLevelNonUniformity", "R5YN", none, level_size::level_non_uniformity},
    Row{"GrayLevelNonUniformityNormalized", "OVBL", none, level_size::level_non_uniformity_normalised},
    Row{"GrayLevelVariance", "8CE5", none, level_size::level_variance},
    Row{"HighGrayLevelRunEmphasis", "G3QZ", none, level_size::high_level_emphasis},
    Row{"LongRunEmphasis", "W4KF", none, level_size::large_emphasis},
    Row{"LongRunHighGrayLevelEmphasis", "3KUM", none, level_size::large_high_emphasis},
    Row{"LongRunLowGrayLevelEmphasis", "IVPO", none, level_size::large_low_emphasis},
    Row{"LowGrayLevelRunEmphasis", "V3SW", none, level_size::low_level_emphasis},
    Row{"RunEntropy", "HJ9O", none, run_entropy},
    Row{"RunLengthNonUniformity", "W92Y", none, level_size::size_non_uniformity},
    Row{"RunLengthNonUniformityNormalized", "IC23", none, level_size::size_non_uniformity_normalised},
    Row{"RunPercentage", "9ZK5", none, level_size::percentage},
    Row{"RunVariance", "SXLW", none, run_variance},
    Row{"ShortRunEmphasis", "22OV", none, level_size::small_emphasis},
    Row{"ShortRunHighGrayLevelEmphasis", "GD3A", none, level_size::small_high_emphasis},
    Row{"ShortRunLowGrayLevelEmphasis", "HTZT", none, level_size::small_low_emphasis},
};

}  // namespace

std::vector<NamedValue> glrlm_features(const std::vector<LevelSizeMatrix>& directions, const std::vector<std::string>& names) {
  std::vector<LevelSizeStatistics> statistics;
  statistics.reserve(directions.size());
  for (const LevelSizeMatrix& matrix : directions) statistics.emplace_back(matrix);
  return evaluate_mean(std::span<const Row>(rows), names, statistics,
                       NotComputed{"no_runs", "No line in any direction holds more than one voxel of the region."});
}

std::vector<FeatureDescription> describe_glrlm() { return describe_rows("glrlm", std::span<const Row>(rows)); }

}  // namespace choana::processing
