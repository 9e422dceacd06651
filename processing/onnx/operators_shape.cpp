#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <numeric>

#include "processing/onnx/operators.h"

namespace choana::processing {
namespace {

Tensor integer_tensor(std::vector<std::int64_t> values) {
  Tensor tensor{{static_cast<std::int64_t>(values.size())}, {}};
  tensor.data = std::move(values);
  return tensor;
}

Tensor reshaped(const Tensor& tensor, std::vector<std::int64_t> shape) {
  Tensor result = tensor;
  result.shape = std::move(shape);
  return result;
}

/// Element at[i] of the source for each element i of the result.
Tensor gathered(const Tensor& source, std::vector<std::int64_t> shape, const std::vector<std::size_t>& at) {
  return std::visit(
      [&](const auto& values) {
        std::decay_t<decltype(values)> taken;
        taken.reserve(at.size());
        for (const std::size_t each : at) taken.push_back(values[each]);
        return Tensor{std::move(shape), std::move(taken)};
      },
      source.data);
}

std::vector<std::int64_t> strides_of(const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t axis = shape.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * shape[axis];
  return strides;
}

/// Offsets into a source for a result of `shape` that starts at `start` and moves by `step` (elements of the source) along each axis.
std::vector<std::size_t> walk(const std::vector<std::int64_t>& shape, std::int64_t start, const std::vector<std::int64_t>& step) {
  std::vector<std::size_t> offsets;
  const std::int64_t count = product(shape, 0, shape.size());
  offsets.reserve(static_cast<std::size_t>(count));
  std::vector<std::int64_t> index(shape.size(), 0);
  std::int64_t at = start;
  for (std::int64_t n = 0; n < count; ++n) {
    offsets.push_back(static_cast<std::size_t>(at));
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      at += step[axis];
      if (++index[axis] < shape[axis]) break;
      at -= step[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return offsets;
}

/// Axes from an input (newer opsets) or the attribute `axes`.
std::optional<std::vector<std::int64_t>> axes_of(const OperatorCall& call, std::size_t input) {
  if (call.input(input) != nullptr) return as_integers(call.input(input));
  return call.integers("axes");
}

Result<std::vector<Tensor>> reshape(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  auto wanted = call.input(1) != nullptr ? as_integers(call.input(1)) : std::optional(call.integers("shape"));
  if (!wanted) return call.wrong("needs a shape of integers");
  std::vector<std::int64_t> shape = *wanted;
  std::int64_t known = 1;
  int open = -1;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] == 0 && call.integer("allowzero", 0) == 0) {
      if (axis >= data.shape.size()) return call.wrong("copies a dimension that is not there");
      shape[axis] = data.shape[axis];
    }
    if (shape[axis] == -1) {
      if (open >= 0) return call.wrong("leaves two dimensions open");
      open = static_cast<int>(axis);
    } else if (shape[axis] < 0 || (shape[axis] > 0 && known > tensor_elements_max / shape[axis])) {
      return call.wrong("asks for an impossible shape");
    } else {
      known *= shape[axis];
    }
  }
  const auto size = static_cast<std::int64_t>(data.size());
  if (open >= 0) {
    if (known == 0 || size % known != 0) return call.wrong("asks for a shape that does not fit the data");
    shape[static_cast<std::size_t>(open)] = size / known;
  } else if (known != size) {
    return call.wrong("asks for a shape that does not fit the data");
  }
  return one(reshaped(data, std::move(shape)));
}

Result<std::vector<Tensor>> flatten(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  std::int64_t axis = call.integer("axis", 1);
  if (axis < 0) axis += static_cast<std::int64_t>(data.shape.size());
  if (axis < 0 || axis > static_cast<std::int64_t>(data.shape.size())) return call.wrong("has an axis outside the data");
  const auto at = static_cast<std::size_t>(axis);
  return one(reshaped(data, {product(data.shape, 0, at), product(data.shape, at, data.shape.size())}));
}

Result<std::vector<Tensor>> squeeze(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  const auto axes = axes_of(call, 1);
  if (!axes) return call.wrong("needs axes of integers");
  std::vector<bool> drop(data.shape.size(), axes->empty());
  for (const std::int64_t each : *axes) {
    const std::int64_t axis = normal_axis(each, data.shape.size());
    if (axis < 0 || data.shape[static_cast<std::size_t>(axis)] != 1) return call.wrong("drops an axis that is not of length 1");
    drop[static_cast<std::size_t>(axis)] = true;
  }
  std::vector<std::int64_t> shape;
  for (std::size_t axis = 0; axis < data.shape.size(); ++axis)
    if (!drop[axis] || data.shape[axis] != 1) shape.push_back(data.shape[axis]);
  return one(reshaped(data, std::move(shape)));
}

Result<std::vector<Tensor>> unsqueeze(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  const auto axes = axes_of(call, 1);
  if (!axes || axes->size() > 8) return call.wrong("needs axes of integers");
  const std::size_t rank = data.shape.size() + axes->size();
  std::vector<bool> added(rank, false);
  for (const std::int64_t each : *axes) {
    const std::int64_t axis = normal_axis(each, rank);
    if (axis < 0 || added[static_cast<std::size_t>(axis)]) return call.wrong("adds an axis outside the result, or twice");
    added[static_cast<std::size_t>(axis)] = true;
  }
  std::vector<std::int64_t> shape;
  std::size_t next = 0;
  for (std::size_t axis = 0; axis < rank; ++axis) shape.push_back(added[axis] ? 1 : data.shape[next++]);
  return one(reshaped(data, std::move(shape)));
}

Result<std::vector<Tensor>> transpose(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  std::vector<std::int64_t> order = call.integers("perm");
  if (order.empty()) {
    order.resize(data.shape.size());
    std::iota(order.rbegin(), order.rend(), 0);
  }
  std::vector<std::int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t axis = 0; axis < sorted.size(); ++axis)
    if (sorted[axis] != static_cast<std::int64_t>(axis)) return call.wrong("has a perm that is no permutation");
  if (order.size() != data.shape.size()) return call.wrong("has a perm of the wrong length");
  const auto strides = strides_of(data.shape);
  std::vector<std::int64_t> shape, step;
  for (const std::int64_t axis : order) {
    shape.push_back(data.shape[static_cast<std::size_t>(axis)]);
    step.push_back(strides[static_cast<std::size_t>(axis)]);
  }
  const auto offsets = walk(shape, 0, step);
  return one(gathered(data, shape, offsets));
}

