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

#include "engines/executorch/tensor_layout.h"
#include "engines/executorch/threads.h"
#include "kernels/attention/sequence_attention.h"
#include "kernels/kernel_set.h"
#include "kernels/sets.h"

namespace slm {
namespace {

using executorch::aten::Tensor;
using executorch::runtime::Error;
using executorch::runtime::KernelRuntimeContext;
using kernels::kMaximumAttentionRows;

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
  ET_KERNEL_CHECK_MSG(context, start_pos >= 0 && start_pos <= capacity - tokens, InvalidArgument, out,
                      "update_cache: %ld tokens at position %ld are beyond the cache of %ld",
                      static_cast<long>(tokens), static_cast<long>(start_pos), static_cast<long>(capacity));
  const auto row_bytes = static_cast<int64_t>(value.element_size()) * value.size(2) * value.size(3);
  auto* to = static_cast<std::byte*>(cache.mutable_data_ptr());
  const auto* from = static_cast<const std::byte*>(value.const_data_ptr());
  for (int64_t sequence = 0; sequence < value.size(0); ++sequence) {
    std::memcpy(to + (sequence * capacity + start_pos) * row_bytes, from + sequence * tokens * row_bytes,
                static_cast<size_t>(tokens * row_bytes));
  }
  return out;
}

const char* WhyNot(const Tensor& query, const Tensor& key, const Tensor& value, int64_t start_pos,
                   const std::optional<Tensor>& mask, bool is_causal, const Tensor& out) {
  for (const Tensor* states : {&query, &key, &value}) {
    if (states->dim() != 4 || states->size(0) != 1)
      return "only one sequence of [1, tokens, heads, head_dim]";
    if (!HoldsContiguousFloats(*states)) return "only contiguous float32";
  }
  if (!HoldsContiguousFloats(out)) return "only an output of contiguous float32";
  for (int axis = 1; axis < 4; ++axis) {
    if (key.size(axis) != value.size(axis)) return "keys and values differ in shape";
  }
  if (key.size(2) < 1 || query.size(3) != key.size(3) || query.size(2) % key.size(2) != 0)
    return "heads that do not fit each other";
  if (query.size(2) / key.size(2) > kMaximumAttentionRows) return "too many heads share one key";
  const int64_t tokens = query.size(1);
  if (start_pos < 0 || tokens < 1 || start_pos > key.size(1) - tokens) return "positions beyond the cache";
  if (!mask) return nullptr;
  if (is_causal) return "a mask excludes is_causal";
  const bool fits = mask->dim() == 2 && mask->size(0) >= tokens && mask->size(1) >= start_pos + tokens;
  if (!fits || !HoldsContiguousFloats(*mask)) return "the mask is too small or not float32";
  return nullptr;
}

// query [1, tokens, heads, head_dim], key and value [1, capacity, kv_heads, head_dim] of which start_pos +
// tokens are in use, mask [tokens, >= start_pos + tokens] added to the scores.
Tensor& Sdpa(const kernels::KernelSet& set, KernelRuntimeContext& context, const Tensor& query,
             const Tensor& key, const Tensor& value, int64_t start_pos, const std::optional<Tensor>& mask,
             double dropout, bool is_causal, std::optional<double> scale, Tensor& out) {
  const char* reason = WhyNot(query, key, value, start_pos, mask, is_causal, out);
  ET_KERNEL_CHECK_MSG(context, reason == nullptr, InvalidArgument, out, "custom_sdpa: %s", reason);
  ET_KERNEL_CHECK_MSG(context, dropout == 0.0, InvalidArgument, out, "custom_sdpa: no dropout");
  ET_KERNEL_CHECK_MSG(context, executorch::runtime::resize_tensor(out, query.sizes()) == Error::Ok,
                      InvalidArgument, out, "custom_sdpa: the output is too small");
  kernels::SequenceAttention call;
  call.tokens = query.size(1);
  call.length = start_pos + call.tokens;
  call.heads = query.size(2);
  call.kv_heads = key.size(2);
  call.head_dim = query.size(3);
  call.causal = is_causal;
  call.keys = key.const_data_ptr<float>();
  call.values = value.const_data_ptr<float>();
  call.stride = call.kv_heads * call.head_dim;
  call.head_stride = call.head_dim;
  call.bias = mask ? mask->const_data_ptr<float>() : nullptr;
  call.bias_stride = mask ? mask->size(1) : 0;
  call.output = out.mutable_data_ptr<float>();
  const auto factor = static_cast<float>(scale.value_or(1.0 / std::sqrt(static_cast<double>(call.head_dim))));
  const float* queries = query.const_data_ptr<float>();
  const auto scaled = [&](int64_t token, int64_t head, float* to) {
    const float* from = queries + (token * call.heads + head) * call.head_dim;
    std::transform(from, from + call.head_dim, to, [factor](float each) { return each * factor; });
  };
  // Operators are plain functions: nothing of the session's lives from one call to the next.
  thread_local kernels::AttentionScratch scratch;
  kernels::Attend(set, PoolThreads(), call, scaled, scratch);
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
