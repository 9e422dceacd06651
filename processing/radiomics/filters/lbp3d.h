#pragma once

#include <complex>
#include <vector>

#include "processing/radiomics/filters/image_filter.h"

namespace choana::processing {

/// `lbp-3D-m1`, `lbp-3D-m2`, ... and `lbp-3D-k`, in the voxels of the region alone (0 elsewhere). The intensities on an icosphere of
/// lbp3DIcosphereRadius voxels around each voxel are sampled by cubic splines (0 beyond the centres of the outermost voxels; rounded and clamped for integer
/// images); the signs of sample - centre are expanded in spherical harmonics; image m(n+1) is the length of the part of degree n,
/// n < lbp3DLevels, with the complex square, real part. k is the excess kurtosis of the samples; where all are equal it is -3, and a note says so
/// (SciPy 1.5 gives -3 too, later versions give NaN and lose the case).
/// With a voxel that is not a finite number near the region the images are missing: splines would carry it everywhere.
/// Source: Banerjee et al. 2012, doi 10.1007/978-3-642-37410-4_3, as PyRadiomics 3.0.1 implements it, angles swapped as there.
[[nodiscard]] Result<DerivedImages> lbp3d_images(const FilterInput& input, const ExtractionSettings& settings);

/// Spherical harmonic of degree n and order m, |m| <= n <= 15, in the operation order of scipy.special.sph_harm (1.13) and with its argument order.
[[nodiscard]] std::complex<double> spherical_harmonic(int m, int n, double azimuth, double polar);

}  // namespace choana::processing
