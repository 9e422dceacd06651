#include "processing/radiomics/filters/wavelet.h"
#include "processing/radiomics/ibsi/filters/filter_functions.h"
#include "processing/radiomics/ibsi/filters/separable_convolution.h"

namespace choana::processing::ibsi {
namespace {

/// Low (L) or high (H) pass of a level: out[n] = sum_j h[j] x[n + (F/2 - j) 2^(level-1)].
LineKernel wavelet_kernel(const WaveletFilters& filters, char letter, int level) {
  const std::vector<double>& taps = letter == 'L' ? filters.low : filters.high;
  const int count = static_cast<int>(taps.size());
  LineKernel kernel;
  for (int j = count - 1; j >= 0; --j) {
    kernel.shifts.push_back((count / 2 - j) * (1 << (level - 1)));
    kernel.weights.push_back(taps[static_cast<std::size_t>(j)]);
  }
  return kernel;
}

}  // namespace

Status check(const SeparableWaveletFilter& filter) {
  if (const auto filters = find_wavelet(filter.wavelet); !filters) return fail(ErrorCode::invalid_settings, "filter_image", filters.error().message);
  if ((filter.subband.size() != 2 && filter.subband.size() != 3) || filter.subband.find_first_not_of("LH") != std::string::npos)
    return fail(ErrorCode::invalid_settings, "filter_image", "A subband is two (by slice) or three of the letters L and H, such as LLH; '" + filter.subband + "' is not.");
  if (filter.level < 1 || filter.level > levels_max)
    return fail(ErrorCode::invalid_settings, "filter_image", "The level of a wavelet must lie between 1 and 8, but it is " + std::to_string(filter.level) + ".");
  return {};
}

std::string filter_name(const SeparableWaveletFilter& filter) {
  std::string name = "wavelet-" + filter.wavelet + "-" + filter.subband + "-level-" + std::to_string(filter.level);
  return filter.rotation_invariant ? name + "-rot-" + name_part(filter.pooling) : name;
}

Result<std::vector<double>> respond(const SeparableWaveletFilter& filter, const ScalarVolume& image, TaskPool* pool) {
  const auto filters = find_wavelet(filter.wavelet);
  if (!filters) return fail(filters.error());
  std::vector<SeparablePass> passes;
  for (int level = 1; level <= filter.level; ++level) {
    SeparablePass pass;
    for (std::size_t axis = 0; axis < filter.subband.size(); ++axis) pass.kernels[axis] = wavelet_kernel(*filters, level < filter.level ? 'L' : filter.subband[axis], level);
    passes.push_back(std::move(pass));
  }
  const Index3& size = image.geometry.size();
  if (!filter.rotation_invariant) return convolve(image.voxels, size, passes, filter.boundary, pool);
  return convolve_rotated(image.voxels, size, passes, filter.subband.size() == 2, filter.pooling, filter.boundary, pool);
}

}  // namespace choana::processing::ibsi
