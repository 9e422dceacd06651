#include <algorithm>
#include <functional>
#include <cmath>
#include <limits>
#include <numeric>

#include "processing/onnx/operators.h"

namespace choana::processing {
namespace {

enum class Reduction { sum, mean, largest, smallest, product, sum_square, l1, l2, log_sum, log_sum_exp };

double reduce(Reduction kind, const std::vector<double>& values) {
  switch (kind) {
    case Reduction::sum: return std::accumulate(values.begin(), values.end(), 0.0);
    case Reduction::mean: return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    case Reduction::largest: return *std::max_element(values.begin(), values.end());
    case Reduction::smallest: return *std::min_element(values.begin(), values.end());
    case Reduction::product: return std::accumulate(values.begin(), values.end(), 1.0, std::multiplies<>());
    case Reduction::sum_square: return std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
    case Reduction::l1: return std::accumulate(values.begin(), values.end(), 0.0, [](double sum, double x) { return sum + std::abs(x); });
    case Reduction::l2: return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
    case Reduction::log_sum: return std::log(std::accumulate(values.begin(), values.end(), 0.0));
    case Reduction::log_sum_exp: {
      const double top = *std::max_element(values.begin(), values.end());
      if (!std::isfinite(top)) return top;
      return top + std::log(std::accumulate(values.begin(), values.end(), 0.0, [top](double sum, double x) { return sum + std::exp(x - top); }));
    }
  }
  return 0;
}

template <Reduction kind>
Result<std::vector<Tensor>> reduction(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  std::vector<std::int64_t> axes = call.integers("axes");
  if (call.input(1) != nullptr) {
    const auto given = as_integers(call.input(1));
    if (!given) return call.wrong("needs axes of integers");
    axes = *given;
  }
  if (axes.empty() && call.integer("noop_with_empty_axes", 0) != 0) return one(data);
  const std::size_t rank = data.shape.size();
  std::vector<bool> reduced(rank, axes.empty());
  for (const std::int64_t each : axes) {
    const std::int64_t axis = normal_axis(each, rank);
    if (axis < 0) return call.wrong("has an axis outside the data");
    reduced[static_cast<std::size_t>(axis)] = true;
  }
  std::vector<std::int64_t> shape, kept;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    shape.push_back(reduced[axis] ? 1 : data.shape[axis]);
    if (!reduced[axis]) kept.push_back(data.shape[axis]);
  }
  const auto groups = static_cast<std::size_t>(product(shape, 0, rank));
  if (groups == 0 || data.size() == 0) return call.wrong("reduces nothing");
  std::vector<std::vector<double>> values(groups);
  const std::vector<double> all = as_doubles(data);
  if (all.size() != data.size()) return call.wrong("gets elements that are no numbers");
  std::vector<std::int64_t> index(rank, 0);
  for (const double value : all) {
    std::size_t group = 0;
    for (std::size_t axis = 0; axis < rank; ++axis)
      if (!reduced[axis]) group = group * static_cast<std::size_t>(data.shape[axis]) + static_cast<std::size_t>(index[axis]);
    values[group].push_back(value);
    for (std::size_t axis = rank; axis-- > 0;) {
      if (++index[axis] < data.shape[axis]) break;
      index[axis] = 0;
    }
  }
  std::vector<double> results;
  for (const auto& group : values) results.push_back(reduce(kind, group));
  const auto& result_shape = call.integer("keepdims", 1) != 0 ? shape : kept;
  if (data.type() == ElementType::int64) return one({result_shape, std::vector<std::int64_t>(results.begin(), results.end())});
  if (data.type() == ElementType::int32) return one({result_shape, std::vector<std::int32_t>(results.begin(), results.end())});
  return one(from_doubles(result_shape, std::move(results), data.type()));
}

template <bool largest>
Result<std::vector<Tensor>> arg_extreme(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  const std::int64_t axis_signed = normal_axis(call.integer("axis", 0), data.shape.size());
  if (axis_signed < 0 || data.size() == 0) return call.wrong("has an axis outside the data");
  const auto axis = static_cast<std::size_t>(axis_signed);
  const bool last = call.integer("select_last_index", 0) != 0;
  const std::int64_t n = data.shape[axis], outer = product(data.shape, 0, axis), inner = product(data.shape, axis + 1, data.shape.size());
  const std::vector<double> values = as_doubles(data);
  std::vector<std::int64_t> best(static_cast<std::size_t>(outer * inner), 0);
  for (std::int64_t row = 0; row < outer; ++row)
    for (std::int64_t k = 0; k < inner; ++k) {
      std::int64_t chosen = 0;
      for (std::int64_t at = 1; at < n; ++at) {
        const double value = values[static_cast<std::size_t>((row * n + at) * inner + k)], top = values[static_cast<std::size_t>((row * n + chosen) * inner + k)];
        if ((largest ? value > top : value < top) || (last && value == top)) chosen = at;
      }
      best[static_cast<std::size_t>(row * inner + k)] = chosen;
    }
  std::vector<std::int64_t> shape = data.shape;
  if (call.integer("keepdims", 1) != 0) shape[axis] = 1;
  else shape.erase(shape.begin() + axis_signed);
  return one({shape, std::move(best)});
}

Result<std::vector<Tensor>> top_k(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  const std::int64_t axis_signed = normal_axis(call.integer("axis", -1), data.shape.size());
  std::int64_t k = call.integer("k", 0);
  if (call.input(1) != nullptr) {
    const auto given = as_integers(call.input(1));
    if (!given || given->size() != 1) return call.wrong("needs one k");
    k = given->front();
  }
  if (axis_signed < 0) return call.wrong("has an axis outside the data");
  const auto axis = static_cast<std::size_t>(axis_signed);
  const std::int64_t n = data.shape[axis], outer = product(data.shape, 0, axis), inner = product(data.shape, axis + 1, data.shape.size());
  if (k < 0 || k > n) return call.wrong("asks for more elements than there are");
  const bool largest = call.integer("largest", 1) != 0;
  const std::vector<double> values = as_doubles(data);
  std::vector<std::int64_t> shape = data.shape;
  shape[axis] = k;
  std::vector<double> top(static_cast<std::size_t>(product(shape, 0, shape.size())));
  std::vector<std::int64_t> indices(top.size());
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  for (std::int64_t row = 0; row < outer; ++row)
    for (std::int64_t column = 0; column < inner; ++column) {
      const auto value = [&](std::int64_t at) { return values[static_cast<std::size_t>((row * n + at) * inner + column)]; };
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return largest ? value(a) > value(b) : value(a) < value(b); });
      for (std::int64_t at = 0; at < k; ++at) {
        const auto place = static_cast<std::size_t>((row * k + at) * inner + column);
        top[place] = value(order[static_cast<std::size_t>(at)]);
        indices[place] = order[static_cast<std::size_t>(at)];
      }
    }
  std::vector<Tensor> results;
  if (data.type() == ElementType::int64) results.push_back({shape, std::vector<std::int64_t>(top.begin(), top.end())});
  else results.push_back(from_doubles(shape, std::move(top), data.type()));
  results.push_back({shape, std::move(indices)});
  return results;
}