Result<std::vector<Tensor>> concat(const OperatorCall& call) {
  const Tensor& first = *call.inputs[0];
  const std::int64_t axis_signed = normal_axis(call.integer("axis", 0), first.shape.size());
  if (axis_signed < 0) return call.wrong("has an axis outside the data");
  const auto axis = static_cast<std::size_t>(axis_signed);
  std::vector<std::int64_t> shape = first.shape;
  shape[axis] = 0;
  for (const Tensor* part : call.inputs) {
    if (part == nullptr || part->type() != first.type() || part->shape.size() != shape.size()) return call.wrong("joins tensors of different kinds");
    for (std::size_t other = 0; other < shape.size(); ++other)
      if (other != axis && part->shape[other] != shape[other]) return call.wrong("joins shapes that do not fit");
    shape[axis] += part->shape[axis];
  }
  if (element_count(shape, tensor_elements_max) < 0) return call.wrong("makes a tensor that is too large");
  const std::int64_t outer = product(shape, 0, axis), inner = product(shape, axis + 1, shape.size());
  return std::visit(
      [&](const auto& values) -> Result<std::vector<Tensor>> {
        using List = std::decay_t<decltype(values)>;
        List joined;
        joined.reserve(static_cast<std::size_t>(product(shape, 0, shape.size())));
        for (std::int64_t row = 0; row < outer; ++row)
          for (const Tensor* part : call.inputs) {
            const auto& from = std::get<List>(part->data);
            const std::int64_t length = part->shape[axis] * inner;
            joined.insert(joined.end(), from.begin() + row * length, from.begin() + (row + 1) * length);
          }
        return one({shape, std::move(joined)});
      },
      first.data);
}

