#include <Eigen/Core>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "processing/onnx/operators.h"
#include "processing/onnx/window.h"

namespace choana::processing {

Result<Window> read_window(const OperatorCall& call, const std::vector<std::int64_t>& shape, std::vector<std::int64_t> kernel) {
  const std::size_t axes = kernel.size();
  if (axes == 0 || axes > 3 || shape.size() != axes + 2) return call.wrong("works on 1 to 3 spatial axes; the input has another number");
  Window window{std::move(kernel), call.integers("strides"), call.integers("dilations"), {}, {}, {}};
  if (window.strides.empty()) window.strides.assign(axes, 1);
  if (window.dilations.empty()) window.dilations.assign(axes, 1);
  std::vector<std::int64_t> pads = call.integers("pads");
  if (pads.empty()) pads.assign(2 * axes, 0);
  const auto bounded = [](const std::vector<std::int64_t>& values, std::int64_t low) {
    return std::all_of(values.begin(), values.end(), [low](std::int64_t n) { return n >= low && n <= 1 << 16; });
  };
  if (window.strides.size() != axes || window.dilations.size() != axes || pads.size() != 2 * axes || !bounded(window.strides, 1) || !bounded(window.dilations, 1) || !bounded(pads, 0) ||
      !bounded(window.kernel, 1))
    return call.wrong("has strides, dilations, pads or a kernel that do not fit");
  const std::string automatic = call.text("auto_pad", "NOTSET");
  const bool up = call.integer("ceil_mode", 0) != 0;
  for (std::size_t axis = 0; axis < axes; ++axis) {
    const std::int64_t n = shape[axis + 2], reach = (window.kernel[axis] - 1) * window.dilations[axis] + 1, stride = window.strides[axis];
    std::int64_t before = pads[axis], after = pads[axis + axes];
    if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      const std::int64_t total = std::max<std::int64_t>(((n + stride - 1) / stride - 1) * stride + reach - n, 0);
      before = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      after = total - before;
    } else if (automatic == "VALID") {
      before = after = 0;
    } else if (automatic != "NOTSET") {
      return call.wrong("has an auto_pad that is not known");
    }
    const std::int64_t room = n + before + after - reach;
    if (n < 1 || room < 0) return call.wrong("has a kernel that is larger than the padded input");
    std::int64_t count = (up ? room + stride - 1 : room) / stride + 1;
    // A last window that would begin beyond the input and its leading pad is left out.
    if (up && (count - 1) * stride >= n + before) --count;
    window.pads_before.push_back(before);
    window.pads_after.push_back(after);
    window.output.push_back(count);
  }
  return window;
}

