#include <algorithm>
#include <optional>

#include "processing/radiomics/ibsi/filters/filter_functions.h"
#include "processing/radiomics/ibsi/filters/separable_convolution.h"

namespace choana::processing::ibsi {
namespace {

/// Decomposition low pass of orthonormal wavelets (Daubechies 1992; PyWavelets lists the same numbers).
std::optional<std::vector<double>> low_pass(const std::string& wavelet) {
  if (wavelet == "haar" || wavelet == "db1") return std::vector<double>{0.7071067811865476, 0.7071067811865476};
  if (wavelet == "db2") return std::vector<double>{-0.12940952255126037, 0.2241438680420134, 0.8365163037378079, 0.48296291314453416};
  if (wavelet == "db3")
    return std::vector<double>{0.03522629188570953, -0.08544127388202666, -0.13501102001025458, 0.45987750211849154, 0.8068915093110925, 0.33267055295008263};
  if (wavelet == "coif1")
    return std::vector<double>{-0.015655728135791993, -0.07273261951252645, 0.3848648468648578, 0.8525720202116004, 0.3378976624574818, -0.07273261951252645};
  return std::nullopt;
}

/// Low (L) or high (H) pass of a level: out[n] = sum_j h[j] x[n + (F/2 - j) 2^(level-1)].
LineKernel wavelet_kernel(const std::vector<double>& low, char letter, int level) {
  const int taps = static_cast<int>(low.size());
  const int dilation = 1 << (level - 1);
  LineKernel kernel;
  for (int j = taps - 1; j >= 0; --j) {
    kernel.shifts.push_back((taps / 2 - j) * dilation);
    const double mirrored = low[static_cast<std::size_t>(taps - 1 - j)];
    kernel.weights.push_back(letter == 'L' ? low[static_cast<std::size_t>(j)] : (j % 2 == 0 ? -mirrored : mirrored));
  }
  return kernel;
}

}  // namespace

Status check(const SeparableWaveletFilter& filter) {
  if (!low_pass(filter.wavelet))
    return fail(ErrorCode::invalid_settings, "filter_image", "The wavelet '" + filter.wavelet + "' is not known here: haar, db2, db3 and coif1 are.");
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
  const std::vector<double> low = *low_pass(filter.wavelet);
  std::vector<SeparablePass> passes;
  for (int level = 1; level <= filter.level; ++level) {
    SeparablePass pass;
    for (std::size_t axis = 0; axis < filter.subband.size(); ++axis) pass.kernels[axis] = wavelet_kernel(low, level < filter.level ? 'L' : filter.subband[axis], level);
    passes.push_back(std::move(pass));
  }
  const Index3& size = image.geometry.size();
  if (!filter.rotation_invariant) return convolve(image.voxels, size, passes, filter.boundary, pool);
  return convolve_rotated(image.voxels, size, passes, filter.subband.size() == 2, filter.pooling, filter.boundary, pool);
}

}  // namespace choana::processing::ibsi