Result<std::vector<Tensor>> slice(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  const bool as_inputs = call.input(1) != nullptr;
  const auto starts = as_inputs ? as_integers(call.input(1)) : std::optional(call.integers("starts"));
  const auto ends = as_inputs ? as_integers(call.input(2)) : std::optional(call.integers("ends"));
  std::vector<std::int64_t> axes = call.integers("axes"), steps;
  if (as_inputs && call.input(3) != nullptr) axes = as_integers(call.input(3)).value_or(std::vector<std::int64_t>{-1000});
  if (as_inputs && call.input(4) != nullptr) steps = as_integers(call.input(4)).value_or(std::vector<std::int64_t>{});
  if (!starts || !ends || starts->size() != ends->size()) return call.wrong("needs starts and ends");
  if (axes.empty()) {
    axes.resize(starts->size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (steps.empty()) steps.assign(starts->size(), 1);
  if (axes.size() != starts->size() || steps.size() != starts->size()) return call.wrong("has axes or steps of the wrong length");
  const auto strides = strides_of(data.shape);
  std::vector<std::int64_t> shape = data.shape, step = strides;
  std::int64_t origin = 0;
  for (std::size_t at = 0; at < axes.size(); ++at) {
    const std::int64_t axis_signed = normal_axis(axes[at], data.shape.size());
    if (axis_signed < 0 || steps[at] == 0) return call.wrong("has an axis outside the data, or a step of 0");
    const auto axis = static_cast<std::size_t>(axis_signed);
    const std::int64_t n = data.shape[axis];
    const auto bounded = [n](std::int64_t value, std::int64_t low, std::int64_t high) { return std::clamp(value < 0 ? std::max(value, -n - 1) + n : value, low, high); };
    const bool forward = steps[at] > 0;
    const std::int64_t from = forward ? bounded((*starts)[at], 0, n) : bounded((*starts)[at], 0, n - 1);
    const std::int64_t to = forward ? bounded((*ends)[at], 0, n) : ((*ends)[at] < -n ? -1 : bounded((*ends)[at], -1, n - 1));
    const std::int64_t pace = std::abs(std::clamp<std::int64_t>(steps[at], -(std::int64_t{1} << 40), std::int64_t{1} << 40));
    const std::int64_t distance = forward ? to - from : from - to;
    shape[axis] = n == 0 || distance <= 0 ? 0 : (distance + pace - 1) / pace;
    origin += from * strides[axis];
    step[axis] = strides[axis] * (forward ? pace : -pace);
  }
  if (product(shape, 0, shape.size()) == 0) origin = 0;
  const auto offsets = walk(shape, origin, step);
  return one(gathered(data, shape, offsets));
}

Result<std::vector<Tensor>> split(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  const std::int64_t axis_signed = normal_axis(call.integer("axis", 0), data.shape.size());
  if (axis_signed < 0) return call.wrong("has an axis outside the data");
  const auto axis = static_cast<std::size_t>(axis_signed);
  std::vector<std::int64_t> parts = call.integers("split");
  if (call.input(1) != nullptr) parts = as_integers(call.input(1)).value_or(std::vector<std::int64_t>{});
  const auto count = static_cast<std::int64_t>(call.node.outputs.size());
  if (parts.empty()) {
    const std::int64_t each = (data.shape[axis] + count - 1) / std::max<std::int64_t>(count, 1);
    for (std::int64_t left = data.shape[axis]; static_cast<std::int64_t>(parts.size()) < count; left -= each) parts.push_back(std::clamp<std::int64_t>(left, 0, each));
  }
  if (static_cast<std::int64_t>(parts.size()) != count || std::any_of(parts.begin(), parts.end(), [](std::int64_t n) { return n < 0; }) ||
      std::accumulate(parts.begin(), parts.end(), std::int64_t{0}) != data.shape[axis])
    return call.wrong("splits into parts that do not add up");
  const auto strides = strides_of(data.shape);
  std::vector<Tensor> results;
  std::int64_t from = 0;
  for (const std::int64_t length : parts) {
    std::vector<std::int64_t> shape = data.shape;
    shape[axis] = length;
    results.push_back(gathered(data, shape, walk(shape, from * strides[axis], strides)));
    from += length;
  }
  return results;
}

Result<std::vector<Tensor>> gather(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  const auto indices = as_integers(call.inputs[1]);
  const std::int64_t axis_signed = normal_axis(call.integer("axis", 0), data.shape.size());
  if (!indices || axis_signed < 0) return call.wrong("needs integer indices and an axis inside the data");
  const auto axis = static_cast<std::size_t>(axis_signed);
  const std::int64_t n = data.shape[axis], outer = product(data.shape, 0, axis), inner = product(data.shape, axis + 1, data.shape.size());
  std::vector<std::int64_t> shape(data.shape.begin(), data.shape.begin() + axis_signed);
  shape.insert(shape.end(), call.inputs[1]->shape.begin(), call.inputs[1]->shape.end());
  shape.insert(shape.end(), data.shape.begin() + axis_signed + 1, data.shape.end());
  if (element_count(shape, tensor_elements_max) < 0) return call.wrong("makes a tensor that is too large");
  std::vector<std::size_t> offsets;
  for (std::int64_t row = 0; row < outer; ++row)
    for (const std::int64_t index : *indices) {
      const std::int64_t at = index < 0 ? index + n : index;
      if (at < 0 || at >= n) return call.wrong("takes an element that is not there");
      for (std::int64_t k = 0; k < inner; ++k) offsets.push_back(static_cast<std::size_t>((row * n + at) * inner + k));
    }
  return one(gathered(data, shape, offsets));
}

Result<std::vector<Tensor>> gather_elements(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  const auto indices = as_integers(call.inputs[1]);
  const std::int64_t axis_signed = normal_axis(call.integer("axis", 0), data.shape.size());
  const auto& shape = call.inputs[1]->shape;
  if (!indices || axis_signed < 0 || shape.size() != data.shape.size()) return call.wrong("needs integer indices of the rank of the data");
  const auto axis = static_cast<std::size_t>(axis_signed);
  const auto strides = strides_of(data.shape);
  for (std::size_t each = 0; each < shape.size(); ++each)
    if (each != axis && shape[each] > data.shape[each]) return call.wrong("has indices that reach outside the data");
  std::vector<std::int64_t> step = strides;
  step[axis] = 0;
  std::vector<std::size_t> offsets = walk(shape, 0, step);
  for (std::size_t at = 0; at < offsets.size(); ++at) {
    const std::int64_t n = data.shape[axis], index = (*indices)[at] < 0 ? (*indices)[at] + n : (*indices)[at];
    if (index < 0 || index >= n) return call.wrong("takes an element that is not there");
    offsets[at] += static_cast<std::size_t>(index * strides[axis]);
  }
  return one(gathered(data, shape, offsets));
}

Result<std::vector<Tensor>> expand_to(const OperatorCall& call, const std::vector<std::int64_t>& shape) {
  const Tensor& data = *call.inputs[0];
  const auto strides = strides_of(data.shape);
  std::vector<std::int64_t> step(shape.size(), 0);
  for (std::size_t back = 1; back <= data.shape.size(); ++back)
    if (data.shape[data.shape.size() - back] != 1) step[shape.size() - back] = strides[data.shape.size() - back];
  return one(gathered(data, shape, walk(shape, 0, step)));
}

Result<std::vector<Tensor>> expand(const OperatorCall& call) {
  const auto wanted = as_integers(call.inputs[1]);
  if (!wanted) return call.wrong("needs a shape of integers");
  const auto shape = broadcast_shape(call.inputs[0]->shape, *wanted);
  if (!shape || std::any_of(wanted->begin(), wanted->end(), [](std::int64_t n) { return n < 0; })) return call.wrong("asks for a shape that does not fit");
  return expand_to(call, *shape);
}

Result<std::vector<Tensor>> tile(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  const auto repeats = as_integers(call.inputs[1]);
  if (!repeats || repeats->size() != data.shape.size()) return call.wrong("needs one repeat an axis");
  std::vector<std::int64_t> shape = data.shape;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if ((*repeats)[axis] < 0 || (*repeats)[axis] > tensor_elements_max) return call.wrong("repeats a negative number of times, or too often");
    shape[axis] *= (*repeats)[axis];
    if (shape[axis] > tensor_elements_max) return call.wrong("makes a tensor that is too large");
  }
  const std::int64_t count = element_count(shape, tensor_elements_max);
  if (count < 0) return call.wrong("makes a tensor that is too large");
  const auto strides = strides_of(data.shape), target = strides_of(shape);
  std::vector<std::size_t> offsets;
  offsets.reserve(static_cast<std::size_t>(count));
  for (std::int64_t at = 0; at < count; ++at) {
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) offset += (at / target[axis] % shape[axis]) % data.shape[axis] * strides[axis];
    offsets.push_back(static_cast<std::size_t>(offset));
  }
  return one(gathered(data, shape, offsets));
}

