#include "processing/onnx/network_engine.h"

#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <dnnl.hpp>
#include <map>
#include <new>
#include <tuple>
#include <unordered_map>

namespace choana::processing {

using dnnl::memory;

namespace {

/// Buffers of values that are no longer needed, for the next ones: fresh pages from the system cost more than a pooling.
class BufferPool {
 public:
  BufferPool() = default;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool() {
    for (const auto& [bytes, buffer] : free_) std::free(buffer);
  }
  void* take(std::size_t bytes) {
    bytes = rounded(bytes);
    if (const auto found = free_.find(bytes); found != free_.end()) {
      void* buffer = found->second;
      free_.erase(found);
      return buffer;
    }
    void* buffer = std::aligned_alloc(64, bytes);
    if (buffer == nullptr) throw std::bad_alloc();
    return buffer;
  }
  void give_back(void* buffer, std::size_t bytes) { free_.emplace(rounded(bytes), buffer); }

 private:
  static std::size_t rounded(std::size_t bytes) { return (std::max<std::size_t>(bytes, 64) + 4095) / 4096 * 4096; }
  std::multimap<std::size_t, void*> free_;
};

/// A buffer that goes back to its pool with its last user.
std::shared_ptr<void> borrow(const std::shared_ptr<BufferPool>& pool, std::size_t bytes) {
  return {pool->take(bytes), [pool, bytes](void* buffer) { pool->give_back(buffer, bytes); }};
}

}  // namespace

class BlockedTensor {
 public:
  std::vector<std::int64_t> shape;
  memory data;
  std::shared_ptr<void> buffer;  // that `data` lies in
};

namespace {

memory::format_tag plain_tag(std::size_t rank) {
  switch (rank) {
    case 1: return memory::format_tag::a;
    case 2: return memory::format_tag::ab;
    case 3: return memory::format_tag::abc;
    case 4: return memory::format_tag::abcd;
    case 5: return memory::format_tag::abcde;
    default: return memory::format_tag::abcdef;
  }
}

memory::desc plain(const std::vector<std::int64_t>& shape) { return {shape, memory::data_type::f32, plain_tag(shape.size())}; }
memory::desc any(const std::vector<std::int64_t>& shape) { return {shape, memory::data_type::f32, memory::format_tag::any}; }

void reorder(const memory& from, memory& to) {
  dnnl::stream stream(from.get_engine());
  dnnl::reorder(from, to).execute(stream, const_cast<memory&>(from), to);
  stream.wait();
}

memory in_layout(const memory& data, const memory::desc& wanted) {
  if (data.get_desc() == wanted) return data;
  memory moved(wanted, data.get_engine());
  reorder(data, moved);
  return moved;
}

std::vector<std::int64_t> with_channels(const std::vector<std::int64_t>& shape, std::int64_t channels, const Window& window) {
  std::vector<std::int64_t> result{shape[0], channels};
  result.insert(result.end(), window.output.begin(), window.output.end());
  return result;
}

// oneDNN derives the output from the pads; with ceil_mode the last window reaches beyond the trailing pad.
std::vector<std::int64_t> trailing_pads(const std::vector<std::int64_t>& shape, const Window& window) {
  std::vector<std::int64_t> pads;
  for (std::size_t axis = 0; axis < window.kernel.size(); ++axis)
    pads.push_back((window.output[axis] - 1) * window.strides[axis] + (window.kernel[axis] - 1) * window.dilations[axis] + 1 - shape[axis + 2] - window.pads_before[axis]);
  return pads;
}

std::vector<std::int64_t> dilations_from_zero(const Window& window) {
  std::vector<std::int64_t> dilations;
  for (const std::int64_t n : window.dilations) dilations.push_back(n - 1);
  return dilations;
}

struct ConvolutionPlan {
  std::vector<std::int64_t> shape;
  bool sums = false;
  dnnl::convolution_forward::primitive_desc description;
  dnnl::convolution_forward primitive;
  memory weights, bias;
};
struct PoolPlan {
  memory::desc input;
  dnnl::pooling_forward::primitive_desc description;
  dnnl::pooling_forward primitive;
};

}  // namespace

struct NetworkEngine::State {
  dnnl::engine cpu{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{cpu};
  std::shared_ptr<BufferPool> buffers = std::make_shared<BufferPool>();

  [[nodiscard]] BlockedPointer make(std::vector<std::int64_t> shape, const memory::desc& layout) const {
    auto tensor = std::make_shared<BlockedTensor>();
    tensor->shape = std::move(shape);
    tensor->buffer = borrow(buffers, layout.get_size());
    tensor->data = memory(layout, cpu, tensor->buffer.get());
    return tensor;
  }

  std::unordered_map<std::size_t, ConvolutionPlan> convolutions;
  std::unordered_map<std::size_t, PoolPlan> pools;
};

NetworkEngine::NetworkEngine() : state_(std::make_unique<State>()) {}
NetworkEngine::~NetworkEngine() = default;

BlockedPointer NetworkEngine::from_plain(const Tensor& tensor) {
  auto result = state_->make(tensor.shape, plain(tensor.shape));
  const auto& values = tensor.values<float>();
  std::copy(values.begin(), values.end(), static_cast<float*>(result->data.get_data_handle()));
  return result;
}

Tensor NetworkEngine::to_plain(const BlockedTensor& tensor) {
  std::vector<float> values(static_cast<std::size_t>(product(tensor.shape, 0, tensor.shape.size())));
  memory target(plain(tensor.shape), tensor.data.get_engine(), values.data());
  reorder(tensor.data, target);
  return {tensor.shape, std::move(values)};
}

const std::vector<std::int64_t>& NetworkEngine::shape_of(const BlockedTensor& tensor) { return tensor.shape; }

BlockedPointer NetworkEngine::convolve(std::size_t node, const BlockedPointer& input, const Convolution& how, const Window& window, const BlockedPointer& added, bool overwrite) {
  // oneDNN's threads spin against ours: one thread a session, whatever the machine has.
  omp_set_num_threads(1);
  const std::int64_t filters = how.weights->shape[0];
  auto found = state_->convolutions.find(node);
  if (found == state_->convolutions.end() || found->second.shape != input->shape || found->second.sums != (added != nullptr)) {
    std::vector<std::int64_t> weights_shape = how.weights->shape;
    if (how.groups > 1) {
      weights_shape[0] = filters / how.groups;
      weights_shape.insert(weights_shape.begin(), how.groups);
    }
    dnnl::post_ops after;
    if (added) after.append_sum(1.0F);
    if (how.rectify) after.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(after);
    const auto output_shape = with_channels(input->shape, filters, window);
    const auto description = dnnl::convolution_forward::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, any(input->shape), any(weights_shape), plain({filters}),
                                                             any(output_shape), window.strides, dilations_from_zero(window), window.pads_before, trailing_pads(input->shape, window));
    ConvolutionPlan plan;
    plan.shape = input->shape;
    plan.sums = added != nullptr;
    plan.description = dnnl::convolution_forward::primitive_desc(description, attributes, state_->cpu);
    plan.primitive = dnnl::convolution_forward(plan.description);
    const memory weights(plain(weights_shape), state_->cpu, const_cast<float*>(how.weights->values<float>().data()));
    plan.weights = memory(plan.description.weights_desc(), state_->cpu);
    reorder(weights, plan.weights);
    plan.bias = memory(plain({filters}), state_->cpu);
    auto* bias = static_cast<float*>(plan.bias.get_data_handle());
    for (std::int64_t f = 0; f < filters; ++f) bias[f] = how.bias != nullptr ? how.bias->values<float>()[static_cast<std::size_t>(f)] : 0.0F;
    found = state_->convolutions.insert_or_assign(node, std::move(plan)).first;
  }
  const ConvolutionPlan& plan = found->second;
  const memory source = in_layout(input->data, plan.description.src_desc());
  BlockedPointer result;
  if (added && overwrite && added->data.get_desc() == plan.description.dst_desc()) {
    result = std::make_shared<BlockedTensor>(*added);
  } else {
    result = state_->make(with_channels(input->shape, filters, window), plan.description.dst_desc());
    if (added) reorder(added->data, result->data);
  }
  plan.primitive.execute(state_->stream, {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, plan.weights}, {DNNL_ARG_BIAS, plan.bias}, {DNNL_ARG_DST, result->data}});
  state_->stream.wait();
  return result;
}

