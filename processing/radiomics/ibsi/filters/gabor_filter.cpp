#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

#include "core/task_pool.h"
#include "processing/radiomics/ibsi/filters/filter_functions.h"
#include "processing/radiomics/ibsi/filters/fourier_transform.h"
#include "processing/radiomics/ibsi/filters/separable_convolution.h"

namespace choana::processing::ibsi {
namespace {

using Complex = std::complex<double>;
constexpr double cutoff_sigmas = 6;
constexpr int orientations_max = 720;

/// A plane of the Fourier transform, u fastest.
class PlaneTransform {
 public:
  PlaneTransform(std::size_t nu, std::size_t nv) : along_u_(nu), along_v_(nv) {}
  [[nodiscard]] std::size_t nu() const { return along_u_.length(); }
  [[nodiscard]] std::size_t nv() const { return along_v_.length(); }

  void run(std::vector<Complex>& plane, bool inverse) const {
    for (std::size_t v = 0; v < nv(); ++v) transform(along_u_, plane.data() + v * nu(), inverse);
    std::vector<Complex> line(nv());
    for (std::size_t u = 0; u < nu(); ++u) {
      for (std::size_t v = 0; v < nv(); ++v) line[v] = plane[v * nu() + u];
      transform(along_v_, line.data(), inverse);
      for (std::size_t v = 0; v < nv(); ++v) plane[v * nu() + u] = line[v];
    }
  }

