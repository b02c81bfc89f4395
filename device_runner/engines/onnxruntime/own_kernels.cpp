#include "engines/onnxruntime/own_kernels.h"

#include "engines/onnxruntime/own_attention.h"
#include "engines/onnxruntime/own_matmul.h"

namespace slm {

struct OwnKernels::State {
  State(const kernels::KernelSet& set, int threads)
      : shared{.kernels = set, .threads = threads, .memory = {}, .sources = {}, .scratch = {}},
        matmul(shared),
        attention(shared) {}

  own::Shared shared;
  own::MatMulOperator matmul;
  own::AttentionOperator attention;
  Ort::CustomOpDomain domain{"com.microsoft"};
};

OwnKernels::OwnKernels(const kernels::KernelSet& set, int threads, Operators operators)
    : operators_(operators), state_(std::make_unique<State>(set, threads)) {
  if (operators != Operators::kAttention) state_->domain.Add(&state_->matmul);
  if (operators != Operators::kMatMul) state_->domain.Add(&state_->attention);
}

OwnKernels::~OwnKernels() = default;

void OwnKernels::AddTo(Ort::SessionOptions& options) { options.Add(state_->domain); }

void OwnKernels::ReleaseSources() { state_->shared.sources.Release(); }

int64_t OwnKernels::nodes() const { return state_->shared.nodes; }

std::vector<std::span<const std::byte>> OwnKernels::packed_weights() const {
  return state_->shared.memory.ranges();
}

std::string OwnKernels::description() const {
  const std::string which = operators_ == Operators::kMatMul      ? "own-matmul:"
                            : operators_ == Operators::kAttention ? "own-attention:"
                                                                  : "own:";
  return which + state_->shared.kernels.name;
}

}  // namespace slm
