#include "processing/radiomics/filters/gradient.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace choana::processing {

Result<DerivedImages> gradient_image(const FilterInput& input, const ExtractionSettings& settings) {
  const Index3& size = input.image.geometry.size();
  const VoxelBox& box = input.box;
  Vector3 weight{0.5, 0.5, 0.5};
  if (settings.gradient_use_spacing)
    for (std::size_t axis = 0; axis < 3; ++axis) weight[axis] = 0.5 * (1.0 / input.image.geometry.spacing_mm()[axis]);

  const auto row = [&](int j, int k) { return input.image.voxels.data() + input.image.geometry.offset(0, std::clamp(j, 0, size[1] - 1), std::clamp(k, 0, size[2] - 1)); };
  const auto difference = [](double coefficient, double before, double after) { return coefficient * after - coefficient * before; };
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(box.size[0]) * static_cast<std::size_t>(box.size[1]) * static_cast<std::size_t>(box.size[2]));
  for (int k = box.lower[2]; k < box.lower[2] + box.size[2]; ++k)
    for (int j = box.lower[1]; j < box.lower[1] + box.size[1]; ++j) {
      const double* here = row(j, k);
      const double* front = row(j - 1, k);
      const double* back = row(j + 1, k);
      const double* below = row(j, k - 1);
      const double* above = row(j, k + 1);
      for (int i = box.lower[0]; i < box.lower[0] + box.size[0]; ++i) {
        const double x = difference(weight[0], here[std::max(i - 1, 0)], here[std::min(i + 1, size[0] - 1)]);
        const double y = difference(weight[1], front[i], back[i]);
        const double z = difference(weight[2], below[i], above[i]);
        values.push_back(static_cast<double>(static_cast<float>(std::sqrt(x * x + y * y + z * z))));
      }
    }
  auto image = boxed_image("gradient", input, PixelType::float32, std::move(values));
  if (!image) return fail(image.error());
  DerivedImages result;
  result.images.push_back(std::move(*image));
  return result;
}

}  // namespace choana::processing
