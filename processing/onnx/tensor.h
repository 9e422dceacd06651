#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace choana::processing {

/// Element types of ONNX that are understood; others are refused when a graph is read.
enum class ElementType { float32, float64, int32, int64, boolean, text };

/// A dense tensor in row-major order, as ONNX stores it. An empty shape is a scalar with one element.
struct Tensor {
  using Data = std::variant<std::vector<float>, std::vector<double>, std::vector<std::int32_t>, std::vector<std::int64_t>, std::vector<std::uint8_t>, std::vector<std::string>>;

  std::vector<std::int64_t> shape;
  Data data;

  [[nodiscard]] ElementType type() const { return static_cast<ElementType>(data.index()); }
  [[nodiscard]] std::size_t size() const {
    return std::visit([](const auto& values) { return values.size(); }, data);
  }
  template <typename T>
  [[nodiscard]] const std::vector<T>& values() const {
    return std::get<std::vector<T>>(data);
  }
  template <typename T>
  [[nodiscard]] std::vector<T>& values() {
    return std::get<std::vector<T>>(data);
  }
};

/// Number of elements of a shape; -1 if a dimension is negative or the number exceeds `most`.
[[nodiscard]] inline std::int64_t element_count(const std::vector<std::int64_t>& shape, std::int64_t most) {
  std::int64_t count = 1;
  for (const std::int64_t n : shape) {
    if (n < 0 || (n > 0 && count > most / n)) return -1;
    count *= n;
  }
  return count;
}

}  // namespace choana::processing