Result<std::vector<Tensor>> shape_of(const OperatorCall& call) { return one(integer_tensor(call.inputs[0]->shape)); }
Result<std::vector<Tensor>> size_of(const OperatorCall& call) {
  Tensor tensor;
  tensor.data = std::vector<std::int64_t>{static_cast<std::int64_t>(call.inputs[0]->size())};
  return one(std::move(tensor));
}

Result<std::vector<Tensor>> constant(const OperatorCall& call) {
  if (const Tensor* value = call.tensor("value")) return one(*value);
  Tensor tensor;
  if (call.has("value_float")) tensor.data = std::vector<float>{static_cast<float>(call.number("value_float", 0))};
  else if (call.has("value_int")) tensor.data = std::vector<std::int64_t>{call.integer("value_int", 0)};
  else if (call.has("value_ints")) return one(integer_tensor(call.integers("value_ints")));
  else if (call.has("value_floats")) {
    const auto values = call.numbers("value_floats");
    return one(from_doubles({static_cast<std::int64_t>(values.size())}, values, ElementType::float32));
  } else return call.wrong("has no value that is understood");
  return one(std::move(tensor));
}

Result<std::vector<Tensor>> constant_of_shape(const OperatorCall& call) {
  const auto shape = as_integers(call.inputs[0]);
  const std::int64_t count = shape ? element_count(*shape, tensor_elements_max) : -1;
  if (count < 0) return call.wrong("asks for an impossible shape");
  const Tensor* value = call.tensor("value");
  if (value == nullptr) return one({*shape, std::vector<float>(static_cast<std::size_t>(count), 0.0F)});
  if (value->size() != 1) return call.wrong("needs one value");
  return one(gathered(*value, *shape, std::vector<std::size_t>(static_cast<std::size_t>(count), 0)));
}