namespace {

template <typename T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <typename T>
using View = Eigen::Map<const RowMajor<T>>;

template <typename T>
Result<std::vector<Tensor>> multiply(const OperatorCall& call, const Tensor& a, const Tensor& b) {
  std::vector<std::int64_t> sa = a.shape, sb = b.shape;
  const bool row = sa.size() == 1, column = sb.size() == 1;
  if (sa.empty() || sb.empty()) return call.wrong("multiplies a scalar");
  if (row) sa.insert(sa.begin(), 1);
  if (column) sb.push_back(1);
  const std::int64_t m = sa[sa.size() - 2], k = sa.back(), n = sb.back();
  if (sb[sb.size() - 2] != k) return call.wrong("multiplies matrices that do not fit");
  const std::vector<std::int64_t> outer_a(sa.begin(), sa.end() - 2), outer_b(sb.begin(), sb.end() - 2);
  const auto outer = broadcast_shape(outer_a, outer_b);
  if (!outer) return call.wrong("multiplies stacks of matrices that do not fit");
  std::vector<std::int64_t> shape = *outer;
  shape.push_back(m);
  shape.push_back(n);
  if (element_count(shape, tensor_elements_max) < 0) return call.wrong("makes a tensor that is too large");
  std::vector<T> values(static_cast<std::size_t>(product(shape, 0, shape.size())), T{0});
  const std::int64_t stacks = product(*outer, 0, outer->size());
  const auto offset = [&](const std::vector<std::int64_t>& own, std::int64_t stack) {
    std::int64_t at = 0, step = 1;
    for (std::size_t back = 1; back <= outer->size(); ++back) {
      const std::int64_t index = stack % (*outer)[outer->size() - back];
      stack /= (*outer)[outer->size() - back];
      if (back > own.size()) continue;
      const std::int64_t length = own[own.size() - back];
      at += (length == 1 ? 0 : index) * step;
      step *= length;
    }
    return at;
  };
  for (std::int64_t stack = 0; stack < stacks; ++stack) {
    const View<T> x(a.values<T>().data() + offset(outer_a, stack) * m * k, m, k), y(b.values<T>().data() + offset(outer_b, stack) * k * n, k, n);
    Eigen::Map<RowMajor<T>>(values.data() + stack * m * n, m, n).noalias() = x * y;
  }
  if (row) shape.erase(shape.end() - 2);
  if (column) shape.pop_back();
  return one({shape, std::move(values)});
}

Result<std::vector<Tensor>> matrix_product(const OperatorCall& call) {
  const Tensor& a = *call.inputs[0];
  const Tensor& b = *call.inputs[1];
  if (const auto both = widened(a, b)) return multiply<double>(call, both->first, both->second);
  if (a.type() != b.type()) return call.wrong("gets two element types");
  if (a.type() == ElementType::float32) return multiply<float>(call, a, b);
  if (a.type() == ElementType::float64) return multiply<double>(call, a, b);
  return call.wrong("multiplies matrices that are not of floating numbers");
}

template <typename T>
Result<std::vector<Tensor>> general_product(const OperatorCall& call, const Tensor& a, const Tensor& b, const Tensor* c) {
  if (a.shape.size() != 2 || b.shape.size() != 2) return call.wrong("needs two matrices");
  const View<T> x(a.values<T>().data(), a.shape[0], a.shape[1]), y(b.values<T>().data(), b.shape[0], b.shape[1]);
  const bool ta = call.integer("transA", 0) != 0, tb = call.integer("transB", 0) != 0;
  const T alpha = static_cast<T>(call.number("alpha", 1)), beta = static_cast<T>(call.number("beta", 1));
  const std::int64_t m = ta ? x.cols() : x.rows(), k = ta ? x.rows() : x.cols(), n = tb ? y.rows() : y.cols();
  if ((tb ? y.cols() : y.rows()) != k) return call.wrong("multiplies matrices that do not fit");
  RowMajor<T> result(m, n);
  if (ta && tb) result.noalias() = x.transpose() * y.transpose();
  else if (ta) result.noalias() = x.transpose() * y;
  else if (tb) result.noalias() = x * y.transpose();
  else result.noalias() = x * y;
  if (alpha != T{1}) result *= alpha;
  if (c != nullptr && beta != T{0}) {
    const auto shape = broadcast_shape({m, n}, c->shape);
    if (c->type() != a.type() || !shape || *shape != std::vector<std::int64_t>{m, n}) return call.wrong("adds a tensor that does not fit");
    const std::int64_t rows = c->shape.size() == 2 ? c->shape[0] : 1, columns = c->shape.empty() ? 1 : c->shape.back();
    const auto& added = c->values<T>();
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j) result(i, j) += beta * added[static_cast<std::size_t>((rows == 1 ? 0 : i) * columns + (columns == 1 ? 0 : j))];
  }
  return one({{m, n}, std::vector<T>(result.data(), result.data() + result.size())});
}

Result<std::vector<Tensor>> gemm(const OperatorCall& call) {
  const Tensor& a = *call.inputs[0];
  const Tensor& b = *call.inputs[1];
  if (a.type() != b.type()) return call.wrong("gets two element types");
  if (a.type() == ElementType::float32) return general_product<float>(call, a, b, call.input(2));
  if (a.type() == ElementType::float64) return general_product<double>(call, a, b, call.input(2));
  return call.wrong("multiplies matrices that are not of floating numbers");
}

