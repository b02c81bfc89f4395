#include "engines/onnxruntime/own_attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>

#include "kernels/attention/sequence_attention.h"

namespace slm::own {
namespace {

float AttributeOr(const Ort::ConstKernelInfo& info, const char* name, float otherwise) {
  float value = 0;
  const Ort::Status status(Ort::GetApi().KernelInfoGetAttribute_float(info, name, &value));
  return status.IsOK() ? value : otherwise;
}

// No decoder has longer heads: products of them stay far from the ends of 64 bits.
constexpr int64_t kMaximumHeadDim = 1 << 16;

// The kernels take sizes from one tensor and read the others by them, so all must agree.
void RequireShape(const Ort::ConstValue& tensor, std::initializer_list<int64_t> shape, const char* name) {
  const std::span<const int64_t> sizes = ShapeOf(tensor);
  if (std::equal(sizes.begin(), sizes.end(), shape.begin(), shape.end())) return;
  ORT_CXX_API_THROW(std::string("GroupQueryAttention: ") + name + " does not fit the other inputs",
                    ORT_INVALID_ARGUMENT);
}

}  // namespace

// What one call of a node works on.
struct AttentionKernel::Step {
  int64_t tokens;
  // Positions in the cache before this step.
  int64_t past;
  int64_t head_dim;
  // Positions that the cache has room for.
  int64_t capacity;
  HeadRows queries;
  HeadRows keys;
  HeadRows values;
  const float* past_keys;
  const float* past_values;
  int64_t past_capacity;
  // Nothing where another node has written the cache.
  float* present_keys;
  float* present_values;
  const float* seen_keys;
  const float* seen_values;
  const float* cosines;
  const float* sines;
  int64_t rotated;
  float* output;
};

AttentionKernel::AttentionKernel(Shared& shared, const Ort::ConstKernelInfo& info)
    : shared_(shared),
      scale_(AttributeOr(info, "scale", 0.0F)),
      softcap_(AttributeOr(info, "softcap", 0.0F)) {
  const EngineNode node(info);
  if (const std::string_view what = AttentionNotCovered(node); !what.empty()) ThrowNotCovered(info, what);
  heads_ = node.Integer("num_heads", 0);
  kv_heads_ = node.Integer("kv_num_heads", 0);
  window_ = node.Integer("local_window_size", -1);
  rotary_ = node.Integer("do_rotary", 0) != 0;
  reads_other_cache_ = ReadsOtherCache(node);
}

OrtStatusPtr AttentionKernel::ComputeV2(OrtKernelContext* context) {
  return AsStatus([&] {
    Ort::KernelContext wrapped(context);
    Compute(wrapped);
  });
}

AttentionKernel::Step AttentionKernel::ReadStep(Ort::KernelContext& context) const {
  Step step = {};
  const Ort::ConstValue query = context.GetInput(kQuery);
  const std::span<const int64_t> shape = ShapeOf(query);
  const Ort::ConstValue past_key = context.GetInput(kPastKey);
  std::array<int64_t, 4> cache_shape;
  const std::span<const int64_t> past_shape = ShapeOf(past_key);
  if (shape.size() != 3 || past_shape.size() != cache_shape.size()) {
    ORT_CXX_API_THROW("GroupQueryAttention: inputs of other ranks than 3 and 4", ORT_INVALID_ARGUMENT);
  }
  std::copy(past_shape.begin(), past_shape.end(), cache_shape.begin());
  step.tokens = shape[1];
  step.head_dim = cache_shape[3];
  if (shape[0] != 1 || cache_shape[0] != 1 || step.head_dim < 1 || step.head_dim > kMaximumHeadDim) {
    ORT_CXX_API_THROW("GroupQueryAttention: only one sequence and heads of at most " +
                          std::to_string(kMaximumHeadDim) + " numbers",
                      ORT_NOT_IMPLEMENTED);
  }
  step.past_capacity = cache_shape[2];
  RequireShape(past_key, {1, kv_heads_, step.past_capacity, step.head_dim}, "past_key");
  const Ort::ConstValue past_value = context.GetInput(kPastValue);
  RequireShape(past_value, {1, kv_heads_, step.past_capacity, step.head_dim}, "past_value");
  const Ort::ConstValue last_position = context.GetInput(kLastPosition);
  for (const int64_t size : ShapeOf(last_position)) {
    if (size != 1) RequireShape(last_position, {1}, "seqlens_k");
  }
  const int64_t total = last_position.GetTensorData<int32_t>()[0] + int64_t{1};
  step.past = total - step.tokens;
  if (step.tokens < 1 || step.past < 0 || step.past > step.past_capacity)
    ORT_CXX_API_THROW("GroupQueryAttention: a position that the cache does not reach", ORT_INVALID_ARGUMENT);
  const float* packed = query.GetTensorData<float>();
  const int64_t query_width = heads_ * step.head_dim;
  const int64_t key_width = kv_heads_ * step.head_dim;
  const Ort::ConstValue key = context.GetInput(kKey);
  if (key != nullptr) {
    const Ort::ConstValue value = context.GetInput(kValue);
    const int64_t appended = reads_other_cache_ ? 0 : step.tokens;
    RequireShape(query, {1, step.tokens, query_width}, "query");
    RequireShape(key, {1, appended, key_width}, "key");
    RequireShape(value, {1, appended, key_width}, "value");
    step.queries = {packed, query_width};
    step.keys = {key.GetTensorData<float>(), key_width};
    step.values = {value.GetTensorData<float>(), key_width};
  } else {
    const int64_t width = query_width + 2 * key_width;
    RequireShape(query, {1, step.tokens, width}, "query");
    step.queries = {packed, width};
    step.keys = {packed + query_width, width};
    step.values = {packed + query_width + key_width, width};
  }
  step.past_keys = past_key.GetTensorData<float>();
  step.past_values = past_value.GetTensorData<float>();
  cache_shape[2] = step.capacity = std::max(step.past_capacity, total);
  if (reads_other_cache_) {
    if (total > step.past_capacity)
      ORT_CXX_API_THROW("GroupQueryAttention: a position that the cache does not reach",
                        ORT_INVALID_ARGUMENT);
    step.seen_keys = step.past_keys;
    step.seen_values = step.past_values;
  } else {
    const auto present = [&](size_t output) {
      return context.GetOutput(output, cache_shape.data(), cache_shape.size()).GetTensorMutableData<float>();
    };
    step.seen_keys = step.present_keys = present(kPresentKey);
    step.seen_values = step.present_values = present(kPresentValue);
  }
  const std::array<int64_t, 3> output_shape{1, step.tokens, heads_ * step.head_dim};
  step.output =
      context.GetOutput(kAttended, output_shape.data(), output_shape.size()).GetTensorMutableData<float>();
  if (rotary_) {
    const Ort::ConstValue cosines = context.GetInput(kCosines);
    const std::span<const int64_t> table = ShapeOf(cosines);
    if (table.size() != 2)
      ORT_CXX_API_THROW("GroupQueryAttention: tables of another rank than 2", ORT_INVALID_ARGUMENT);
    if (total > table[0]) ORT_CXX_API_THROW("GroupQueryAttention: a position beyond its tables", ORT_FAIL);
    if (table[1] > step.head_dim / 2)
      ORT_CXX_API_THROW("GroupQueryAttention: tables that are wider than a head", ORT_INVALID_ARGUMENT);
    const Ort::ConstValue sines = context.GetInput(kSines);
    RequireShape(sines, {table[0], table[1]}, "sin_cache");
    step.rotated = 2 * table[1];
    step.cosines = cosines.GetTensorData<float>();
    step.sines = sines.GetTensorData<float>();
  }
  return step;
}

void AttentionKernel::Rotate(const Step& step, int64_t position, float* head) const {
  const int64_t half = step.rotated / 2;
  const float* cosines = step.cosines + position * half;
  const float* sines = step.sines + position * half;
  for (int64_t at = 0; at < half; ++at) {
    const float first = head[at];
    const float second = head[at + half];
    head[at] = first * cosines[at] - second * sines[at];
    head[at + half] = second * cosines[at] + first * sines[at];
  }
}

void AttentionKernel::AppendToCache(const Step& step, int64_t kv_head) const {
  const auto row_bytes = static_cast<size_t>(step.head_dim) * sizeof(float);
  float* keys = step.present_keys + kv_head * step.capacity * step.head_dim;
  float* values = step.present_values + kv_head * step.capacity * step.head_dim;
  if (step.present_keys != step.past_keys) {
    const int64_t past_head = kv_head * step.past_capacity * step.head_dim;
    std::memcpy(keys, step.past_keys + past_head, static_cast<size_t>(step.past) * row_bytes);
    std::memcpy(values, step.past_values + past_head, static_cast<size_t>(step.past) * row_bytes);
  }
  for (int64_t token = 0; token < step.tokens; ++token) {
    const int64_t position = step.past + token;
    float* key = keys + position * step.head_dim;
    std::memcpy(key, step.keys.start + token * step.keys.stride + kv_head * step.head_dim, row_bytes);
    if (rotary_) Rotate(step, position, key);
    std::memcpy(values + position * step.head_dim,
                step.values.start + token * step.values.stride + kv_head * step.head_dim, row_bytes);
  }
}

void AttentionKernel::RotateQuery(const Step& step, int64_t token, int64_t head, float* query) const {
  std::memcpy(query, step.queries.start + token * step.queries.stride + head * step.head_dim,
              static_cast<size_t>(step.head_dim) * sizeof(float));
  if (rotary_) Rotate(step, step.past + token, query);
  const float scale = scale_ != 0.0F ? scale_ : 1.0F / std::sqrt(static_cast<float>(step.head_dim));
  for (int64_t at = 0; at < step.head_dim; ++at) query[at] *= scale;
}

void AttentionKernel::Compute(Ort::KernelContext& context) const {
  const Step step = ReadStep(context);
  SessionThreads threads(context, shared_.threads);
  if (reads_other_cache_) {
    // All is there.
  } else if (step.tokens == 1 || shared_.threads == 1) {
    for (int64_t head = 0; head < kv_heads_; ++head) AppendToCache(step, head);
  } else {
    // Each appends its part before any is read.
    threads.Run(kv_heads_, [&](int64_t head) { AppendToCache(step, head); });
  }
  kernels::SequenceAttention call;
  call.tokens = step.tokens;
  call.length = step.past + step.tokens;
  call.heads = heads_;
  call.kv_heads = kv_heads_;
  call.head_dim = step.head_dim;
  call.window = std::max<int64_t>(window_, 0);
  call.softcap = softcap_;
  call.keys = step.seen_keys;
  call.values = step.seen_values;
  call.stride = step.head_dim;
  call.head_stride = step.capacity * step.head_dim;
  call.output = step.output;
  const auto rotated = [&](int64_t token, int64_t head, float* query) {
    RotateQuery(step, token, head, query);
  };
  kernels::Attend(shared_.kernels, threads, call, rotated, shared_.scratch.attention);
}

}  // namespace slm::own
