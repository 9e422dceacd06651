#include "processing/onnx/onnx_session.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <new>
#include <optional>
#include <set>

#include "processing/onnx/network_engine.h"
#include "processing/onnx/operators.h"

namespace choana::processing {
namespace {

constexpr double folding_multiplications_max = 1e10;
constexpr std::int64_t folded_elements_max = 1 << 22;  // a larger constant is computed when it is needed

/// A value while a graph runs: in plain order, in blocks of channels, or both.
struct Value {
  std::shared_ptr<const Tensor> plain;
  BlockedPointer blocked;
};
using Values = std::map<std::string, Value, std::less<>>;

/// What one run needs beside its values.
struct Run {
  NetworkEngine engine;
  double multiplications_left;
};

/// A node with what was joined to it.
struct Step {
  OnnxNode node;
  std::string added;     // Conv: a value summed to the result
  bool rectify = false;  // Conv, Add: a Relu after it
  std::shared_ptr<const PackedConvolution> packed;  // Conv of constant weights
};

std::int64_t opset_of(const OnnxGraph& graph, const std::string& domain) {
  const auto found = graph.opsets.find(domain);
  return found == graph.opsets.end() ? 1 : found->second;
}

Status check_supported(const OnnxGraph& graph) {
  std::set<std::string> unknown;
  for (const OnnxNode& node : graph.nodes) {
    const OperatorRow* row = find_operator(node.domain, node.op);
    if (row == nullptr) {
      unknown.insert((node.domain.empty() ? "" : node.domain + ".") + node.op);
      continue;
    }
    std::size_t given = node.inputs.size();
    while (given > 0 && node.inputs[given - 1].empty()) --given;
    if (given < row->inputs_min || node.outputs.empty())
      return fail(ErrorCode::invalid_package, "prepare_onnx", "The ONNX node " + node.op + " '" + node.name.substr(0, 64) + "' has too few inputs or no output.");
    for (std::size_t at = 0; at < row->inputs_min; ++at)
      if (node.inputs[at].empty())
        return fail(ErrorCode::invalid_package, "prepare_onnx", "The ONNX node " + node.op + " '" + node.name.substr(0, 64) + "' leaves out an input that it needs.");
    for (const auto& [key, attribute] : node.attributes)
      if (const auto* body = std::get_if<std::shared_ptr<const OnnxGraph>>(&attribute))
        if (auto status = check_supported(**body); !status) return status;
  }
  if (unknown.empty()) return {};
  std::string names;
  for (const std::string& name : unknown) names += (names.empty() ? "" : ", ") + name;
  return fail(ErrorCode::invalid_package, "prepare_onnx", "The ONNX graph uses operators that are not supported: " + names + ".");
}

bool is_floating_image(const Value& value) {
  if (value.blocked) return true;
  return value.plain && value.plain->type() == ElementType::float32 && value.plain->shape.size() >= 3 && value.plain->shape.size() <= 5 && value.plain->size() > 0;
}

}  // namespace

struct OnnxSession::State {
  OnnxGraph graph;
  std::vector<std::string> wanted;
  std::map<std::string, Tensor> constants;  // initialisers and what was folded
  std::vector<Step> steps;
  std::map<std::string, std::size_t> last_use;
  mutable std::atomic<std::shared_ptr<BufferPool>> spare;  // buffers of an earlier run

  // -- making ready --

  [[nodiscard]] std::map<std::string, int> uses() const {
    std::map<std::string, int> count;
    for (const Step& step : steps) {
      for (const std::string& input : names_of(step)) ++count[input];
    }
    for (const std::string& name : wanted) count[name] += 2;  // must stay visible
    return count;
  }

  static void add_outer_names(const OnnxGraph& body, std::vector<std::string>& names) {
    for (const OnnxNode& node : body.nodes) {
      names.insert(names.end(), node.inputs.begin(), node.inputs.end());
      for (const auto& [key, attribute] : node.attributes)
        if (const auto* inner = std::get_if<std::shared_ptr<const OnnxGraph>>(&attribute)) add_outer_names(**inner, names);
    }
    names.insert(names.end(), body.outputs.begin(), body.outputs.end());
  }