// Any sum of products over named indices, one element after the other: exports use it on small tensors.
Result<std::vector<Tensor>> einsum(const OperatorCall& call) {
  std::string equation;
  for (const char c : call.text("equation", ""))
    if (c != ' ') equation += c;
  const auto arrow = equation.find("->");
  if (arrow == std::string::npos || equation.find('.') != std::string::npos) return call.wrong("has an equation without '->' or with an ellipsis, which is not supported");
  std::vector<std::string> terms{""};
  for (const char c : equation.substr(0, arrow)) {
    if (c == ',') terms.emplace_back();
    else terms.back() += c;
  }
  const std::string result_term = equation.substr(arrow + 2);
  if (terms.size() != call.inputs.size()) return call.wrong("has an equation for another number of inputs");
  std::map<char, std::int64_t> length;
  for (std::size_t at = 0; at < terms.size(); ++at) {
    if (call.inputs[at] == nullptr || terms[at].size() != call.inputs[at]->shape.size() || call.inputs[at]->type() != call.inputs[0]->type()) return call.wrong("has an equation that does not fit its inputs");
    for (std::size_t axis = 0; axis < terms[at].size(); ++axis)
      if (!length.emplace(terms[at][axis], call.inputs[at]->shape[axis]).second && length[terms[at][axis]] != call.inputs[at]->shape[axis]) return call.wrong("has an index of two lengths");
  }
  std::string order = result_term;
  for (const auto& [index, n] : length)
    if (order.find(index) == std::string::npos) order += index;
  std::vector<std::int64_t> shape, full;
  for (const char index : result_term) {
    if (!length.contains(index)) return call.wrong("has a result index that no input has");
    shape.push_back(length[index]);
  }
  for (const char index : order) full.push_back(length[index]);
  const std::int64_t count = element_count(full, tensor_elements_max);
  if (count < 0) return call.wrong("sums over too many elements");
  std::vector<std::vector<double>> values;
  std::vector<std::vector<std::int64_t>> steps;
  for (std::size_t at = 0; at < terms.size(); ++at) {
    values.push_back(as_doubles(*call.inputs[at]));
    std::vector<std::int64_t> step(order.size(), 0);
    std::int64_t stride = 1;
    for (std::size_t axis = terms[at].size(); axis-- > 0;) {
      step[order.find(terms[at][axis])] += stride;
      stride *= call.inputs[at]->shape[axis];
    }
    steps.push_back(std::move(step));
  }
  std::vector<double> result(static_cast<std::size_t>(product(shape, 0, shape.size())), 0.0);
  const std::int64_t inner = product(full, shape.size(), full.size());
  std::vector<std::int64_t> index(order.size(), 0), offset(terms.size(), 0);
  for (std::int64_t at = 0; at < count; ++at) {
    double term = 1;
    for (std::size_t input = 0; input < values.size(); ++input) term *= values[input][static_cast<std::size_t>(offset[input])];
    result[static_cast<std::size_t>(at / inner)] += term;
    for (std::size_t axis = order.size(); axis-- > 0;) {
      for (std::size_t input = 0; input < values.size(); ++input) offset[input] += steps[input][axis];
      if (++index[axis] < full[axis]) break;
      for (std::size_t input = 0; input < values.size(); ++input) offset[input] -= steps[input][axis] * full[axis];
      index[axis] = 0;
    }
  }
  return one(from_doubles(shape, std::move(result), call.inputs[0]->type()));
}

/// Visits every output position of a window: visit(output offset, list of (input offset, kernel offset) inside the input).
template <typename Visit>
void slide(const Window& window, const std::vector<std::int64_t>& spatial, Visit visit) {
  const std::size_t axes = window.kernel.size();
  const std::int64_t outputs = product(window.output, 0, axes), taps = product(window.kernel, 0, axes);
  std::vector<std::pair<std::int64_t, std::int64_t>> inside;
  for (std::int64_t at = 0; at < outputs; ++at) {
    std::vector<std::int64_t> origin(axes);
    std::int64_t rest = at;
    for (std::size_t axis = axes; axis-- > 0;) {
      origin[axis] = rest % window.output[axis] * window.strides[axis] - window.pads_before[axis];
      rest /= window.output[axis];
    }
    inside.clear();
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      std::int64_t left = tap, offset = 0, stride = 1;
      bool in = true;
      for (std::size_t axis = axes; axis-- > 0;) {
        const std::int64_t position = origin[axis] + left % window.kernel[axis] * window.dilations[axis];
        left /= window.kernel[axis];
        in = in && position >= 0 && position < spatial[axis];
        offset += position * stride;
        stride *= spatial[axis];
      }
      if (in) inside.emplace_back(offset, tap);
    }
    visit(at, inside);
  }
}