BlockedPointer NetworkEngine::pool(std::size_t node, const BlockedPointer& input, Pool kind, const Window& window) {
  omp_set_num_threads(1);
  auto found = state_->pools.find(node);
  if (found == state_->pools.end() || found->second.input != input->data.get_desc()) {
    const auto algorithm = kind == Pool::largest ? dnnl::algorithm::pooling_max : kind == Pool::mean ? dnnl::algorithm::pooling_avg_exclude_padding : dnnl::algorithm::pooling_avg_include_padding;
    const auto description = dnnl::pooling_forward::desc(dnnl::prop_kind::forward_inference, algorithm, input->data.get_desc(), any(with_channels(input->shape, input->shape[1], window)),
                                                         window.strides, window.kernel, window.pads_before, trailing_pads(input->shape, window));
    PoolPlan plan;
    plan.input = input->data.get_desc();
    plan.description = dnnl::pooling_forward::primitive_desc(description, state_->cpu);
    plan.primitive = dnnl::pooling_forward(plan.description);
    found = state_->pools.insert_or_assign(node, std::move(plan)).first;
  }
  auto result = state_->make(with_channels(input->shape, input->shape[1], window), found->second.description.dst_desc());
  found->second.primitive.execute(state_->stream, {{DNNL_ARG_SRC, input->data}, {DNNL_ARG_DST, result->data}});
  state_->stream.wait();
  return result;
}

BlockedPointer NetworkEngine::rectify(std::size_t, const BlockedPointer& input) {
  omp_set_num_threads(1);
  const auto description = dnnl::eltwise_forward::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::eltwise_relu, input->data.get_desc(), 0.0F);
  const dnnl::eltwise_forward::primitive_desc plan(description, state_->cpu);
  auto result = state_->make(input->shape, plan.dst_desc());
  dnnl::eltwise_forward(plan).execute(state_->stream, {{DNNL_ARG_SRC, input->data}, {DNNL_ARG_DST, result->data}});
  state_->stream.wait();
  return result;
}

BlockedPointer NetworkEngine::add(std::size_t, const BlockedPointer& a, const BlockedPointer& b, bool rectify) {
  omp_set_num_threads(1);
  const memory second = in_layout(b->data, a->data.get_desc());
  dnnl::primitive_attr attributes;
  if (rectify) {
    dnnl::post_ops after;
    after.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
    attributes.set_post_ops(after);
  }
  const auto description = dnnl::binary::desc(dnnl::algorithm::binary_add, a->data.get_desc(), a->data.get_desc(), a->data.get_desc());
  const dnnl::binary::primitive_desc plan(description, attributes, state_->cpu);
  auto result = state_->make(a->shape, plan.dst_desc());
  dnnl::binary(plan).execute(state_->stream, {{DNNL_ARG_SRC_0, a->data}, {DNNL_ARG_SRC_1, second}, {DNNL_ARG_DST, result->data}});
  state_->stream.wait();
  return result;
}

}  // namespace choana::processing