 private:
  static void transform(const FourierTransform& one, Complex* data, bool inverse) {
    if (inverse) one.inverse(data);
    else one.forward(data);
  }
  FourierTransform along_u_;
  FourierTransform along_v_;
};

/// The plane's axes (u, v) and the axis across it.
struct Plane {
  std::size_t u = 0;
  std::size_t v = 1;
  std::size_t across = 2;
};

double part_of(const Complex& response, GaborResponse part) {
  switch (part) {
    case GaborResponse::modulus: return std::abs(response);
    case GaborResponse::real: return response.real();
    case GaborResponse::imaginary: return response.imag();
    case GaborResponse::angle: return std::arg(response);
  }
  return 0;
}

}  // namespace

Status check(const GaborFilter& filter) {
  const auto positive = [](double value) { return value > 0 && value <= 1000; };
  if (!positive(filter.sigma_mm) || !positive(filter.lambda_mm) || !(filter.gamma >= 1e-3 && filter.gamma <= 1000))
    return fail(ErrorCode::invalid_settings, "filter_image", "sigma_mm and lambda_mm of a Gabor filter must lie above 0 and at most at 1000, gamma between 0.001 and 1000.");
  if (!std::isfinite(filter.theta_degrees) || std::abs(filter.theta_degrees) > 3600)
    return fail(ErrorCode::invalid_settings, "filter_image", "theta_degrees of a Gabor filter must be an angle in degrees.");
  if (!(filter.theta_step_degrees == 0 || (filter.theta_step_degrees >= 360.0 / orientations_max && filter.theta_step_degrees <= 360)))
    return fail(ErrorCode::invalid_settings, "filter_image", "theta_step_degrees of a Gabor filter must be 0 (one orientation) or lie between 0.5 and 360.");
  return {};
}

std::string filter_name(const GaborFilter& filter) {
  std::string name = "gabor-sigma-" + name_part(filter.sigma_mm) + "-mm-lambda-" + name_part(filter.lambda_mm) + "-mm-gamma-" + name_part(filter.gamma);
  name += filter.theta_step_degrees > 0 ? "-rot-" + name_part(filter.theta_step_degrees) + "-" + name_part(filter.pooling) : "-theta-" + name_part(filter.theta_degrees);
  if (filter.orthogonal_planes) name += filter.theta_step_degrees > 0 ? "-planes" : "-planes-" + name_part(filter.pooling);
  switch (filter.response) {
    case GaborResponse::modulus: break;
    case GaborResponse::real: name += "-real"; break;
    case GaborResponse::imaginary: name += "-imaginary"; break;
    case GaborResponse::angle: name += "-angle"; break;
  }
  return name;
}

Result<std::vector<double>> respond(const GaborFilter& filter, const ScalarVolume& image, TaskPool* pool) {
  const auto spacing_mm = common_spacing_mm(image.geometry, filter.orthogonal_planes ? 3 : 2, "Gabor");
  if (!spacing_mm) return fail(spacing_mm.error());
  const double sigma = filter.sigma_mm / *spacing_mm;
  const double lambda = filter.lambda_mm / *spacing_mm;
  const double reach = std::ceil(cutoff_sigmas * sigma * std::max(1.0, 1 / filter.gamma));
  if (reach > half_width_max_voxels)
    return fail(ErrorCode::limit_exceeded, "filter_image", "The Gabor filter needs a kernel of more than 8192 voxels here: choose a smaller sigma or a larger gamma.");
  const int half = static_cast<int>(reach);
  std::vector<double> orientations_degrees{filter.theta_degrees};
  if (filter.theta_step_degrees > 0) {
    // A half turn conjugates the response: its modulus repeats, its angle changes sign.
    const bool repeats = filter.response == GaborResponse::modulus && std::abs(std::remainder(180.0, filter.theta_step_degrees)) < 1e-9;
    const double range = repeats ? 180 : 360;
    for (int step = 1; step * filter.theta_step_degrees < range - 1e-9; ++step) orientations_degrees.push_back(filter.theta_degrees + step * filter.theta_step_degrees);
  }
  std::vector<Plane> planes{{0, 1, 2}};
  if (filter.orthogonal_planes) planes = {{0, 1, 2}, {0, 2, 1}, {1, 2, 0}};

  const Index3& size = image.geometry.size();
  const std::array<std::size_t, 3> stride{1, static_cast<std::size_t>(size[0]), static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1])};
  ResponsePool responses(filter.pooling);
  for (const Plane& plane : planes) {
    const auto nu = static_cast<std::size_t>(size[plane.u]);
    const auto nv = static_cast<std::size_t>(size[plane.v]);
    const auto width = static_cast<std::size_t>(2 * half);
    const PlaneTransform transform(fast_fourier_length(nu + width), fast_fourier_length(nv + width));
    const std::size_t wide = transform.nu();
    std::vector<std::vector<Complex>> kernels(orientations_degrees.size());
    run_tasks(pool, kernels.size(), [&](std::size_t at) {
      const double theta = orientations_degrees[at] * std::numbers::pi / 180;
      kernels[at].assign(wide * transform.nv(), 0);
      for (int v = -half; v <= half; ++v)
        for (int u = -half; u <= half; ++u) {
          const double along = u * std::cos(theta) + v * std::sin(theta);
          const double beside = u * std::sin(theta) - v * std::cos(theta);
          const double bell = std::exp(-(along * along + filter.gamma * filter.gamma * beside * beside) / (2 * sigma * sigma));
          kernels[at][static_cast<std::size_t>(v + half) * wide + static_cast<std::size_t>(u + half)] = std::polar(bell, 2 * std::numbers::pi * along / lambda);
        }
      transform.run(kernels[at], false);
    });
    std::vector<double> pooled(image.voxels.size());
    run_tasks(pool, static_cast<std::size_t>(size[plane.across]), [&](std::size_t slice) {
      // The slice with `half` voxels of boundary on every side; the response to voxel (u, v) stands at (u + 2 half, v + 2 half).
      std::vector<Complex> padded(wide * transform.nv(), 0);
      for (std::size_t v = 0; v < nv + width; ++v) {
        const std::int64_t from_v = boundary_index(static_cast<std::int64_t>(v) - half, size[plane.v], filter.boundary);
        if (from_v < 0) continue;
        for (std::size_t u = 0; u < nu + width; ++u) {
          const std::int64_t from_u = boundary_index(static_cast<std::int64_t>(u) - half, size[plane.u], filter.boundary);
          if (from_u >= 0)
            padded[v * wide + u] = image.voxels[slice * stride[plane.across] + static_cast<std::size_t>(from_v) * stride[plane.v] +
                                                static_cast<std::size_t>(from_u) * stride[plane.u]];
        }
      }
      transform.run(padded, false);
      ResponsePool slice_responses(filter.pooling);
      std::vector<Complex> product(padded.size());
      for (const std::vector<Complex>& kernel : kernels) {
        for (std::size_t at = 0; at < product.size(); ++at) product[at] = padded[at] * kernel[at];
        transform.run(product, true);
        std::vector<double> response(nu * nv);
        for (std::size_t v = 0; v < nv; ++v)
          for (std::size_t u = 0; u < nu; ++u) response[v * nu + u] = part_of(product[(v + width) * wide + u + width], filter.response);
        slice_responses.add(std::move(response));
      }
      const std::vector<double> result = slice_responses.take();
      for (std::size_t v = 0; v < nv; ++v)
        for (std::size_t u = 0; u < nu; ++u) pooled[slice * stride[plane.across] + v * stride[plane.v] + u * stride[plane.u]] = result[v * nu + u];
    });
    responses.add(std::move(pooled));
  }
  return responses.take();
}

}  // namespace choana::processing::ibsi