template <bool logarithm>
Result<std::vector<Tensor>> softmax(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  if (data.type() != ElementType::float32 && data.type() != ElementType::float64) return call.wrong("needs floating numbers");
  const std::int64_t axis_signed = normal_axis(call.integer("axis", call.opset >= 13 ? -1 : 1), data.shape.size());
  if (axis_signed < 0) return call.wrong("has an axis outside the data");
  const auto axis = static_cast<std::size_t>(axis_signed);
  // Up to opset 12 everything from the axis on is one vector.
  const bool joined = call.opset < 13;
  const std::int64_t outer = product(data.shape, 0, axis), n = joined ? product(data.shape, axis, data.shape.size()) : data.shape[axis],
                     inner = joined ? 1 : product(data.shape, axis + 1, data.shape.size());
  std::vector<double> values = as_doubles(data);
  for (std::int64_t row = 0; row < outer; ++row)
    for (std::int64_t column = 0; column < inner; ++column) {
      const auto at = [&](std::int64_t k) { return static_cast<std::size_t>((row * n + k) * inner + column); };
      double top = -std::numeric_limits<double>::infinity(), sum = 0;
      for (std::int64_t k = 0; k < n; ++k) top = std::max(top, values[at(k)]);
      for (std::int64_t k = 0; k < n; ++k) sum += std::exp(values[at(k)] - top);
      for (std::int64_t k = 0; k < n; ++k) values[at(k)] = logarithm ? values[at(k)] - top - std::log(sum) : std::exp(values[at(k)] - top) / sum;
    }
  return one(from_doubles(data.shape, std::move(values), data.type()));
}

Result<std::vector<Tensor>> cumulative_sum(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  const auto given = as_integers(call.inputs[1]);
  if (!given || given->size() != 1) return call.wrong("needs one axis");
  const std::int64_t axis_signed = normal_axis(given->front(), data.shape.size());
  if (axis_signed < 0 || call.integer("exclusive", 0) != 0 || call.integer("reverse", 0) != 0) return call.wrong("sums in a way that is not supported");
  const auto axis = static_cast<std::size_t>(axis_signed);
  const std::int64_t n = data.shape[axis], outer = product(data.shape, 0, axis), inner = product(data.shape, axis + 1, data.shape.size());
  std::vector<double> values = as_doubles(data);
  for (std::int64_t row = 0; row < outer; ++row)
    for (std::int64_t k = 1; k < n; ++k)
      for (std::int64_t column = 0; column < inner; ++column)
        values[static_cast<std::size_t>((row * n + k) * inner + column)] += values[static_cast<std::size_t>((row * n + k - 1) * inner + column)];
  if (data.type() == ElementType::int64) return one({data.shape, std::vector<std::int64_t>(values.begin(), values.end())});
  return one(from_doubles(data.shape, std::move(values), data.type()));
}

constexpr OperatorRow rows[] = {
    {"ReduceSum", reduction<Reduction::sum>, 1}, {"ReduceMean", reduction<Reduction::mean>, 1}, {"ReduceMax", reduction<Reduction::largest>, 1},
    {"ReduceMin", reduction<Reduction::smallest>, 1}, {"ReduceProd", reduction<Reduction::product>, 1}, {"ReduceSumSquare", reduction<Reduction::sum_square>, 1},
    {"ReduceL1", reduction<Reduction::l1>, 1}, {"ReduceL2", reduction<Reduction::l2>, 1}, {"ReduceLogSum", reduction<Reduction::log_sum>, 1},
    {"ReduceLogSumExp", reduction<Reduction::log_sum_exp>, 1}, {"ArgMax", arg_extreme<true>, 1}, {"ArgMin", arg_extreme<false>, 1}, {"TopK", top_k, 1},
    {"Softmax", softmax<false>, 1}, {"LogSoftmax", softmax<true>, 1}, {"CumSum", cumulative_sum, 2},
};

}  // namespace

std::span<const OperatorRow> reduction_operators() { return rows; }

}  // namespace choana::processing
