// llama::update_cache and llama::custom_sdpa. ExecuTorch's own are only in a library that needs PyTorch, so
// the runner brings them, with the same signatures and meaning.
#include "engines/executorch/attention_operators.h"

#include <executorch/extension/kernel_util/make_boxed_from_unboxed_functor.h>
#include <executorch/runtime/kernel/kernel_includes.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "engines/executorch/threads.h"
#include "kernels/attention/decode_attention.h"
#include "kernels/kernel_set.h"
#include "kernels/sets.h"

namespace slm {
namespace {

using executorch::aten::ScalarType;
using executorch::aten::Tensor;
using executorch::runtime::Error;
using executorch::runtime::KernelRuntimeContext;
using kernels::kAttentionLanes;
using kernels::kAttentionRows;
using kernels::kAttentionWorkspaceRows;
using kernels::kMostAttentionRows;

// No score is this low: a bias below it hides a key.
constexpr float kHidden = -1e8F;

bool IsContiguous(const Tensor& tensor) {
  const auto order = tensor.dim_order();
  for (size_t axis = 0; axis < order.size(); ++axis) {
    if (order[axis] != axis) return false;
  }
  return true;
}

// Writes value [1, tokens, heads, head_dim] into cache [1, capacity, heads, head_dim] from start_pos on. What
// it returns stands for the cache and is not read.
Tensor& UpdateCache(KernelRuntimeContext& context, const Tensor& value, Tensor& cache, int64_t start_pos,
                    Tensor& out) {
  const bool fits = value.dim() == 4 && cache.dim() == 4 && value.size(0) == cache.size(0) &&
                    value.size(2) == cache.size(2) && value.size(3) == cache.size(3) &&
                    value.scalar_type() == cache.scalar_type() && IsContiguous(value) && IsContiguous(cache);
  ET_KERNEL_CHECK_MSG(context, fits, InvalidArgument, out, "update_cache: the states do not fit the cache");
  const int64_t tokens = value.size(1);
  const int64_t capacity = cache.size(1);
  ET_KERNEL_CHECK_MSG(context, start_pos >= 0 && start_pos + tokens <= capacity, InvalidArgument, out,
                      "update_cache: position %ld is beyond the cache of %ld",
                      static_cast<long>(start_pos + tokens), static_cast<long>(capacity));
  const auto row_bytes = static_cast<int64_t>(value.element_size()) * value.size(2) * value.size(3);
  auto* to = static_cast<std::byte*>(cache.mutable_data_ptr());
  const auto* from = static_cast<const std::byte*>(value.const_data_ptr());
  for (int64_t sequence = 0; sequence < value.size(0); ++sequence) {
    std::memcpy(to + (sequence * capacity + start_pos) * row_bytes, from + sequence * tokens * row_bytes,
                static_cast<size_t>(tokens * row_bytes));
  }
  return out;
}

// One call, for one sequence.
struct Attention {
  const kernels::KernelSet* kernels;
  const float* queries;
  const float* keys;
  const float* values;
  const float* mask;
  float* output;
  int64_t tokens;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  // Keys that exist, the call's own included.
  int64_t length;
  int64_t mask_stride;
  bool causal;
  float scale;