Result<std::vector<Tensor>> range(const OperatorCall& call) {
  for (const Tensor* input : call.inputs)
    if (input == nullptr || input->size() != 1) return call.wrong("needs three numbers");
  const double start = as_doubles(*call.inputs[0]).at(0), limit = as_doubles(*call.inputs[1]).at(0), delta = as_doubles(*call.inputs[2]).at(0);
  const double count = delta == 0 ? -1 : std::max(0.0, std::ceil((limit - start) / delta));
  if (!(count >= 0 && count <= 1e7)) return call.wrong("makes a range that is too long");
  std::vector<double> values;
  for (double n = 0; n < count; ++n) values.push_back(start + n * delta);
  const std::vector<std::int64_t> shape{static_cast<std::int64_t>(values.size())};
  if (call.inputs[0]->type() == ElementType::int64) return one({shape, std::vector<std::int64_t>(values.begin(), values.end())});
  if (call.inputs[0]->type() == ElementType::int32) return one({shape, std::vector<std::int32_t>(values.begin(), values.end())});
  return one(from_doubles(shape, values, call.inputs[0]->type()));
}

Result<std::vector<Tensor>> pad(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  auto pads = call.input(1) != nullptr ? as_integers(call.input(1)) : std::optional(call.integers("pads"));
  if (call.text("mode", "constant") != "constant") return call.wrong("pads in a way that is not supported (constant is)");
  if (!pads || pads->size() != 2 * data.shape.size() || std::any_of(pads->begin(), pads->end(), [](std::int64_t n) { return n < 0 || n > 1'000'000; }))
    return call.wrong("needs two pads of 0 or more for each axis");
  std::vector<std::int64_t> shape = data.shape;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) shape[axis] += (*pads)[axis] + (*pads)[axis + shape.size()];
  const std::int64_t count = element_count(shape, tensor_elements_max);
  if (count < 0) return call.wrong("makes a tensor that is too large");
  double fill = call.number("value", 0);
  if (const Tensor* value = call.input(2); value != nullptr && value->size() == 1) fill = as_doubles(*value).at(0);
  const auto target = strides_of(shape);
  std::int64_t origin = 0;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) origin += (*pads)[axis] * target[axis];
  const auto places = walk(data.shape, origin, target);
  return std::visit(
      [&](const auto& values) -> Result<std::vector<Tensor>> {
        using List = std::decay_t<decltype(values)>;
        if constexpr (std::is_same_v<List, std::vector<std::string>>) {
          return call.wrong("pads text");
        } else {
          List padded(static_cast<std::size_t>(count), static_cast<typename List::value_type>(fill));
          for (std::size_t at = 0; at < places.size(); ++at) padded[places[at]] = values[at];
          return one({shape, std::move(padded)});
        }
      },
      data.data);
}

