// Decoders on ONNX Runtime, with states that are allocated once; a KV cache is never copied.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/engine.h"
#include "engines/kernel_choice.h"
#include "engines/onnxruntime/library.h"
#include "engines/onnxruntime/model_interface.h"
#include "engines/onnxruntime/own_kernels.h"

namespace slm {

class OnnxRuntimeEngine final : public Engine {
 public:
  std::string_view name() const override { return "onnxruntime"; }
  std::string version() const override { return library_.version; }
  int interface_version() const override { return ORT_API_VERSION; }
  Status Open(const EngineOptions& options) override;
  std::vector<std::string> providers() const override { return library_.providers; }
  Status Load(const EngineOptions& options, Stopwatch& watch) override;
  const ModelFacts& model() const override { return facts_; }
  std::vector<std::string> kernel_sets() const override { return KernelSetNames(); }
  std::string kernels() const override;
  HeldMemory held_memory() const override;
  Status Reserve(int64_t kv_length, int64_t max_tokens) override;
  int64_t RewindsTo(int64_t position) const override;
  Status Rewind(int64_t position) override;
  Status Checkpoint() override;
  Status Forward(std::span<const int64_t> tokens) override;
  std::span<const float> logits() const override { return logits_; }

 private:
  // Views of the token and position buffers for one number of tokens per call.
  struct Feed {
    Ort::Value ids{nullptr};
    Ort::Value positions{nullptr};
  };

  void CreateSession(const std::string& file, const EngineOptions& options, Stopwatch& watch);
  void BindFeed(int64_t tokens);
  void ReadLogits(int64_t tokens);
  bool LogitsAreBound(int64_t tokens) const { return interface_.last_logits_only || tokens == 1; }
  Ort::Value Int64View(std::vector<int64_t>& buffer, int64_t length) const;

  KernelChoice kernels_;
  OnnxRuntimeLibrary library_;
  ModelFacts facts_;
  ModelInterface interface_;
  std::optional<Ort::Env> env_;
  // Before the session, which uses it.
  std::unique_ptr<OwnKernels> own_kernels_;
  std::optional<Ort::Session> session_;
  std::optional<Ort::MemoryInfo> cpu_;
  // Optional like all that the library makes: until it is open, even an empty Ort object cannot be destroyed.
  std::optional<Ort::RunOptions> run_options_;

  // Buffers come before the values that view them, values before the binding that holds them.
  std::vector<int64_t> ids_;
  std::vector<int64_t> positions_;
  std::vector<int64_t> ones_;
  std::vector<std::byte> logits_buffer_;
  std::vector<float> converted_logits_;
  std::optional<StateMemory> states_;
  // masks_[n] is the attention mask over n positions; they exist before the first step is timed.
  std::vector<Ort::Value> masks_;
  std::map<int64_t, Feed> feeds_;
  std::optional<Ort::Value> logits_value_;
  std::optional<Ort::Value> unbound_logits_;
  std::optional<Ort::IoBinding> binding_;

  int64_t position_ = 0;
  int64_t bound_tokens_ = 0;
  std::span<const float> logits_;
};

}  // namespace slm