  int64_t group() const { return heads / kv_heads; }
  int64_t past() const { return length - tokens; }
};

// Keys [first, last] that the mask leaves to at least one of the tokens; all of them when it leaves none.
std::pair<int64_t, int64_t> VisibleKeys(const Attention& call, int64_t first_token, int64_t last_token) {
  int64_t first = call.length;
  int64_t last = -1;
  for (int64_t token = first_token; token < last_token; ++token) {
    const float* row = call.mask + token * call.mask_stride;
    const auto visible = [](float bias) { return bias > kHidden; };
    const int64_t from = std::find_if(row, row + std::min(first, call.length), visible) - row;
    first = std::min(first, from);
    int64_t to = call.length - 1;
    while (to > last && !visible(row[to])) --to;
    last = std::max(last, to);
  }
  return last < first ? std::pair<int64_t, int64_t>{0, call.length - 1} : std::pair{first, last};
}

// The kernels take head sizes in whole vectors; other sizes are filled up with zeros, which add nothing.
struct PaddedStates {
  std::vector<float> keys;
  std::vector<float> values;
};

int64_t PaddedDim(const Attention& call) {
  return (call.head_dim + kAttentionLanes - 1) / kAttentionLanes * kAttentionLanes;
}

void Pad(const Attention& call, int64_t kv_head, int64_t first, int64_t count, PaddedStates& padded) {
  const int64_t dim = PaddedDim(call);
  const auto copy = [&](const float* from, std::vector<float>& to) {
    to.assign(static_cast<size_t>(count * dim), 0.0F);
    for (int64_t key = 0; key < count; ++key) {
      const float* row = from + ((first + key) * call.kv_heads + kv_head) * call.head_dim;
      std::copy(row, row + call.head_dim, to.begin() + key * dim);
    }
  };
  copy(call.keys, padded.keys);
  copy(call.values, padded.values);
}

// Grows once per thread and is kept, so that decoding allocates nothing.
float* Scratch(int64_t size) {
  thread_local std::vector<float> scratch;
  if (scratch.size() < static_cast<size_t>(size)) scratch.resize(static_cast<size_t>(size));
  return scratch.data();
}

// Tokens [first_token, last_token) of the heads that share a KV head.
void AttendBlock(const Attention& call, int64_t kv_head, int64_t first_token, int64_t last_token) {
  const int64_t group = call.group();
  const int64_t dim = PaddedDim(call);
  const int64_t used_rows = (last_token - first_token) * group;
  const int64_t rows = (used_rows + kAttentionRows - 1) / kAttentionRows * kAttentionRows;
  float* queries = Scratch((2 * rows + kAttentionWorkspaceRows) * dim);
  const auto head_of = [&](int64_t row) {
    return ((first_token + row / group) * call.heads + kv_head * group + row % group) * call.head_dim;
  };
  std::fill(queries, queries + rows * dim, 0.0F);
  for (int64_t row = 0; row < used_rows; ++row) {
    const float* query = call.queries + head_of(row);
    std::transform(query, query + call.head_dim, queries + row * dim,
                   [&](float value) { return value * call.scale; });
  }
  auto [first_key, last_key] =
      call.mask != nullptr
          ? VisibleKeys(call, first_token, last_token)
          : std::pair<int64_t, int64_t>{0, call.causal ? call.past() + last_token - 1 : call.length - 1};

  kernels::AttentionBlock block;
  block.rows = rows;
  block.rows_per_position = group;
  block.first_position = call.causal ? call.past() + first_token : last_key - first_key;
  block.last_position = last_key - first_key;
  block.head_dim = dim;
  block.queries = queries;
  block.output = queries + rows * dim;
  block.workspace = block.output + rows * dim;
  block.keys = call.keys + (first_key * call.kv_heads + kv_head) * call.head_dim;
  block.values = call.values + (first_key * call.kv_heads + kv_head) * call.head_dim;
  block.stride = call.kv_heads * call.head_dim;
  PaddedStates padded;
  if (dim != call.head_dim) {
    Pad(call, kv_head, first_key, last_key - first_key + 1, padded);
    block.keys = padded.keys.data();
    block.values = padded.values.data();
    block.stride = dim;
  }
  if (call.mask != nullptr) {
    block.bias = call.mask + first_token * call.mask_stride + first_key;
    block.bias_rows = last_token - first_token;
    block.bias_stride = call.mask_stride;
  }
  call.kernels->attend(block);
  for (int64_t row = 0; row < used_rows; ++row) {
    const float* attended = block.output + row * dim;
    std::copy(attended, attended + call.head_dim, call.output + head_of(row));
  }
}

// Whether all keys of a range count alike, which is what a window's mask comes down to for one token.
bool IsZero(const float* bias, int64_t first, int64_t last) {
  return std::all_of(bias + first, bias + last + 1, [](float value) { return value == 0.0F; });
}

// One token whose keys need no bias: the keys are cut into parts, so that few KV heads keep many threads
// busy.
void AttendPosition(const Attention& call, int64_t first_key, int64_t last_key) {
  kernels::DecodeAttention step;
  step.heads = call.heads;
  step.kv_heads = call.kv_heads;
  step.head_dim = call.head_dim;
  step.first_key = first_key;
  step.end_key = last_key + 1;
  step.keys = call.keys;
  step.values = call.values;
  step.stride = call.kv_heads * call.head_dim;
  step.head_stride = call.head_dim;
  const int64_t per_head = kernels::PartsPerHead(step, PoolThreads().threads());
  const int64_t query_floats = call.heads * call.head_dim;
  float* queries = Scratch(query_floats + kernels::PartsFloats(step, per_head));
  std::transform(call.queries, call.queries + query_floats, queries,
                 [&](float value) { return value * call.scale; });
  step.queries = queries;
  thread_local std::vector<kernels::AttentionPart> parts;
  const int64_t tasks = call.kv_heads * per_head;
  if (parts.size() < static_cast<size_t>(tasks)) parts.resize(static_cast<size_t>(tasks));
  kernels::AttentionPart* const shared = parts.data();
  kernels::CutIntoParts(step, per_head, queries + query_floats, shared);
  PoolThreads().Run(tasks, [&](int64_t task) { call.kernels->attend_part(shared[task]); });
  kernels::MergeHeads(step, per_head, shared, call.output);
}

void Attend(const Attention& call) {
  if (call.tokens == 1 && call.head_dim % kAttentionLanes == 0) {
    const auto [first_key, last_key] =
        call.mask != nullptr ? VisibleKeys(call, 0, 1) : std::pair<int64_t, int64_t>{0, call.length - 1};
    if (call.mask == nullptr || IsZero(call.mask, first_key, last_key))
      return AttendPosition(call, first_key, last_key);
  }
  const int64_t tokens_per_block =
      std::min(call.tokens, std::max<int64_t>(kMostAttentionRows / call.group(), 1));
  const int64_t blocks = (call.tokens + tokens_per_block - 1) / tokens_per_block;
  PoolThreads().Run(call.kv_heads * blocks, [&](int64_t task) {
    // The longest blocks first, so that no thread is left with one at the end.
    const int64_t first = (blocks - 1 - task / call.kv_heads) * tokens_per_block;
    AttendBlock(call, task % call.kv_heads, first, std::min(first + tokens_per_block, call.tokens));
  });
}

const char* WhyNot(const Tensor& query, const Tensor& key, const Tensor& value, int64_t start_pos,
                   const std::optional<Tensor>& mask, bool is_causal) {
  for (const Tensor* states : {&query, &key, &value}) {
    if (states->dim() != 4 || states->size(0) != 1)
      return "only one sequence of [1, tokens, heads, head_dim]";
    if (states->scalar_type() != ScalarType::Float) return "only float32";
    if (!IsContiguous(*states)) return "only contiguous tensors";
  }
  for (int axis = 1; axis < 4; ++axis) {
    if (key.size(axis) != value.size(axis)) return "keys and values differ in shape";
  }
  if (query.size(3) != key.size(3) || query.size(2) % key.size(2) != 0)
    return "heads that do not fit each other";
  if (query.size(2) / key.size(2) > kMostAttentionRows) return "too many heads share one key";
  const int64_t length = start_pos + query.size(1);
  if (start_pos < 0 || query.size(1) < 1 || length > key.size(1)) return "positions beyond the cache";
  if (!mask) return nullptr;
  if (is_causal) return "a mask excludes is_causal";
  const bool fits = mask->dim() == 2 && mask->size(0) >= query.size(1) && mask->size(1) >= length;
  if (!fits || mask->scalar_type() != ScalarType::Float || !IsContiguous(*mask))
    return "the mask is too small or not float32";
  return nullptr;
}

// query [1, tokens, heads, head_dim], key and value [1, capacity, kv_heads, head_dim] of which start_pos +
// tokens are in use, mask [tokens, >= start_pos + tokens] added to the scores.
Tensor& Sdpa(const kernels::KernelSet& set, KernelRuntimeContext& context, const Tensor& query,
             const Tensor& key, const Tensor& value, int64_t start_pos, const std::optional<Tensor>& mask,
             double dropout, bool is_causal, std::optional<double> scale, Tensor& out) {
  const char* reason = WhyNot(query, key, value, start_pos, mask, is_causal);
  ET_KERNEL_CHECK_MSG(context, reason == nullptr, InvalidArgument, out, "custom_sdpa: %s", reason);
  ET_KERNEL_CHECK_MSG(context, dropout == 0.0, InvalidArgument, out, "custom_sdpa: no dropout");
  ET_KERNEL_CHECK_MSG(context, executorch::runtime::resize_tensor(out, query.sizes()) == Error::Ok,
                      InvalidArgument, out, "custom_sdpa: the output is too small");
  Attention call;
  call.kernels = &set;
  call.queries = query.const_data_ptr<float>();
  call.keys = key.const_data_ptr<float>();
  call.values = value.const_data_ptr<float>();
  call.mask = mask ? mask->const_data_ptr<float>() : nullptr;
  call.output = out.mutable_data_ptr<float>();
  call.tokens = query.size(1);
  call.heads = query.size(2);
  call.kv_heads = key.size(2);
  call.head_dim = query.size(3);
  call.length = start_pos + call.tokens;
  call.mask_stride = mask ? mask->size(1) : 0;
  call.causal = is_causal;
  call.scale = static_cast<float>(scale.value_or(1.0 / std::sqrt(static_cast<double>(call.head_dim))));
  Attend(call);
  return out;
}

// ExecuTorch calls operators by plain functions, so each set has one of its own.
template <const kernels::KernelSet& kSet>
Tensor& CustomSdpaOn(KernelRuntimeContext& context, const Tensor& query, const Tensor& key,
                     const Tensor& value, int64_t start_pos, const std::optional<Tensor>& mask,
                     double dropout, bool is_causal, std::optional<double> scale, Tensor& out) {
  return Sdpa(kSet, context, query, key, value, start_pos, mask, dropout, is_causal, scale, out);
}

Tensor& CustomSdpa(KernelRuntimeContext& context, const Tensor& query, const Tensor& key, const Tensor& value,
                   int64_t start_pos, const std::optional<Tensor>& mask, double dropout, bool is_causal,
                   std::optional<double> scale, Tensor& out) {
  return Sdpa(kernels::FastestKernels(), context, query, key, value, start_pos, mask, dropout, is_causal,
              scale, out);
}

constexpr char kSdpa[] = "llama::custom_sdpa.out";

template <const kernels::KernelSet& kSet>
executorch::runtime::Kernel SdpaOn() {
  return executorch::extension::make_boxed_kernel(kSdpa, EXECUTORCH_FN(CustomSdpaOn<kSet>, kSdpa));
}

executorch::runtime::Kernel SdpaOn(const kernels::KernelSet& set) {
#if defined(__x86_64__)
  if (&set == &kernels::kAvx512Vnni) return SdpaOn<kernels::kAvx512Vnni>();
  if (&set == &kernels::kAvx2) return SdpaOn<kernels::kAvx2>();
#elif defined(__aarch64__)
  if (&set == &kernels::kNeonDotProduct) return SdpaOn<kernels::kNeonDotProduct>();
#endif
  return SdpaOn<kernels::kScalar>();
}

}  // namespace

std::vector<executorch::runtime::Kernel> OperatorsOn(const kernels::KernelSet& set) {
  const auto registered = executorch::runtime::get_registered_kernels();
  std::vector<executorch::runtime::Kernel> operators(registered.begin(), registered.end());
  for (executorch::runtime::Kernel& each : operators) {
    if (std::string_view(each.name_) == kSdpa) each = SdpaOn(set);
  }
  return operators;
}

}  // namespace slm

EXECUTORCH_LIBRARY(llama, "update_cache.out", slm::UpdateCache);
EXECUTORCH_LIBRARY(llama, "custom_sdpa.out", slm::CustomSdpa);