  /// Everything a step reads; bodies may read values of the graph around them.
  static std::vector<std::string> names_of(const Step& step) {
    std::vector<std::string> names = step.node.inputs;
    if (step.packed) names.resize(1);
    if (!step.added.empty()) names.push_back(step.added);
    for (const auto& [key, attribute] : step.node.attributes)
      if (const auto* body = std::get_if<std::shared_ptr<const OnnxGraph>>(&attribute)) add_outer_names(**body, names);
    std::erase(names, std::string());
    return names;
  }

  void keep_what_is_wanted() {
    std::set<std::string> needed(wanted.begin(), wanted.end());
    std::vector<Step> kept;
    for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
      if (std::none_of(node->outputs.begin(), node->outputs.end(), [&](const std::string& output) { return needed.contains(output); })) continue;
      kept.push_back({std::move(*node), {}, false, nullptr});
      for (const std::string& name : names_of(kept.back())) needed.insert(name);
    }
    std::reverse(kept.begin(), kept.end());
    steps = std::move(kept);
    graph.nodes.clear();
  }

  // Nodes that hang on constants alone are worked out now.
  Status fold_constants() {
    Run run{NetworkEngine(), folding_multiplications_max};
    std::vector<Step> left;
    for (Step& step : steps) {
      const auto names = names_of(step);
      if (!std::all_of(names.begin(), names.end(), [&](const std::string& name) { return constants.contains(name); })) {
        left.push_back(std::move(step));
        continue;
      }
      Values values;
      auto results = run_plain(step.node, values, run);
      if (!results) return fail(results.error());
      std::int64_t elements = 0;
      for (const Tensor& result : *results) elements += static_cast<std::int64_t>(result.size());
      if (elements > folded_elements_max) {
        left.push_back(std::move(step));
        continue;
      }
      for (std::size_t at = 0; at < results->size() && at < step.node.outputs.size(); ++at) constants[step.node.outputs[at]] = std::move((*results)[at]);
    }
    steps = std::move(left);
    return {};
  }

  [[nodiscard]] const Tensor* constant(const std::string& name) const {
    const auto found = constants.find(name);
    return found == constants.end() ? nullptr : &found->second;
  }

  // Conv then BatchNormalization is one convolution with other weights.
  void fold_normalisations() {
    auto count = uses();
    for (std::size_t at = 0; at < steps.size(); ++at) {
      Step& step = steps[at];
      if (step.node.op != "Conv" || !step.node.domain.empty()) continue;
      const Tensor* weights = step.node.inputs.size() > 1 ? constant(step.node.inputs[1]) : nullptr;
      const std::string bias_name = step.node.inputs.size() > 2 ? step.node.inputs[2] : std::string();
      const Tensor* bias = bias_name.empty() ? nullptr : constant(bias_name);
      if (weights == nullptr || weights->type() != ElementType::float32 || weights->shape.empty() || (bias == nullptr && !bias_name.empty())) continue;
      if (count[step.node.outputs[0]] != 1) continue;
      const auto next = std::find_if(steps.begin() + static_cast<std::ptrdiff_t>(at) + 1, steps.end(), [&](const Step& other) {
        return other.node.op == "BatchNormalization" && other.node.domain.empty() && other.node.inputs[0] == step.node.outputs[0];
      });
      if (next == steps.end()) continue;
      std::vector<const Tensor*> parameters;
      for (std::size_t p = 1; p < 5; ++p) parameters.push_back(constant(next->node.inputs[p]));
      const auto filters = static_cast<std::size_t>(weights->shape[0]);
      const OperatorCall call{next->node, 0, {}, {}};
      if (std::any_of(parameters.begin(), parameters.end(), [&](const Tensor* p) { return p == nullptr || p->type() != ElementType::float32 || p->size() != filters; }) ||
          next->node.outputs.size() != 1 || call.integer("training_mode", 0) != 0 || (bias != nullptr && (bias->type() != ElementType::float32 || bias->size() != filters)) || filters == 0)
        continue;
      const double epsilon = call.number("epsilon", 1e-5);
      Tensor folded = *weights, shifted{{static_cast<std::int64_t>(filters)}, std::vector<float>(filters)};
      const std::size_t each = folded.size() / filters;
      for (std::size_t f = 0; f < filters; ++f) {
        const auto value = [&](std::size_t p) { return static_cast<double>(parameters[p]->values<float>()[f]); };
        const double scale = value(0) / std::sqrt(value(3) + epsilon);
        for (std::size_t k = 0; k < each; ++k) {
          float& weight = folded.values<float>()[f * each + k];
          weight = static_cast<float>(weight * scale);
        }
        const double from = bias != nullptr ? bias->values<float>()[f] : 0.0;
        shifted.values<float>()[f] = static_cast<float>((from - value(2)) * scale + value(1));
      }
      const std::string name = next->node.outputs[0];
      constants[name + "\x01weights"] = std::move(folded);
      constants[name + "\x01bias"] = std::move(shifted);
      step.node.inputs.resize(3);
      step.node.inputs[1] = name + "\x01weights";
      step.node.inputs[2] = name + "\x01bias";
      step.node.outputs[0] = name;
      steps.erase(next);
      count = uses();
    }
  }

