#pragma once

#include <array>
#include <string>
#include <vector>

#include "core/region_of_interest.h"
#include "core/result.h"
#include "core/series_volume.h"
#include "processing/deep_features/pillow_resize.h"
#include "processing/onnx/tensor.h"

namespace choana::processing {

/// Where the grey range that becomes 0 to 255 comes from.
enum class GreyRange { minimum_maximum, percentiles, window };
/// What the grey range is taken of.
enum class GreyRangeOf { slice, volume, region };

/// How one slice of a series becomes the input of an image network. The paper rarely says; a package must.
struct ImagePreparation {
  bool crop_to_region = false;                 // the box of the region on the slice, else the whole slice
  double margin_mm = 0;                        // around the box
  GreyRange range = GreyRange::minimum_maximum;
  GreyRangeOf range_of = GreyRangeOf::slice;
  double low = 1, high = 99;                   // percentiles, or the window itself
  bool eight_bits = true;                      // round to whole grey values before resizing, as a PNG would
  int columns = 224, rows = 224;
  ResizeFilter filter = ResizeFilter::bilinear;
  std::array<double, 3> mean{0.485, 0.456, 0.406};   // of ImageNet, on a scale of 0 to 1
  std::array<double, 3> sd{0.229, 0.224, 0.225};
};

/// An input of shape (1, 3, rows, columns), float32: the slice on which the region is largest, grey in all three channels.
struct PreparedImage {
  Tensor input;
  int slice = 0;                               // index along k
  std::vector<float> pixels;                   // 0 to 255 after resizing, row by row: for people to look at
};

/// Errors: geometry_mismatch (the region lies on another grid), degenerate_input (one grey value, or a voxel that is no number), invalid_argument (settings).
[[nodiscard]] Result<PreparedImage> prepare_slice(const SeriesVolume& series, const RegionOfInterest& region, const ImagePreparation& how);

}  // namespace choana::processing