// In double, one output after the other: for float64 graphs, and the measure for the fast path.
Result<std::vector<Tensor>> convolution(const OperatorCall& call) {
  const Tensor& x = *call.inputs[0];
  const Tensor& w = *call.inputs[1];
  const Tensor* bias = call.input(2);
  if (x.shape.size() < 3 || w.shape.size() != x.shape.size() || (x.type() != ElementType::float32 && x.type() != ElementType::float64) || w.type() != x.type())
    return call.wrong("needs an input and weights of one floating type and rank");
  const std::int64_t groups = call.integer("group", 1), batch = x.shape[0], channels = x.shape[1], filters = w.shape[0];
  if (groups < 1 || channels % groups != 0 || filters % groups != 0 || w.shape[1] != channels / groups || (bias != nullptr && bias->shape != std::vector<std::int64_t>{filters}))
    return call.wrong("has weights that do not fit the input");
  auto window = read_window(call, x.shape, {w.shape.begin() + 2, w.shape.end()});
  if (!window) return fail(window.error());
  std::vector<std::int64_t> shape{batch, filters};
  shape.insert(shape.end(), window->output.begin(), window->output.end());
  if (element_count(shape, tensor_elements_max) < 0) return call.wrong("makes a tensor that is too large");
  const std::vector<std::int64_t> spatial(x.shape.begin() + 2, x.shape.end());
  const std::int64_t plane = product(spatial, 0, spatial.size()), taps = product(window->kernel, 0, window->kernel.size()), outputs = product(window->output, 0, window->output.size());
  const std::vector<double> input = as_doubles(x), weights = as_doubles(w), biases = bias != nullptr ? as_doubles(*bias) : std::vector<double>(static_cast<std::size_t>(filters), 0.0);
  std::vector<double> result(static_cast<std::size_t>(product(shape, 0, shape.size())));
  const std::int64_t depth = channels / groups, per_group = filters / groups;
  slide(*window, spatial, [&](std::int64_t at, const auto& inside) {
    for (std::int64_t b = 0; b < batch; ++b)
      for (std::int64_t f = 0; f < filters; ++f) {
        double sum = biases[static_cast<std::size_t>(f)];
        for (std::int64_t c = 0; c < depth; ++c) {
          const double* from = input.data() + (b * channels + f / per_group * depth + c) * plane;
          const double* kernel = weights.data() + (f * depth + c) * taps;
          for (const auto& [offset, tap] : inside) sum += from[offset] * kernel[tap];
        }
        result[static_cast<std::size_t>((b * filters + f) * outputs + at)] = sum;
      }
  });
  return one(from_doubles(shape, std::move(result), x.type()));
}

template <bool largest>
Result<std::vector<Tensor>> pool(const OperatorCall& call) {
  const Tensor& x = *call.inputs[0];
  if (x.shape.size() < 3 || (x.type() != ElementType::float32 && x.type() != ElementType::float64)) return call.wrong("needs an image of floating numbers");
  if (call.node.outputs.size() > 1) return call.wrong("asks for the places of maxima, which is not supported");
  auto window = read_window(call, x.shape, call.integers("kernel_shape"));
  if (!window) return fail(window.error());
  const bool count_pads = call.integer("count_include_pad", 0) != 0;
  if (!largest && count_pads && call.integer("ceil_mode", 0) != 0) return call.wrong("counts pads with ceil_mode, which is not supported");
  std::vector<std::int64_t> shape{x.shape[0], x.shape[1]};
  shape.insert(shape.end(), window->output.begin(), window->output.end());
  const std::vector<std::int64_t> spatial(x.shape.begin() + 2, x.shape.end());
  const std::int64_t planes = x.shape[0] * x.shape[1], plane = product(spatial, 0, spatial.size()), outputs = product(window->output, 0, window->output.size());
  const auto taps = static_cast<double>(product(window->kernel, 0, window->kernel.size()));
  const std::vector<double> input = as_doubles(x);
  std::vector<double> result(static_cast<std::size_t>(planes * outputs));
  slide(*window, spatial, [&](std::int64_t at, const auto& inside) {
    for (std::int64_t p = 0; p < planes; ++p) {
      const double* from = input.data() + p * plane;
      double value = largest ? -std::numeric_limits<double>::infinity() : 0;
      for (const auto& [offset, tap] : inside) value = largest ? std::max(value, from[offset]) : value + from[offset];
      result[static_cast<std::size_t>(p * outputs + at)] = largest ? value : value / (count_pads ? taps : static_cast<double>(inside.size()));
    }
  });
  return one(from_doubles(shape, std::move(result), x.type()));
}

