#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace choana::processing {

enum class ResizeFilter { bilinear, bicubic };

/// Resize a grey image as Pillow does (Image.resize, which torchvision uses): the filter widens when the image shrinks, columns first, then rows.
/// pixels: row by row, columns x rows, both above 0. Bit for bit the 8-bit and the float mode of Pillow 9 to 11.
[[nodiscard]] std::vector<std::uint8_t> resize_like_pillow(std::span<const std::uint8_t> pixels, int columns, int rows, int new_columns, int new_rows, ResizeFilter filter);
[[nodiscard]] std::vector<float> resize_like_pillow(std::span<const float> pixels, int columns, int rows, int new_columns, int new_rows, ResizeFilter filter);

}  // namespace choana::processing
