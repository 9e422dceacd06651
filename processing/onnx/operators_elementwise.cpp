#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "processing/onnx/operators.h"

namespace choana::processing {
namespace {

/// Walks a broadcast pair: offsets of both operands for each element of the result, in order.
class BroadcastWalk {
 public:
  BroadcastWalk(const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) : shape_(shape), index_(shape.size(), 0) {
    strides_a_ = strides(a);
    strides_b_ = strides(b);
  }
  template <typename Visit>
  void run(Visit visit) {
    const std::int64_t count = product(shape_, 0, shape_.size());
    std::int64_t at_a = 0, at_b = 0;
    for (std::int64_t at = 0; at < count; ++at) {
      visit(static_cast<std::size_t>(at), static_cast<std::size_t>(at_a), static_cast<std::size_t>(at_b));
      for (std::size_t axis = shape_.size(); axis-- > 0;) {
        at_a += strides_a_[axis];
        at_b += strides_b_[axis];
        if (++index_[axis] < shape_[axis]) break;
        at_a -= strides_a_[axis] * shape_[axis];
        at_b -= strides_b_[axis] * shape_[axis];
        index_[axis] = 0;
      }
    }
  }

 private:
  [[nodiscard]] std::vector<std::int64_t> strides(const std::vector<std::int64_t>& shape) const {
    std::vector<std::int64_t> result(shape_.size(), 0);
    std::int64_t step = 1;
    for (std::size_t back = 0; back < shape.size(); ++back) {
      const std::int64_t n = shape[shape.size() - 1 - back];
      if (n != 1) result[shape_.size() - 1 - back] = step;
      step *= n;
    }
    return result;
  }
  const std::vector<std::int64_t>& shape_;
  std::vector<std::int64_t> index_, strides_a_, strides_b_;
};

// Floating types compute in double and are rounded once; integers compute in 64 bits.
template <typename T>
using Wide = std::conditional_t<std::is_floating_point_v<T>, double, std::int64_t>;

template <typename Out, typename T, typename Operation>
Tensor combine(const std::vector<std::int64_t>& shape, const Tensor& a, const Tensor& b, Operation operation) {
  const auto& x = a.values<T>();
  const auto& y = b.values<T>();
  std::vector<Out> values(static_cast<std::size_t>(product(shape, 0, shape.size())));
  const auto one_value = [&](T p, T q) { return static_cast<Out>(operation(static_cast<Wide<T>>(p), static_cast<Wide<T>>(q))); };
  if (a.shape == b.shape) {
    for (std::size_t at = 0; at < values.size(); ++at) values[at] = one_value(x[at], y[at]);
  } else {
    BroadcastWalk(shape, a.shape, b.shape).run([&](std::size_t at, std::size_t i, std::size_t j) { values[at] = one_value(x[i], y[j]); });
  }
  return {shape, std::move(values)};
}

enum class Arithmetic { add, subtract, multiply, divide, power, smallest, largest, modulo, fmod };

template <typename W>
W arithmetic(Arithmetic kind, W a, W b) {
  switch (kind) {
    case Arithmetic::add: return a + b;
    case Arithmetic::subtract: return a - b;
    case Arithmetic::multiply: return a * b;
    case Arithmetic::divide:
      if constexpr (std::is_floating_point_v<W>) return a / b;
      else return b == 0 || (b == -1 && a == std::numeric_limits<W>::min()) ? 0 : a / b;
    case Arithmetic::power: return static_cast<W>(std::pow(static_cast<double>(a), static_cast<double>(b)));
    case Arithmetic::smallest: return std::min(a, b);
    case Arithmetic::largest: return std::max(a, b);
    case Arithmetic::modulo:
      if constexpr (std::is_floating_point_v<W>) return a - b * std::floor(a / b);
      else return b == 0 || b == -1 ? 0 : (a % b + b) % b;
    case Arithmetic::fmod: return static_cast<W>(std::fmod(static_cast<double>(a), static_cast<double>(b)));
  }
  return a;
}

Result<Tensor> apply_arithmetic(const OperatorCall& call, Arithmetic kind, const Tensor& a, const Tensor& b) {
  if (a.type() != b.type() && kind == Arithmetic::power) {
    // The exponent may be of another type.
    Tensor base = from_doubles(a.shape, as_doubles(a), ElementType::float64), exponent = from_doubles(b.shape, as_doubles(b), ElementType::float64);
    auto result = apply_arithmetic(call, kind, base, exponent);
    if (!result) return result;
    if (a.type() == ElementType::float64) return result;
    if (a.type() == ElementType::float32) return from_doubles(result->shape, result->values<double>(), ElementType::float32);
    return fail(call.wrong("raises integers to a power of another type").value());
  }
  if (const auto both = widened(a, b)) return apply_arithmetic(call, kind, both->first, both->second);
  if (a.type() != b.type()) return fail(call.wrong("gets two element types").value());
  const auto shape = broadcast_shape(a.shape, b.shape);
  if (!shape) return fail(call.wrong("gets shapes that do not fit").value());
  switch (a.type()) {
    case ElementType::float32: return combine<float, float>(*shape, a, b, [kind](double x, double y) { return arithmetic(kind, x, y); });
    case ElementType::float64: return combine<double, double>(*shape, a, b, [kind](double x, double y) { return arithmetic(kind, x, y); });
    case ElementType::int32: return combine<std::int32_t, std::int32_t>(*shape, a, b, [kind](std::int64_t x, std::int64_t y) { return arithmetic(kind, x, y); });
    case ElementType::int64:
      // Unsigned, so that an overflow wraps as it does in NumPy.
      return combine<std::int64_t, std::int64_t>(*shape, a, b, [kind](std::int64_t x, std::int64_t y) {
        if (kind == Arithmetic::add) return static_cast<std::int64_t>(static_cast<std::uint64_t>(x) + static_cast<std::uint64_t>(y));
        if (kind == Arithmetic::subtract) return static_cast<std::int64_t>(static_cast<std::uint64_t>(x) - static_cast<std::uint64_t>(y));
        if (kind == Arithmetic::multiply) return static_cast<std::int64_t>(static_cast<std::uint64_t>(x) * static_cast<std::uint64_t>(y));
        return arithmetic(kind, x, y);
      });
    default: return fail(call.wrong("gets elements that are no numbers").value());
  }
}

template <Arithmetic kind>
Result<std::vector<Tensor>> binary(const OperatorCall& call) {
  auto result = apply_arithmetic(call, kind, *call.inputs[0], *call.inputs[1]);
  if (!result) return fail(result.error());
  return one(std::move(*result));
}

Result<std::vector<Tensor>> modulo(const OperatorCall& call) { return call.integer("fmod", 0) != 0 ? binary<Arithmetic::fmod>(call) : binary<Arithmetic::modulo>(call); }

// Sum, Min, Max, Mean over any number of inputs.
template <Arithmetic kind, bool mean>
Result<std::vector<Tensor>> variadic(const OperatorCall& call) {
  Tensor result = *call.inputs[0];
  for (std::size_t at = 1; at < call.inputs.size(); ++at) {
    auto next = apply_arithmetic(call, kind, result, *call.inputs[at]);
    if (!next) return fail(next.error());
    result = std::move(*next);
  }
  if (mean) {
    std::vector<double> values = as_doubles(result);
    for (double& value : values) value /= static_cast<double>(call.inputs.size());
    result = from_doubles(result.shape, std::move(values), result.type());
  }
  return one(std::move(result));
}

template <typename Compare>
Result<std::vector<Tensor>> compare(const OperatorCall& call, Compare compare_values) {
  const Tensor& a = *call.inputs[0];
  const Tensor& b = *call.inputs[1];
  if (const auto both = widened(a, b)) {
    OperatorCall wide = call;
    wide.inputs = {&both->first, &both->second};
    return compare(wide, compare_values);
  }
  if (a.type() != b.type()) return call.wrong("compares two element types");
  const auto shape = broadcast_shape(a.shape, b.shape);
  if (!shape) return call.wrong("gets shapes that do not fit");
  return std::visit(
      [&](const auto& x) -> Result<std::vector<Tensor>> {
        using List = std::decay_t<decltype(x)>;
        const auto& y = std::get<List>(b.data);
        std::vector<std::uint8_t> values(static_cast<std::size_t>(product(*shape, 0, shape->size())));
        BroadcastWalk(*shape, a.shape, b.shape).run([&](std::size_t at, std::size_t i, std::size_t j) { values[at] = compare_values(x[i], y[j]) ? 1 : 0; });
        return one({*shape, std::move(values)});
      },
      a.data);
}
Result<std::vector<Tensor>> equal(const OperatorCall& c) { return compare(c, [](const auto& a, const auto& b) { return a == b; }); }
Result<std::vector<Tensor>> less(const OperatorCall& c) { return compare(c, [](const auto& a, const auto& b) { return a < b; }); }
Result<std::vector<Tensor>> greater(const OperatorCall& c) { return compare(c, [](const auto& a, const auto& b) { return a > b; }); }
Result<std::vector<Tensor>> less_or_equal(const OperatorCall& c) { return compare(c, [](const auto& a, const auto& b) { return a <= b; }); }
Result<std::vector<Tensor>> greater_or_equal(const OperatorCall& c) { return compare(c, [](const auto& a, const auto& b) { return a >= b; }); }

template <typename Operation>
Result<std::vector<Tensor>> logical(const OperatorCall& call, Operation operation) {
  if (call.inputs[0]->type() != ElementType::boolean || call.inputs[1]->type() != ElementType::boolean) return call.wrong("needs truth values");
  return compare(call, [operation](const auto& a, const auto& b) {
    if constexpr (std::is_same_v<std::decay_t<decltype(a)>, std::uint8_t>) return operation(a != 0, b != 0);
    else return false;
  });
}
Result<std::vector<Tensor>> logical_and(const OperatorCall& c) { return logical(c, [](bool a, bool b) { return a && b; }); }
Result<std::vector<Tensor>> logical_or(const OperatorCall& c) { return logical(c, [](bool a, bool b) { return a || b; }); }
Result<std::vector<Tensor>> logical_xor(const OperatorCall& c) { return logical(c, [](bool a, bool b) { return a != b; }); }
Result<std::vector<Tensor>> logical_not(const OperatorCall& call) {
  if (call.inputs[0]->type() != ElementType::boolean) return call.wrong("needs truth values");
  Tensor result = *call.inputs[0];
  for (std::uint8_t& value : result.values<std::uint8_t>()) value = value != 0 ? 0 : 1;
  return one(std::move(result));
}

template <typename Operation>
Result<std::vector<Tensor>> unary(const OperatorCall& call, Operation operation) {
  const Tensor& a = *call.inputs[0];
  Tensor result{a.shape, {}};
  if (a.type() == ElementType::float32 || a.type() == ElementType::float64) {
    if (a.type() == ElementType::float32) {
      std::vector<float> values;
      values.reserve(a.size());
      for (const float value : a.values<float>()) values.push_back(static_cast<float>(operation(static_cast<double>(value))));
      result.data = std::move(values);
    } else {
      std::vector<double> values;
      values.reserve(a.size());
      for (const double value : a.values<double>()) values.push_back(operation(value));
      result.data = std::move(values);
    }
    return one(std::move(result));
  }
  const auto integers = as_integers(&a);
  if (!integers) return call.wrong("gets elements that are no numbers");
  // Neg, Abs, Sign of integers.
  if (a.type() == ElementType::int64) {
    std::vector<std::int64_t> values;
    for (const std::int64_t value : *integers) values.push_back(static_cast<std::int64_t>(operation(static_cast<double>(value))));
    result.data = std::move(values);
  } else {
    std::vector<std::int32_t> values;
    for (const std::int64_t value : *integers) values.push_back(static_cast<std::int32_t>(operation(static_cast<double>(value))));
    result.data = std::move(values);
  }
  return one(std::move(result));
}

double logistic(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

#define CHOANA_UNARY(name, expression) \
  Result<std::vector<Tensor>> name(const OperatorCall& call) { \
    return unary(call, [](double x) -> double { return expression; }); \
  }
CHOANA_UNARY(negate, -x)
CHOANA_UNARY(absolute, std::abs(x))
CHOANA_UNARY(reciprocal, 1 / x)
CHOANA_UNARY(square_root, std::sqrt(x))
CHOANA_UNARY(exponential, std::exp(x))
CHOANA_UNARY(logarithm, std::log(x))
CHOANA_UNARY(sigmoid, logistic(x))
CHOANA_UNARY(hyperbolic_tangent, std::tanh(x))
CHOANA_UNARY(rectify, x < 0 ? 0.0 : x)
CHOANA_UNARY(error_function, std::erf(x))
CHOANA_UNARY(round_down, std::floor(x))
CHOANA_UNARY(round_up, std::ceil(x))
CHOANA_UNARY(round_even, std::nearbyint(x))
CHOANA_UNARY(sign, x > 0 ? 1.0 : x < 0 ? -1.0 : x)
CHOANA_UNARY(softplus, x > 30 ? x : std::log1p(std::exp(x)))
CHOANA_UNARY(softsign, x / (1 + std::abs(x)))
CHOANA_UNARY(sine, std::sin(x))
CHOANA_UNARY(cosine, std::cos(x))
#undef CHOANA_UNARY

Result<std::vector<Tensor>> leaky_relu(const OperatorCall& call) {
  const double alpha = call.number("alpha", 0.01);
  return unary(call, [alpha](double x) { return x < 0 ? alpha * x : x; });
}
Result<std::vector<Tensor>> elu(const OperatorCall& call) {
  const double alpha = call.number("alpha", 1);
  return unary(call, [alpha](double x) { return x < 0 ? alpha * std::expm1(x) : x; });
}
Result<std::vector<Tensor>> hard_sigmoid(const OperatorCall& call) {
  const double alpha = call.number("alpha", 0.2), beta = call.number("beta", 0.5);
  return unary(call, [alpha, beta](double x) { return std::clamp(alpha * x + beta, 0.0, 1.0); });
}

Result<std::vector<Tensor>> clip(const OperatorCall& call) {
  // Bounds are attributes up to opset 6, inputs from 11.
  double low = call.number("min", -std::numeric_limits<double>::infinity()), high = call.number("max", std::numeric_limits<double>::infinity());
  if (const Tensor* bound = call.input(1)) {
    const auto values = as_doubles(*bound);
    if (values.size() != 1) return call.wrong("has a lower bound that is no number");
    low = values[0];
  }
  if (const Tensor* bound = call.input(2)) {
    const auto values = as_doubles(*bound);
    if (values.size() != 1) return call.wrong("has an upper bound that is no number");
    high = values[0];
  }
  return unary(call, [low, high](double x) { return std::isnan(x) ? x : std::min(std::max(x, low), high); });
}

Result<std::vector<Tensor>> is_nan(const OperatorCall& call) {
  const Tensor& a = *call.inputs[0];
  if (a.type() != ElementType::float32 && a.type() != ElementType::float64) return call.wrong("needs floating numbers");
  std::vector<std::uint8_t> values;
  for (const double value : as_doubles(a)) values.push_back(std::isnan(value) ? 1 : 0);
  return one({a.shape, std::move(values)});
}

Result<std::vector<Tensor>> where(const OperatorCall& call) {
  const Tensor& condition = *call.inputs[0];
  const auto both_wide = widened(*call.inputs[1], *call.inputs[2]);
  const Tensor& a = both_wide ? both_wide->first : *call.inputs[1];
  const Tensor& b = both_wide ? both_wide->second : *call.inputs[2];
  if (condition.type() != ElementType::boolean || a.type() != b.type()) return call.wrong("needs truth values and two tensors of one type");
  const auto both = broadcast_shape(a.shape, b.shape);
  const auto shape = both ? broadcast_shape(*both, condition.shape) : std::nullopt;
  if (!shape) return call.wrong("gets shapes that do not fit");
  return std::visit(
      [&](const auto& x) -> Result<std::vector<Tensor>> {
        using List = std::decay_t<decltype(x)>;
        const auto& y = std::get<List>(b.data);
        const auto& c = condition.values<std::uint8_t>();
        List values(static_cast<std::size_t>(product(*shape, 0, shape->size())));
        std::vector<std::size_t> chosen(values.size());
        BroadcastWalk(*shape, condition.shape, a.shape).run([&](std::size_t at, std::size_t i, std::size_t j) {
          chosen[at] = c[i];
          values[at] = x[j];
        });
        BroadcastWalk(*shape, b.shape, b.shape).run([&](std::size_t at, std::size_t i, std::size_t) {
          if (chosen[at] == 0) values[at] = y[i];
        });
        return one({*shape, std::move(values)});
      },
      a.data);
}

template <typename To>
Result<Tensor> cast_numbers(const OperatorCall& call, const Tensor& a) {
  std::vector<To> values;
  values.reserve(a.size());
  std::optional<Error> problem;
  std::visit(
      [&](const auto& from) {
        for (const auto& value : from) {
          using From = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<From, std::string>) {
            try {
              values.push_back(static_cast<To>(std::stod(value)));
            } catch (const std::exception&) {
              problem = call.wrong("casts a text that is no number").value();
              return;
            }
          } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To> && !std::is_same_v<To, std::uint8_t>) {
            const double clamped = std::isnan(static_cast<double>(value)) ? 0 : std::clamp(static_cast<double>(value), -9.2e18, 9.2e18);
            values.push_back(static_cast<To>(static_cast<std::int64_t>(clamped)));
          } else if constexpr (std::is_same_v<To, std::uint8_t>) {
            values.push_back(value != From{} ? 1 : 0);
          } else {
            values.push_back(static_cast<To>(value));
          }
        }
      },
      a.data);
  if (problem) return fail(*problem);
  return Tensor{a.shape, std::move(values)};
}

Result<std::vector<Tensor>> cast(const OperatorCall& call) {
  const Tensor& a = *call.inputs[0];
  const auto converted = [&]() -> Result<Tensor> {
    switch (call.integer("to", 0)) {  // numbers of TensorProto.DataType
      case 1: return cast_numbers<float>(call, a);
      case 11: return cast_numbers<double>(call, a);
      case 6: return cast_numbers<std::int32_t>(call, a);
      case 7: return cast_numbers<std::int64_t>(call, a);
      case 9: return cast_numbers<std::uint8_t>(call, a);
      case 8: {
        if (a.type() == ElementType::text) return a;
        const auto integers = as_integers(&a);
        if (!integers) return fail(call.wrong("casts floating numbers to text, which is not supported").value());
        std::vector<std::string> values;
        for (const std::int64_t value : *integers) values.push_back(std::to_string(value));
        return Tensor{a.shape, std::move(values)};
      }
      default: return fail(call.wrong("casts to a type that is not supported").value());
    }
  }();
  if (!converted) return fail(converted.error());
  return one(*converted);
}

Result<std::vector<Tensor>> identity(const OperatorCall& call) { return one(*call.inputs[0]); }

constexpr OperatorRow rows[] = {
    {"Add", binary<Arithmetic::add>, 2}, {"Sub", binary<Arithmetic::subtract>, 2}, {"Mul", binary<Arithmetic::multiply>, 2},
    {"Div", binary<Arithmetic::divide>, 2}, {"Pow", binary<Arithmetic::power>, 2}, {"Mod", modulo, 2},
    {"Min", variadic<Arithmetic::smallest, false>, 1}, {"Max", variadic<Arithmetic::largest, false>, 1}, {"Sum", variadic<Arithmetic::add, false>, 1},
    {"Mean", variadic<Arithmetic::add, true>, 1}, {"Equal", equal, 2}, {"Less", less, 2}, {"Greater", greater, 2}, {"LessOrEqual", less_or_equal, 2},
    {"GreaterOrEqual", greater_or_equal, 2}, {"And", logical_and, 2}, {"Or", logical_or, 2}, {"Xor", logical_xor, 2}, {"Not", logical_not, 1},
    {"Neg", negate, 1}, {"Abs", absolute, 1}, {"Reciprocal", reciprocal, 1}, {"Sqrt", square_root, 1}, {"Exp", exponential, 1}, {"Log", logarithm, 1},
    {"Sigmoid", sigmoid, 1}, {"Tanh", hyperbolic_tangent, 1}, {"Relu", rectify, 1}, {"Erf", error_function, 1}, {"Floor", round_down, 1},
    {"Ceil", round_up, 1}, {"Round", round_even, 1}, {"Sign", sign, 1}, {"Softplus", softplus, 1}, {"Softsign", softsign, 1}, {"Sin", sine, 1}, {"Cos", cosine, 1},
    {"LeakyRelu", leaky_relu, 1}, {"Elu", elu, 1}, {"HardSigmoid", hard_sigmoid, 1}, {"Clip", clip, 1}, {"IsNaN", is_nan, 1}, {"Where", where, 3},
    {"Cast", cast, 1}, {"Identity", identity, 1}, {"Dropout", identity, 1},
};

}  // namespace

std::span<const OperatorRow> elementwise_operators() { return rows; }

}  // namespace choana::processing