Result<std::vector<Tensor>> one_hot(const OperatorCall& call) {
  const auto indices = as_integers(call.inputs[0]);
  const auto depth = as_integers(call.inputs[1]);
  const Tensor& values = *call.inputs[2];
  if (!indices || !depth || depth->size() != 1 || values.size() != 2 || (*depth)[0] < 1 || (*depth)[0] > 1'000'000) return call.wrong("needs integer indices, a depth and two values");
  if (normal_axis(call.integer("axis", -1), call.inputs[0]->shape.size() + 1) != static_cast<std::int64_t>(call.inputs[0]->shape.size()))
    return call.wrong("puts the new axis anywhere but last, which is not supported");
  std::vector<std::int64_t> shape = call.inputs[0]->shape;
  shape.push_back((*depth)[0]);
  if (element_count(shape, tensor_elements_max) < 0) return call.wrong("makes a tensor that is too large");
  std::vector<std::size_t> offsets;
  for (const std::int64_t index : *indices)
    for (std::int64_t k = 0; k < (*depth)[0]; ++k) offsets.push_back((index < 0 ? index + (*depth)[0] : index) == k ? 1 : 0);
  return one(gathered(values, shape, offsets));
}

// Runs a body once for each slice: the loop that KNN and Gaussian process exports contain.
Result<std::vector<Tensor>> scan(const OperatorCall& call) {
  const OnnxGraph* body = call.graph("body");
  const auto scanned = static_cast<std::size_t>(std::clamp<std::int64_t>(call.integer("num_scan_inputs", 0), 0, 64));
  if (body == nullptr || scanned < 1 || scanned > call.inputs.size() || body->inputs.size() != call.inputs.size()) return call.wrong("has no body that fits its inputs");
  for (const char* unsupported : {"scan_input_axes", "scan_output_axes", "scan_input_directions", "scan_output_directions"})
    for (const std::int64_t value : call.integers(unsupported))
      if (value != 0) return call.wrong(std::string("uses ") + unsupported + ", which is not supported");
  const std::size_t states = call.inputs.size() - scanned;
  if (body->outputs.size() < states) return call.wrong("has a body that gives fewer states than it takes");
  std::vector<Tensor> state;
  for (std::size_t at = 0; at < states; ++at) state.push_back(*call.inputs[at]);
  std::int64_t steps = -1;
  for (std::size_t at = states; at < call.inputs.size(); ++at) {
    if (call.inputs[at]->shape.empty() || (steps >= 0 && call.inputs[at]->shape[0] != steps)) return call.wrong("scans inputs of different lengths");
    steps = call.inputs[at]->shape[0];
  }
  std::vector<std::vector<Tensor>> collected(body->outputs.size() - states);
  for (std::int64_t step = 0; step < steps; ++step) {
    std::vector<Tensor> inputs = std::move(state);
    for (std::size_t at = states; at < call.inputs.size(); ++at) {
      const Tensor& whole = *call.inputs[at];
      const std::vector<std::int64_t> shape(whole.shape.begin() + 1, whole.shape.end());
      inputs.push_back(gathered(whole, shape, walk(shape, step * product(shape, 0, shape.size()), strides_of(shape))));
    }
    auto outputs = call.run_body(*body, std::move(inputs));
    if (!outputs) return fail(outputs.error());
    state.assign(std::make_move_iterator(outputs->begin()), std::make_move_iterator(outputs->begin() + static_cast<std::ptrdiff_t>(states)));
    for (std::size_t at = states; at < outputs->size(); ++at) collected[at - states].push_back(std::move((*outputs)[at]));
  }
  std::vector<Tensor> results = std::move(state);
  for (std::vector<Tensor>& slices : collected) {
    if (slices.empty()) return call.wrong("scans nothing");
    std::vector<std::int64_t> shape = slices.front().shape;
    shape.insert(shape.begin(), steps);
    for (const Tensor& each : slices)
      if (each.shape != slices.front().shape || each.type() != slices.front().type()) return call.wrong("has a body whose results change their shape");
    results.push_back(std::visit(
        [&](const auto& values) {
          using List = std::decay_t<decltype(values)>;
          List joined;
          for (const Tensor& each : slices) {
            const auto& part = std::get<List>(each.data);
            joined.insert(joined.end(), part.begin(), part.end());
          }
          return Tensor{shape, std::move(joined)};
        },
        slices.front().data));
  }
  return results;
}

constexpr OperatorRow rows[] = {
    {"Reshape", reshape, 1}, {"Flatten", flatten, 1}, {"Squeeze", squeeze, 1}, {"Unsqueeze", unsqueeze, 1}, {"Transpose", transpose, 1}, {"Concat", concat, 1},
    {"Slice", slice, 1}, {"Split", split, 1}, {"Gather", gather, 2}, {"GatherElements", gather_elements, 2}, {"Expand", expand, 2}, {"Tile", tile, 2},
    {"Shape", shape_of, 1}, {"Size", size_of, 1}, {"Constant", constant, 0}, {"ConstantOfShape", constant_of_shape, 1}, {"Range", range, 3}, {"Pad", pad, 1},
    {"OneHot", one_hot, 3}, {"Scan", scan, 1},
};

}  // namespace

std::span<const OperatorRow> shape_operators() { return rows; }

}  // namespace choana::processing
