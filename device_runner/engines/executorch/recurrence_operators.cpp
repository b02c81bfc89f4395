// llama::gated_delta_rule. ExecuTorch's own is only in a library that needs PyTorch, so the runner brings it,
// with the same signature and meaning.
#include <executorch/runtime/kernel/kernel_includes.h>
#include <executorch/runtime/kernel/operator_registry.h>

#include <algorithm>
#include <array>

#include "engines/executorch/tensor_layout.h"
#include "engines/executorch/threads.h"
#include "kernels/recurrence/recurrence.h"

namespace slm {
namespace {

using executorch::aten::Tensor;
using executorch::runtime::Error;
using executorch::runtime::EValue;
using executorch::runtime::KernelRuntimeContext;
using executorch::runtime::Span;

// Query, key, value, decay, beta, state before, output, state after, and a list of the last two.
constexpr size_t kArguments = 9;

bool HasShape(const Tensor& tensor, std::initializer_list<int64_t> sizes) {
  if (tensor.dim() != static_cast<ssize_t>(sizes.size())) return false;
  return std::equal(sizes.begin(), sizes.end(), tensor.sizes().begin());
}

const char* WhyNot(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& decay,
                   const Tensor& beta, const Tensor& before, const Tensor& output, const Tensor& after) {
  for (const Tensor* each : {&query, &key, &value, &decay, &beta, &before, &output, &after}) {
    if (!HoldsContiguousFloats(*each)) return "only contiguous float32";
  }
  if (query.dim() != 4 || key.dim() != 4 || value.dim() != 4 || key.size(0) != 1)
    return "only one sequence of [1, heads, tokens, head_dim]";
  const int64_t heads = key.size(1);
  const int64_t tokens = key.size(2);
  const int64_t columns = key.size(3);
  const int64_t width = value.size(3);
  if (heads < 1 || query.size(1) % heads != 0 || !HasShape(query, {1, query.size(1), tokens, columns}) ||
      !HasShape(value, {1, heads, tokens, width}))
    return "queries, keys and values that do not fit each other";
  if (!HasShape(decay, {1, heads, tokens}) && !HasShape(decay, {1, heads, tokens, columns}))
    return "decays that do not fit the keys";
  if (!HasShape(beta, {1, heads, tokens})) return "betas that do not fit the keys";
  if (!HasShape(before, {1, heads, columns, width}) || !HasShape(after, {1, heads, columns, width}))
    return "a state that does not fit the keys and values";
  return nullptr;
}

void GatedDeltaRule(KernelRuntimeContext& context, Span<EValue*> stack) {
  ET_KERNEL_CHECK_MSG(context, stack.size() == kArguments, InvalidArgument, ,
                      "gated_delta_rule: %zu arguments", stack.size());
  const Tensor& query = stack[0]->toTensor();
  const Tensor& key = stack[1]->toTensor();
  const Tensor& value = stack[2]->toTensor();
  const Tensor& decay = stack[3]->toTensor();
  const Tensor& beta = stack[4]->toTensor();
  const Tensor& before = stack[5]->toTensor();
  Tensor& output = stack[6]->toTensor();
  Tensor& after = stack[7]->toTensor();
  const char* reason = WhyNot(query, key, value, decay, beta, before, output, after);
  ET_KERNEL_CHECK_MSG(context, reason == nullptr, InvalidArgument, , "gated_delta_rule: %s", reason);
  std::array<executorch::aten::SizesType, 4> sizes;
  std::copy_n(query.sizes().begin(), 3, sizes.begin());
  sizes[3] = value.sizes()[3];
  const Error resized = executorch::runtime::resize_tensor(output, {sizes.data(), sizes.size()});
  ET_KERNEL_CHECK_MSG(context, resized == Error::Ok, InvalidArgument, ,
                      "gated_delta_rule: the output is too small");
  if (after.const_data_ptr() != before.const_data_ptr()) {
    std::copy_n(before.const_data_ptr<float>(), before.numel(), after.mutable_data_ptr<float>());
  }
  kernels::Recurrence call;
  call.tokens = key.size(2);
  call.heads = key.size(1);
  call.queries_per_head = query.size(1) / key.size(1);
  call.columns = key.size(3);
  call.width = value.size(3);
  call.row_decays = decay.dim() == 4;
  call.queries = query.const_data_ptr<float>();
  call.keys = key.const_data_ptr<float>();
  call.values = value.const_data_ptr<float>();
  call.decays = decay.const_data_ptr<float>();
  call.betas = beta.const_data_ptr<float>();
  call.states = after.mutable_data_ptr<float>();
  call.output = output.mutable_data_ptr<float>();
  kernels::Recur(call, PoolThreads());
}

const auto registered = executorch::runtime::register_kernel(
    executorch::runtime::Kernel("llama::gated_delta_rule.out", GatedDeltaRule));

}  // namespace
}  // namespace slm