  // Conv, Add, Relu in a row become one step at the place of the last of them, so that both sides of the sum are there.
  void join_sums() {
    const auto maker_of = [&](const std::string& name, std::size_t before) -> std::optional<std::size_t> {
      for (std::size_t at = before; at-- > 0;)
        if (std::find(steps[at].node.outputs.begin(), steps[at].node.outputs.end(), name) != steps[at].node.outputs.end()) return at;
      return std::nullopt;
    };
    for (std::size_t at = 0; at < steps.size(); ++at) {
      if (!steps[at].node.domain.empty()) continue;
      const auto count = uses();
      const auto used_once = [&](const std::string& name) {
        const auto found = count.find(name);
        return found != count.end() && found->second == 1;
      };
      if (steps[at].node.op == "Add" && steps[at].node.inputs.size() == 2 && steps[at].node.inputs[0] != steps[at].node.inputs[1]) {
        // The later of two convolutions takes the sum: the other is ready then.
        std::optional<std::size_t> chosen;
        for (const std::string& input : steps[at].node.inputs) {
          const auto made = maker_of(input, at);
          if (made && steps[*made].node.op == "Conv" && steps[*made].added.empty() && !steps[*made].rectify && used_once(input) && (!chosen || *made > *chosen)) chosen = made;
        }
        if (!chosen) continue;
        Step joined = std::move(steps[*chosen]);
        const std::string own = joined.node.outputs[0];
        joined.added = steps[at].node.inputs[0] == own ? steps[at].node.inputs[1] : steps[at].node.inputs[0];
        if (constants.contains(joined.added)) {
          steps[*chosen] = std::move(joined);
          steps[*chosen].added.clear();
          continue;
        }
        joined.node.outputs[0] = steps[at].node.outputs[0];
        steps[at] = std::move(joined);
        steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(*chosen));
        --at;
      } else if (steps[at].node.op == "Relu") {
        const auto made = maker_of(steps[at].node.inputs[0], at);
        if (!made || steps[*made].rectify || !steps[*made].node.domain.empty() || !used_once(steps[at].node.inputs[0])) continue;
        if (steps[*made].node.op != "Conv" && steps[*made].node.op != "Add") continue;
        steps[*made].rectify = true;
        steps[*made].node.outputs[0] = steps[at].node.outputs[0];
        steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(at));
        --at;
      }
    }
  }

  // Weights are arranged once, and each set is let go as soon as nothing else reads it: a network is in memory once.
  void pack_convolutions() {
    auto count = uses();
    for (Step& step : steps) {
      if (step.node.op != "Conv" || !step.node.domain.empty()) continue;
      const std::string bias_name = step.node.inputs.size() > 2 ? step.node.inputs[2] : std::string();
      const Tensor *weights = constant(step.node.inputs[1]), *bias = bias_name.empty() ? nullptr : constant(bias_name);
      const OperatorCall call{step.node, 0, {}, {}};
      const std::int64_t groups = call.integer("group", 1);
      const auto ones = [](const std::vector<std::int64_t>& numbers) { return std::all_of(numbers.begin(), numbers.end(), [](std::int64_t n) { return n == 1; }); };
      if (weights == nullptr || (bias == nullptr && !bias_name.empty()) || !PackedConvolution::takes(*weights, bias, groups)) continue;
      step.packed = std::make_shared<const PackedConvolution>(*weights, bias, groups, ones(call.integers("strides")) && ones(call.integers("dilations")));
      for (const std::string& name : {step.node.inputs[1], bias_name})
        if (!name.empty() && --count[name] == 0) constants.erase(name);
    }
  }

  Status make_ready() {
    keep_what_is_wanted();
    if (auto status = fold_constants(); !status) return status;
    fold_normalisations();
    join_sums();
    pack_convolutions();
    std::set<std::string> read(wanted.begin(), wanted.end());
    for (std::size_t at = 0; at < steps.size(); ++at)
      for (const std::string& name : names_of(steps[at])) {
        last_use[name] = at;
        read.insert(name);
      }
    std::erase_if(constants, [&](const auto& entry) { return !read.contains(entry.first); });
    return {};
  }

  // -- running --

  /// About how many multiplications a call takes; at least one a value read.
  static double multiplications_of(const OperatorCall& call) {
    double read = 1, all = 1;
    for (const Tensor* input : call.inputs)
      if (input != nullptr) {
        read += static_cast<double>(input->size());
        all *= static_cast<double>(std::max<std::size_t>(input->size(), 1));
      }
    const Tensor *a = call.input(0), *b = call.input(1);
    if (!call.node.domain.empty() || a == nullptr || b == nullptr) return read;
    if (call.node.op == "Einsum") return all;
    if (call.node.op == "MatMul" || call.node.op == "Gemm") {
      const bool turned = call.node.op == "Gemm" && call.integer("transB", 0) != 0 && !b->shape.empty();
      return read + static_cast<double>(a->size()) * static_cast<double>(b->shape.size() < 2 ? 1 : turned ? b->shape.front() : b->shape.back());
    }
    if (call.node.op == "Conv" && b->shape.size() > 2 && a->shape.size() == b->shape.size())
      if (const auto window = read_window(call, a->shape, {b->shape.begin() + 2, b->shape.end()}))
        return read + static_cast<double>(a->shape[0]) * static_cast<double>(b->size()) * static_cast<double>(product(window->output, 0, window->output.size()));
    return read;
  }

  static Status charge(const OperatorCall& call, double multiplications, Run& run) {
    run.multiplications_left -= multiplications;
    if (run.multiplications_left >= 0) return {};
    return fail(ErrorCode::limit_exceeded, "run_onnx", "The ONNX graph takes more arithmetic than is allowed (at " + call.node.op + " '" + call.node.name.substr(0, 64) + "').");
  }

  static const Tensor* plain_of(Value& value) {
    if (!value.plain) value.plain = std::make_shared<const Tensor>(NetworkEngine::to_plain(*value.blocked));
    return value.plain.get();
  }

  const Tensor* find_plain(const std::string& name, Values& values) const {
    if (const auto found = values.find(name); found != values.end()) return plain_of(found->second);
    return constant(name);
  }

  Result<std::vector<Tensor>> run_body(const OnnxGraph& body, std::vector<Tensor> inputs, Values& outer, Run& run) const {
    Values values = outer;  // shares tensors, copies pointers
    for (const auto& [name, tensor] : body.initialisers) values[name] = {std::make_shared<const Tensor>(tensor), nullptr};
    for (std::size_t at = 0; at < inputs.size() && at < body.inputs.size(); ++at) values[body.inputs[at].name] = {std::make_shared<const Tensor>(std::move(inputs[at])), nullptr};
    for (const OnnxNode& node : body.nodes) {
      auto results = run_plain(node, values, run);
      if (!results) return fail(results.error());
      for (std::size_t at = 0; at < node.outputs.size() && at < results->size(); ++at)
        if (!node.outputs[at].empty()) values[node.outputs[at]] = {std::make_shared<const Tensor>(std::move((*results)[at])), nullptr};
    }
    std::vector<Tensor> outputs;
    for (const std::string& name : body.outputs) {
      const Tensor* tensor = find_plain(name, values);
      if (tensor == nullptr) return fail(ErrorCode::invalid_package, "run_onnx", "A body of the ONNX graph does not make '" + name.substr(0, 64) + "'.");
      outputs.push_back(*tensor);
    }
    return outputs;
  }

  Result<std::vector<Tensor>> run_plain(const OnnxNode& node, Values& values, Run& run) const {
    OperatorCall call{node, opset_of(graph, node.domain), {}, {}};
    for (const std::string& input : node.inputs) {
      const Tensor* tensor = input.empty() ? nullptr : find_plain(input, values);
      if (tensor == nullptr && !input.empty()) return call.wrong("needs '" + input.substr(0, 64) + "', which was not made");
      call.inputs.push_back(tensor);
    }
    while (!call.inputs.empty() && call.inputs.back() == nullptr) call.inputs.pop_back();
    if (auto status = charge(call, multiplications_of(call), run); !status) return fail(status.error());
    call.run_body = [this, &values, &run](const OnnxGraph& body, std::vector<Tensor> inputs) { return run_body(body, std::move(inputs), values, run); };
    const OperatorRow* row = find_operator(node.domain, node.op);
    auto results = row->run(call);
    double written = 0;
    if (results)
      for (const Tensor& result : *results) written += static_cast<double>(result.size());
    if (auto status = charge(call, written, run); !status) return fail(status.error());
    if (results && static_cast<std::ptrdiff_t>(results->size()) < std::count_if(node.outputs.begin(), node.outputs.end(), [](const std::string& name) { return !name.empty(); }))
      return call.wrong("gives fewer results than the graph takes");
    return results;
  }

  static BlockedPointer blocked_of(Value& value, Run& run) {
    if (!value.blocked) value.blocked = run.engine.from_plain(*value.plain);
    return value.blocked;
  }

  // The fast path of an image operator; nothing when this call is not one of its kind.
  // left: what was joined to the step and is still to be done on the plain result.
  Result<std::optional<Value>> run_blocked(std::size_t at, Values& values, Run& run, bool& left) const {
    const Step& step = steps[at];
    const OnnxNode& node = step.node;
    const auto found = node.domain.empty() && !node.inputs.empty() ? values.find(node.inputs[0]) : values.end();
    if (found == values.end() || !is_floating_image(found->second)) return std::optional<Value>();
    Value& input = found->second;
    const auto& shape = input.blocked ? NetworkEngine::shape_of(*input.blocked) : input.plain->shape;
    const OperatorCall call{node, opset_of(graph, ""), {}, {}};
    if (step.packed) {
      const std::vector<std::int64_t>& weights = step.packed->weights_shape();
      if (weights.size() != shape.size() || shape[1] != weights[1] * step.packed->groups()) return fail(call.wrong("has weights that do not fit the input").value());
      auto window = read_window(call, shape, {weights.begin() + 2, weights.end()});
      if (!window) return fail(window.error());
      std::vector<std::int64_t> result_shape{shape[0], weights[0]};
      result_shape.insert(result_shape.end(), window->output.begin(), window->output.end());
      // Blocks are filled up, and pads are copied: both are counted before memory is asked for.
      std::vector<std::int64_t> made{shape[0], weights[0] + 15}, padded{weights[1] * step.packed->groups() + 15};
      made.insert(made.end(), window->output.begin(), window->output.end());
      for (std::size_t axis = 0; axis < window->kernel.size(); ++axis) padded.push_back(shape[axis + 2] + window->pads_before[axis] + window->pads_after[axis] + window->strides[axis]);
      if (element_count(made, tensor_elements_max) < 0 || element_count(padded, tensor_elements_max) < 0) return fail(call.wrong("makes a tensor that is too large").value());
      // What is written counts as well: pads may be far larger than the image.
      const double multiplications = static_cast<double>(product(made, 0, made.size())) + static_cast<double>(product(padded, 0, padded.size())) + static_cast<double>(shape[0]) * static_cast<double>(product(weights, 0, weights.size())) * static_cast<double>(product(window->output, 0, window->output.size()));
      if (auto status = charge(call, multiplications, run); !status) return fail(status.error());
      const NetworkEngine::Image image{input.plain.get(), input.blocked.get()};
      BlockedPointer added;
      bool overwrite = false;
      if (!step.added.empty()) {
        const auto other = values.find(step.added);
        // A sum that broadcasts is done afterwards.
        if (other == values.end() || !is_floating_image(other->second) ||
            (other->second.blocked ? NetworkEngine::shape_of(*other->second.blocked) : other->second.plain->shape) != result_shape) {
          left = true;
          return std::optional(Value{nullptr, run.engine.convolve(image, *step.packed, *window, nullptr, false, false)});
        }
        overwrite = last_use.at(step.added) == at && other->second.blocked && !other->second.plain && step.added != node.inputs[0] &&
                    std::find(wanted.begin(), wanted.end(), step.added) == wanted.end();
        added = blocked_of(other->second, run);
      }
      return std::optional(Value{nullptr, run.engine.convolve(image, *step.packed, *window, added, overwrite, step.rectify)});
    }
    if ((node.op == "MaxPool" || node.op == "AveragePool") && node.outputs.size() == 1) {
      const bool largest = node.op == "MaxPool", with_pads = call.integer("count_include_pad", 0) != 0;
      auto window = read_window(call, shape, call.integers("kernel_shape"));
      if (!window) return fail(window.error());
      // A window that ceil_mode adds to a mean is counted in a way of its own; with dilation a window may miss the input.
      if (std::any_of(window->dilations.begin(), window->dilations.end(), [](std::int64_t n) { return n != 1; }) || (!largest && call.integer("ceil_mode", 0) != 0)) return std::optional<Value>();
      for (std::size_t axis = 0; axis < window->kernel.size(); ++axis)
        if (window->pads_before[axis] >= window->kernel[axis] || window->pads_after[axis] >= window->kernel[axis]) return std::optional<Value>();
      const auto kind = largest ? NetworkEngine::Pool::largest : with_pads ? NetworkEngine::Pool::mean_with_pads : NetworkEngine::Pool::mean;
      return std::optional(Value{nullptr, run.engine.pool(*blocked_of(input, run), kind, *window)});
    }
    if (!input.blocked) return std::optional<Value>();  // not worth a rearrangement
    if (node.op == "GlobalAveragePool") {
      Window window{{shape.begin() + 2, shape.end()}, std::vector<std::int64_t>(shape.size() - 2, 1), std::vector<std::int64_t>(shape.size() - 2, 1),
                    std::vector<std::int64_t>(shape.size() - 2, 0), std::vector<std::int64_t>(shape.size() - 2, 0), std::vector<std::int64_t>(shape.size() - 2, 1)};
      return std::optional(Value{nullptr, run.engine.pool(*input.blocked, NetworkEngine::Pool::mean, window)});
    }
    if (node.op == "Relu") return std::optional(Value{nullptr, run.engine.rectify(*input.blocked)});
    if (node.op == "Add") {
      const auto other = values.find(node.inputs[1]);
      if (other == values.end() || !other->second.blocked || NetworkEngine::shape_of(*other->second.blocked) != shape) return std::optional<Value>();
      return std::optional(Value{nullptr, run.engine.add(*input.blocked, *other->second.blocked, step.rectify)});
    }
    return std::optional<Value>();
  }

  Status run_step(std::size_t at, Values& values, Run& run) const {
    const Step& step = steps[at];
    bool left = false;
    auto fast = run_blocked(at, values, run, left);
    if (!fast) return fail(fast.error());
    if (*fast && !left) {
      values[step.node.outputs[0]] = std::move(**fast);
      return {};
    }
    Result<std::vector<Tensor>> results = std::vector<Tensor>();
    if (*fast)
      results->push_back(NetworkEngine::to_plain(*(*fast)->blocked));
    else
      results = step.packed ? fail(OperatorCall{step.node, 0, {}, {}}.wrong("gets an input that is no image of single precision").value()) : run_plain(step.node, values, run);
    if (!results) return fail(results.error());
    // What was joined to a step that turned out not to be an image operator is done in plain order.
    if (!step.added.empty() || step.rectify) {
      if (!step.added.empty()) {
        OnnxNode sum{"Add", "", step.node.name, {"", ""}, {""}, {}};
        OperatorCall call{sum, opset_of(graph, ""), {&results->front(), find_plain(step.added, values)}, {}};
        if (call.inputs[1] == nullptr) return fail(call.wrong("adds a value that was not made").value());
        auto summed = find_operator("", "Add")->run(call);
        if (!summed) return fail(summed.error());
        results = std::move(summed);
      }
      if (step.rectify) {
        OnnxNode relu{"Relu", "", step.node.name, {""}, {""}, {}};
        auto rectified = find_operator("", "Relu")->run(OperatorCall{relu, opset_of(graph, ""), {&results->front()}, {}});
        if (!rectified) return fail(rectified.error());
        results = std::move(rectified);
      }
    }
    for (std::size_t output = 0; output < step.node.outputs.size() && output < results->size(); ++output)
      if (!step.node.outputs[output].empty()) values[step.node.outputs[output]] = {std::make_shared<const Tensor>(std::move((*results)[output])), nullptr};
    return {};
  }

  Result<std::vector<Tensor>> run_all(std::map<std::string, Tensor> given, double multiplications_max) const {
    Values values;
    Run run{NetworkEngine(spare.exchange(nullptr)), multiplications_max};
    for (const OnnxInput& input : graph.inputs) {
      const auto found = given.find(input.name);
      const auto wrong = [&](const std::string& what) { return fail(ErrorCode::invalid_argument, "run_onnx", "The input '" + input.name.substr(0, 64) + "' " + what + "."); };
      if (found == given.end()) return wrong("is missing");
      if (found->second.type() != input.type) return wrong("is of another element type than the graph declares");
      const auto& shape = found->second.shape;
      bool fits = shape.size() == input.shape.size() && element_count(shape, tensor_elements_max) == static_cast<std::int64_t>(found->second.size());
      for (std::size_t axis = 0; fits && axis < shape.size(); ++axis) fits = input.shape[axis] < 0 || shape[axis] == input.shape[axis];
      if (!fits) return wrong("has a shape that the graph does not take");
      values[input.name] = {std::make_shared<const Tensor>(std::move(found->second)), nullptr};
    }
    const std::set<std::string> visible(wanted.begin(), wanted.end());
    for (std::size_t at = 0; at < steps.size(); ++at) {
      if (auto status = run_step(at, values, run); !status) return fail(status.error());
      std::erase_if(values, [&](const auto& entry) {
        const auto last = last_use.find(entry.first);
        return !visible.contains(entry.first) && (last == last_use.end() || last->second <= at);
      });
    }
    std::vector<Tensor> outputs;
    for (const std::string& name : wanted) {
      const Tensor* tensor = find_plain(name, values);
      if (tensor == nullptr) return fail(ErrorCode::invalid_package, "run_onnx", "The ONNX graph did not make '" + name.substr(0, 64) + "'.");
      outputs.push_back(*tensor);
    }
    values.clear();
    spare.store(run.engine.pool());
    return outputs;
  }
};

