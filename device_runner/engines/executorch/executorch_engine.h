// Decoders on ExecuTorch: programs with a method `forward(input_ids, position)` that keep their KV cache.
#pragma once

#include <executorch/extension/data_loader/mmap_data_loader.h>
#include <executorch/extension/memory_allocator/malloc_memory_allocator.h>
#include <executorch/extension/tensor/tensor.h>
#include <executorch/runtime/executor/memory_manager.h>
#include <executorch/runtime/executor/program.h>

#include <optional>
#include <vector>

#include "engine/engine.h"
#include "engines/executorch/call_trace.h"
#include "engines/executorch/own_delegate.h"
#include "engines/executorch/program_loader.h"
#include "engines/executorch/program_memory.h"
#include "engines/kernel_choice.h"

namespace slm {

class ExecutorchEngine final : public Engine {
 public:
  std::string_view name() const override { return "executorch"; }
  std::string version() const override;
  // Its C++ interface has no version apart from the library's.
  int interface_version() const override { return 0; }
  Status Open(const EngineOptions& options) override;
  std::vector<std::string> providers() const override;
  Status Load(const EngineOptions& options, Stopwatch& watch) override;
  const ModelFacts& model() const override { return facts_; }
  std::vector<std::string> kernel_sets() const override { return KernelSetNames(); }
  std::string kernels() const override;
  HeldMemory held_memory() const override;
  Status Reserve(int64_t kv_length, int64_t max_tokens) override;
  Status TouchStates() override;
  int64_t RewindsTo(int64_t position) const override;
  Status Rewind(int64_t position) override;
  Status Checkpoint() override;
  Status Forward(std::span<const int64_t> tokens) override;
  std::span<const float> logits() const override { return logits_; }

 private:
  using Error = executorch::runtime::Error;

  // Whether delegates are to run on the runner's kernels, where those cover them.
  bool TakesDelegates() const;
  // The planned buffers of the states; none where the program keeps them among its activations.
  std::vector<std::span<uint8_t>> StateBuffers() const;
  Status ReserveFor(int64_t kv_length);
  Status OpenProgram(const std::string& file);
  Status ReadInterface();
  Status ReadTensors(const executorch::runtime::MethodMeta& meta);
  Status LoadMethod();
  // The integer that a method without inputs returns; `missing` when there is no such method.
  int64_t Constant(const char* name, int64_t missing);
  Error Run(size_t tokens);
  Status ReadLogits();

  KernelChoice kernels_;
  ModelFacts facts_;
  // The method wants the position of every token, not only of the first.
  bool every_position_ = false;
  bool logits_are_planned_ = true;

  // Each is used by those below it, down to the method.
  std::optional<executorch::extension::MmapDataLoader> loader_;
  std::optional<RenamingLoader> renaming_loader_;
  std::optional<executorch::runtime::Program> program_;
  MethodAllocator method_allocator_;
  executorch::extension::MallocMemoryAllocator scratch_allocator_;
  std::optional<ProgramMemory> memory_;
  std::optional<executorch::runtime::MemoryManager> manager_;
  // Of a session that is traced.
  std::optional<CallTrace> trace_;
  // What the method calls, where that is not what is registered.
  std::vector<executorch::runtime::Kernel> operators_;
  std::optional<executorch::runtime::Method> method_;

  // Of the program's memory: what a recurrence or a convolution keeps. The rest grows with the text.
  std::span<uint8_t> fixed_states_;
  // The position of the checkpoint, -1 without one, and the fixed states at it.
  int64_t checkpoint_ = -1;
  std::vector<uint8_t> kept_;

  std::vector<int64_t> ids_;
  std::vector<int64_t> positions_;
  std::vector<std::byte> logits_buffer_;
  std::vector<float> converted_logits_;
  executorch::extension::TensorPtr ids_tensor_;
  executorch::extension::TensorPtr positions_tensor_;
  size_t fed_tokens_ = 0;
  int64_t reserved_ = 0;
  int64_t position_ = 0;
  std::span<const float> logits_;
};

}  // namespace slm
