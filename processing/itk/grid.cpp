#include "processing/itk/grid.h"

#include <vnl/algo/vnl_matrix_inverse.h>
#include <vnl/vnl_matrix.h>

namespace choana::processing {

ItkGrid itk_grid(const VolumeGeometry& geometry) {
  ItkGrid grid;
  grid.origin_mm = geometry.origin_mm();
  vnl_matrix<double> matrix(3, 3);
  for (unsigned row = 0; row < 3; ++row)
    for (unsigned column = 0; column < 3; ++column) {
      // ITK multiplies direction and diagonal spacing as full matrices; the zeros change nothing.
      const double value = geometry.direction()[3 * row + column] * geometry.spacing_mm()[column];
      grid.index_to_patient[3 * row + column] = value;
      matrix(row, column) = value;
    }
  const vnl_matrix_inverse<double> inverse(matrix);
  const vnl_matrix<double> inverted = inverse.as_matrix();
  for (unsigned row = 0; row < 3; ++row)
    for (unsigned column = 0; column < 3; ++column) grid.patient_to_index[3 * row + column] = inverted(row, column);
  return grid;
}

Vector3 ItkGrid::patient_from_index(const Vector3& index) const {
  Vector3 point{};
  for (std::size_t r = 0; r < 3; ++r) {
    point[r] = origin_mm[r];
    for (std::size_t c = 0; c < 3; ++c) point[r] += index_to_patient[3 * r + c] * index[c];
  }
  return point;
}

Vector3 ItkGrid::patient_from_continuous_index(const Vector3& index) const {
  Vector3 point{};
  for (std::size_t r = 0; r < 3; ++r) {
    double sum = 0;
    for (std::size_t c = 0; c < 3; ++c) sum += index_to_patient[3 * r + c] * index[c];
    point[r] = sum + origin_mm[r];
  }
  return point;
}

Vector3 ItkGrid::index_from_patient(const Vector3& point_mm) const {
  const Vector3 offset = point_mm - origin_mm;
  Vector3 index{};
  for (std::size_t r = 0; r < 3; ++r) {
    double sum = 0;
    for (std::size_t c = 0; c < 3; ++c) sum += patient_to_index[3 * r + c] * offset[c];
    index[r] = sum;
  }
  return index;
}

}  // namespace choana::processing