OnnxSession::OnnxSession(std::unique_ptr<State> state) : state_(std::move(state)) {}
OnnxSession::~OnnxSession() = default;
OnnxSession::OnnxSession(OnnxSession&&) noexcept = default;
OnnxSession& OnnxSession::operator=(OnnxSession&&) noexcept = default;

const std::vector<OnnxInput>& OnnxSession::inputs() const { return state_->graph.inputs; }
const std::vector<std::string>& OnnxSession::outputs() const { return state_->wanted; }

Result<OnnxSession> OnnxSession::prepare(OnnxGraph graph, std::vector<std::string> outputs) {
  try {
    if (auto status = check_supported(graph); !status) return fail(status.error());
    auto state = std::make_unique<State>();
    state->wanted = outputs.empty() ? graph.outputs : std::move(outputs);
    std::set<std::string> made;
    for (const OnnxInput& input : graph.inputs) made.insert(input.name);
    for (const auto& [name, tensor] : graph.initialisers) made.insert(name);
    for (const OnnxNode& node : graph.nodes) made.insert(node.outputs.begin(), node.outputs.end());
    for (const std::string& name : state->wanted)
      if (name.empty() || !made.contains(name)) return fail(ErrorCode::invalid_package, "prepare_onnx", "The ONNX graph makes no value named '" + name.substr(0, 64) + "'.");
    state->constants = std::move(graph.initialisers);
    state->graph = std::move(graph);
    if (auto status = state->make_ready(); !status) return fail(status.error());
    return OnnxSession(std::move(state));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "prepare_onnx", "The ONNX graph needs more memory than there is.");
  } catch (const std::exception&) {
    return fail(ErrorCode::invalid_package, "prepare_onnx", "The ONNX graph cannot be made ready to run.");
  }
}

Result<std::vector<Tensor>> OnnxSession::run(std::map<std::string, Tensor> inputs, double multiplications_max) const {
  try {
    return state_->run_all(std::move(inputs), multiplications_max);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "run_onnx", "The ONNX graph needs more memory than there is.");
  } catch (const std::exception&) {
    return fail(ErrorCode::internal, "run_onnx", "The network library refused a step of the ONNX graph.");
  }
}

}  // namespace choana::processing