template <bool largest>
Result<std::vector<Tensor>> global_pool(const OperatorCall& call) {
  const Tensor& x = *call.inputs[0];
  if (x.shape.size() < 3 || x.size() == 0 || (x.type() != ElementType::float32 && x.type() != ElementType::float64)) return call.wrong("needs an image of floating numbers");
  std::vector<std::int64_t> shape(x.shape.size(), 1);
  shape[0] = x.shape[0];
  shape[1] = x.shape[1];
  const std::int64_t plane = product(x.shape, 2, x.shape.size());
  const std::vector<double> input = as_doubles(x);
  std::vector<double> result;
  for (std::int64_t p = 0; p < shape[0] * shape[1]; ++p) {
    double value = input[static_cast<std::size_t>(p * plane)];
    for (std::int64_t at = 1; at < plane; ++at) {
      const double next = input[static_cast<std::size_t>(p * plane + at)];
      value = largest ? std::max(value, next) : value + next;
    }
    result.push_back(largest ? value : value / static_cast<double>(plane));
  }
  return one(from_doubles(shape, std::move(result), x.type()));
}

Result<std::vector<Tensor>> batch_normalisation(const OperatorCall& call) {
  const Tensor& x = *call.inputs[0];
  if (x.shape.size() < 2 || (x.type() != ElementType::float32 && x.type() != ElementType::float64) || call.integer("training_mode", 0) != 0) return call.wrong("needs floating numbers and no training mode");
  std::vector<std::vector<double>> parameters;
  for (std::size_t at = 1; at < 5; ++at) {
    parameters.push_back(as_doubles(*call.inputs[at]));
    if (static_cast<std::int64_t>(parameters.back().size()) != x.shape[1]) return call.wrong("has parameters that do not fit the channels");
  }
  const double epsilon = call.number("epsilon", 1e-5);
  const std::int64_t plane = product(x.shape, 2, x.shape.size());
  std::vector<double> values = as_doubles(x);
  for (std::size_t at = 0; at < values.size(); ++at) {
    const auto c = static_cast<std::size_t>(static_cast<std::int64_t>(at) / plane % x.shape[1]);
    values[at] = (values[at] - parameters[2][c]) / std::sqrt(parameters[3][c] + epsilon) * parameters[0][c] + parameters[1][c];
  }
  return one(from_doubles(x.shape, std::move(values), x.type()));
}

// A x = b for one square matrix, which exports of Gaussian processes ask for.
Result<std::vector<Tensor>> solve(const OperatorCall& call) {
  const Tensor& a = *call.inputs[0];
  const Tensor& b = *call.inputs[1];
  if (a.shape.size() != 2 || a.shape[0] != a.shape[1] || b.shape.empty() || b.shape.size() > 2 || b.shape[0] != a.shape[0] || a.shape[0] > 5000 ||
      (a.type() != ElementType::float32 && a.type() != ElementType::float64))
    return call.wrong("needs a square matrix and a right side that fits");
  const std::int64_t n = a.shape[0], columns = b.shape.size() == 2 ? b.shape[1] : 1;
  const std::vector<double> left = as_doubles(a), right = as_doubles(b);
  const RowMajor<double> x = View<double>(left.data(), n, n).partialPivLu().solve(View<double>(right.data(), n, columns));
  return one(from_doubles(b.shape, {x.data(), x.data() + x.size()}, b.type()));
}

constexpr OperatorRow contributed_rows[] = {{"Solve", solve, 2}};

constexpr OperatorRow rows[] = {
    {"MatMul", matrix_product, 2}, {"Gemm", gemm, 2}, {"Einsum", einsum, 1}, {"Conv", convolution, 2}, {"MaxPool", pool<true>, 1}, {"AveragePool", pool<false>, 1},
    {"GlobalAveragePool", global_pool<false>, 1}, {"GlobalMaxPool", global_pool<true>, 1}, {"BatchNormalization", batch_normalisation, 5},
};

}  // namespace

std::span<const OperatorRow> linear_operators() { return rows; }
std::span<const OperatorRow> contributed_operators() { return contributed_rows; }

}  // namespace choana::processing
