#pragma once

#include <string>
#include <string_view>

namespace choana::processing::ibsi {

/// What stands outside the image. mirror: half-sample symmetric (... c b a | a b c ...).
enum class Boundary { zero, nearest, periodic, mirror };

/// How the responses at several orientations become one.
enum class Pooling { average, maximum, minimum };

/// Box mean of `support_voxels` voxels along each axis. by_slice: along i and j only.
struct MeanFilter {
  int support_voxels = 3;
  bool by_slice = false;
  Boundary boundary = Boundary::mirror;
};

/// Laplacian of Gaussian with a truncated kernel, without the factor sigma^2 of PyRadiomics' filter. Half width of the kernel:
/// floor(cutoff_sigmas sigma / spacing + 0.5). zero_mean: subtract the mean of the kernel, so that a constant image becomes 0 exactly
/// (teams of IBSI 2 do it or not; the reference values allow both).
struct LaplacianOfGaussianFilter {
  double sigma_mm = 1;
  double cutoff_sigmas = 4;
  bool zero_mean = false;
  bool by_slice = false;
  Boundary boundary = Boundary::mirror;
};

/// Laws' kernels, normalised to unit length, one an axis in the order i, j (, k): "E5L5S5", "L5S5" (two: by slice).
/// Known: L5 E5 S5 W5 R5 L3 E3 S3. energy_distance_voxels delta > 0: the response is replaced by the mean of its absolute values
/// within Chebyshev distance delta (after pooling); 0: no energy map.
struct LawsFilter {
  std::string kernels;
  bool rotation_invariant = false;
  Pooling pooling = Pooling::maximum;
  int energy_distance_voxels = 0;
  Boundary boundary = Boundary::mirror;
};

enum class GaborResponse { modulus, real, imaginary, angle };

/// Gabor filter in a plane: exp(-(u^2 + gamma^2 v^2) / (2 sigma^2) + i 2 pi u / lambda), u along the orientation theta. theta_step_degrees > 0:
/// responses at theta, theta + step, ... below theta + 360 degrees are pooled. orthogonal_planes: the same in the planes (i, j), (i, k), (j, k), pooled too.
/// The kernel is cut at six standard deviations.
struct GaborFilter {
  double sigma_mm = 1;
  double lambda_mm = 1;
  double gamma = 1;
  double theta_degrees = 0;
  double theta_step_degrees = 0;
  bool orthogonal_planes = false;
  GaborResponse response = GaborResponse::modulus;
  Pooling pooling = Pooling::average;
  Boundary boundary = Boundary::mirror;
};

/// Separable undecimated wavelet. wavelet: any name that find_wavelet knows (haar, db2, coif1, ...). subband: one letter an axis in the order i, j (, k), L or H; two letters: by slice.
/// Level l: filters dilated by 2^(l-1), on the LLL image of the level before. rotation_invariant: the responses at the 24 right-angle
/// rotations (4 by slice) are pooled.
struct SeparableWaveletFilter {
  std::string wavelet = "db3";
  std::string subband = "LLL";
  int level = 1;
  bool rotation_invariant = false;
  Pooling pooling = Pooling::average;
  Boundary boundary = Boundary::mirror;
};

/// Non-separable Simoncelli wavelet: a radial band pass of one octave in the frequency domain. by_slice: in the plane (i, j). The transform is periodic; another
/// boundary is made by extending the image to twice its size first.
struct SimoncelliFilter {
  int level = 1;
  bool by_slice = false;
  Boundary boundary = Boundary::periodic;
};

}  // namespace choana::processing::ibsi
