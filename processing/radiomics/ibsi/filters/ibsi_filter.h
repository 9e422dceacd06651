#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/result.h"
#include "processing/radiomics/ibsi/filters/filter_settings.h"
#include "processing/radiomics/image.h"

namespace choana {
class TaskPool;
}

namespace choana::processing::ibsi {

/// The filters that IBSI 2 standardises (doi 10.1148/radiol.231319, reference manual arXiv 2006.05470).
using IbsiFilter = std::variant<MeanFilter, LaplacianOfGaussianFilter, LawsFilter, GaborFilter, SeparableWaveletFilter, SimoncelliFilter>;

/// The response map of a filter: grid of the image, float64, the same at any number of threads. The whole image is filtered; a region is cut afterwards.
/// Filters with lengths in mm need equal spacing along the axes that they use (interpolate first).
/// Errors: invalid_settings (a setting out of range, an unknown kernel or wavelet), geometry_mismatch (spacing not equal), degenerate_input (a voxel that is not a
/// number), invalid_argument (voxel count), limit_exceeded (kernel larger than 8192 voxels, or too much memory).
[[nodiscard]] Result<ScalarVolume> filter_image(const IbsiFilter& filter, const ScalarVolume& image, TaskPool* pool = nullptr);

/// Prefix of feature names, such as "mean-3D-15" or "laws-E5L5S5-rot-max-energy-7".
[[nodiscard]] std::string filter_name(const IbsiFilter& filter);

/// Read a list of filters from YAML:
///   - {type: mean, support_voxels: 15}
///   - {type: log, sigma_mm: 3, cutoff_sigmas: 4, zero_mean: false, by_slice: true}
///   - {type: laws, kernels: E5L5S5, rotation_invariant: true, pooling: max, energy_distance_voxels: 7}
///   - {type: gabor, sigma_mm: 10, lambda_mm: 4, gamma: 0.5, theta_degrees: 60, theta_step_degrees: 0, orthogonal_planes: false, response: modulus, pooling: average}
///   - {type: wavelet, wavelet: db2, subband: LHL, level: 1, rotation_invariant: true, pooling: average}
///   - {type: simoncelli, level: 1}
/// and `boundary`: zero, nearest, periodic, mirror (default; simoncelli: periodic). A single map is a list of one.
/// Errors: invalid_profile (not YAML, an unknown or missing key, a value out of range).
[[nodiscard]] Result<std::vector<IbsiFilter>> parse_ibsi_filters(std::string_view yaml);

}  // namespace choana::processing::ibsi
