// The runner's own kernels in place of the engine's, for models that stay standard ONNX files.
//
// ONNX Runtime looks for an operator among registered custom ones first, also under the name of one of
// its own. So com.microsoft::MatMulNBits and GroupQueryAttention are registered again, with the same
// inputs and attributes.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernel_set.h"

namespace slm {

// Must outlive the sessions that use it. Those may not run at the same time: they share buffers.
class OwnKernels {
 public:
  enum class Operators { kMatMulAndAttention, kMatMul, kAttention };

  // `threads` is the size of the session's thread pool, which the kernels work on.
  OwnKernels(const kernels::KernelSet& set, int threads, Operators operators);
  ~OwnKernels();
  OwnKernels(const OwnKernels&) = delete;
  OwnKernels& operator=(const OwnKernels&) = delete;

  // Throws Ort::Exception. Creating a session with these options fails when the model has a node of
  // the operator that the kernels do not cover; one operator cannot be served by two sets.
  void AddTo(Ort::SessionOptions& options);

  // Gives memory of weights that were packed back to the system; call once the session exists.
  void ReleaseSources();

  // Nodes of the models that run on these kernels.
  int64_t nodes() const;

  // Where their weights are, packed.
  std::vector<std::span<const std::byte>> packed_weights() const;

  // "own:" and the instruction set; "own-matmul:" or "own-attention:" where only that operator is.
  std::string description() const;

 private:
  struct State;
  Operators operators_;
  std::unique_ptr<State> state_;
};

}  // namespace slm
