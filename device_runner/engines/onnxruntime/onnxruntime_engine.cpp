#include "engines/onnxruntime/onnxruntime_engine.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "engine/guarded.h"
#include "engines/onnxruntime/model_file.h"

namespace slm {
namespace {

size_t ElementBytes(ONNXTensorElementDataType type) {
  return type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 ? sizeof(uint16_t) : sizeof(float);
}

std::string ModelFile(const std::string& path) {
  struct stat info = {};
  const bool is_folder = stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  return is_folder ? path + "/model.onnx" : path;
}

// ONNX Runtime counts CPUs from 1 here and wants an entry for every thread but the calling one.
std::string WorkerAffinities(const std::vector<int>& cpus) {
  std::string text;
  for (size_t thread = 1; thread < cpus.size(); ++thread) {
    if (!text.empty()) text += ';';
    text += std::to_string(cpus[thread] + 1);
  }
  return text;
}

Ort::SessionOptions MakeSessionOptions(const EngineOptions& options) {
  Ort::SessionOptions session;
  session.SetIntraOpNumThreads(options.threads);
  session.SetInterOpNumThreads(1);
  session.SetExecutionMode(ORT_SEQUENTIAL);
  session.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
  // Patterns are kept per input shape, and every decode step has a new one: they would only cost memory
  // (23 MB of 246 MB at peak for a 135M model with a prefill of 512).
  session.DisableMemPattern();
  if (!options.trace.empty()) session.EnableProfiling(options.trace.c_str());
  const std::string affinities = WorkerAffinities(options.thread_cpus);
  if (!affinities.empty()) session.AddConfigEntry("session.intra_op_thread_affinities", affinities.c_str());
  for (const auto& [key, value] : options.settings) session.AddConfigEntry(key.c_str(), value.c_str());
  return session;
}

}  // namespace

Status OnnxRuntimeEngine::Open(const EngineOptions& options) {
  if (Status status = ChooseKernels(options.kernels, kernels_); !status.ok()) return status;
  if (Status status = OpenOnnxRuntime(options.library, options.executable, library_); !status.ok())
    return status;
  Ort::InitApi(library_.api);
  return {};
}

void OnnxRuntimeEngine::CreateSession(const std::string& file, const EngineOptions& options,
                                      Stopwatch& watch) {
  using enum OwnKernels::Operators;
  const Coverage covered = ReadCoverage(file);
  for (const OwnKernels::Operators operators : {kMatMulAndAttention, kMatMul, kAttention}) {
    if (kernels_.set == nullptr) break;
    if (operators != kAttention && !covered.matmul) continue;
    if (operators != kMatMul && !covered.attention) continue;
    try {
      own_kernels_ = std::make_unique<OwnKernels>(*kernels_.set, options.threads, operators);
      Ort::SessionOptions with_own = MakeSessionOptions(options);
      // Failures come as exceptions; the engine would print those that only lead to the next attempt.
      with_own.SetLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);
      own_kernels_->AddTo(with_own);
      session_.emplace(*env_, file.c_str(), with_own);
      own_kernels_->ReleaseSources();
      return;
    } catch (const Ort::Exception&) {
      // Weights that are not as the attributes say; or the model is damaged, and the last attempt says how.
      own_kernels_.reset();
    }
    watch.Restart();
  }
  session_.emplace(*env_, file.c_str(), MakeSessionOptions(options));
}

std::string OnnxRuntimeEngine::kernels() const {
  const bool own = own_kernels_ != nullptr && own_kernels_->nodes() > 0;
  return own ? own_kernels_->description() : "engine";
}

HeldMemory OnnxRuntimeEngine::held_memory() const {
  HeldMemory held;
  if (own_kernels_ != nullptr && own_kernels_->nodes() > 0) {
    held.packed_weights = own_kernels_->packed_weights();
  }
  if (states_) held.states = MemoryRanges{states_->range()};
  return held;
}

Status OnnxRuntimeEngine::Load(const EngineOptions& options, Stopwatch& watch) {
  const std::string file = ModelFile(options.model);
  Status loaded = Guarded(ErrorKind::kModelLoad, file + ": ", [&] {
    env_.emplace(ORT_LOGGING_LEVEL_ERROR, "slm-runner");
    env_->DisableTelemetryEvents();
    CreateSession(file, options, watch);
    cpu_.emplace(Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault));
    return Status();
  });
  if (!loaded.ok()) return loaded;
  Status understood = Guarded(ErrorKind::kModelInterface, "",
                              [&] { return ReadModelInterface(*session_, interface_, facts_); });
  return understood.ok() ? understood
                         : Status(ErrorKind::kModelInterface, file + ": " + understood.message());
}

Ort::Value OnnxRuntimeEngine::Int64View(std::vector<int64_t>& buffer, int64_t length) const {
  const std::array<int64_t, 2> shape{1, length};
  return Ort::Value::CreateTensor<int64_t>(*cpu_, buffer.data(), static_cast<size_t>(length), shape.data(),
                                           shape.size());
}

Status OnnxRuntimeEngine::Reserve(int64_t kv_length, int64_t max_tokens) {
  return Guarded(ErrorKind::kRunFailed, "reserving " + std::to_string(kv_length) + " positions: ", [&] {
    // Of a text before this one: what views comes before what is viewed.
    binding_.reset();
    feeds_.clear();
    masks_.clear();
    states_.reset();
    position_ = 0;
    binding_.emplace(*session_);
    ids_.resize(static_cast<size_t>(max_tokens));
    positions_.resize(static_cast<size_t>(max_tokens));
    ones_.assign(static_cast<size_t>(kv_length), 1);
    for (int64_t length = 0; length <= kv_length; ++length) masks_.push_back(Int64View(ones_, length));

    const auto vocab = static_cast<size_t>(facts_.vocab_size);
    logits_buffer_.resize(vocab * ElementBytes(interface_.logits_type));
    if (interface_.logits_type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16) converted_logits_.resize(vocab);
    const std::array<int64_t, 3> shape{1, 1, facts_.vocab_size};
    logits_value_ = Ort::Value::CreateTensor(*cpu_, logits_buffer_.data(), logits_buffer_.size(),
                                             shape.data(), shape.size(), interface_.logits_type);
    run_options_.emplace();
    // First among the outputs: ReadLogits finds it there.
    binding_->BindOutput("logits", *logits_value_);
    states_.emplace(interface_.states, kv_length, *cpu_);
    BindFeed(1);
    return Status();
  });
}

int64_t OnnxRuntimeEngine::RewindsTo(int64_t position) const {
  return states_->RewindsTo(position, position_);
}

Status OnnxRuntimeEngine::Rewind(int64_t position) {
  states_->Rewind(position, position_);
  position_ = position;
  return {};
}

Status OnnxRuntimeEngine::Checkpoint() {
  return Guarded(ErrorKind::kRunFailed, "keeping the states: ", [&] {
    states_->Checkpoint(position_);
    return Status();
  });
}

void OnnxRuntimeEngine::BindFeed(int64_t tokens) {
  auto [found, missing] = feeds_.try_emplace(tokens);
  Feed& feed = found->second;
  if (missing) {
    feed.ids = Int64View(ids_, tokens);
    if (interface_.has_position_ids) feed.positions = Int64View(positions_, tokens);
  }
  binding_->BindInput("input_ids", feed.ids);
  if (interface_.has_position_ids) binding_->BindInput("position_ids", feed.positions);
  if (LogitsAreBound(tokens)) {
    binding_->BindOutput("logits", *logits_value_);
  } else {
    // One row per token: too large to keep around, so the engine's arena lends it.
    binding_->BindOutput("logits", *cpu_);
  }
  bound_tokens_ = tokens;
}

Status OnnxRuntimeEngine::Forward(std::span<const int64_t> tokens) {
  const auto count = static_cast<int64_t>(tokens.size());
  const int64_t total = position_ + count;
  if (tokens.empty() || tokens.size() > ids_.size() || static_cast<size_t>(total) >= masks_.size()) {
    return {ErrorKind::kRunFailed, std::to_string(count) + " tokens at position " +
                                       std::to_string(position_) + " exceed what was reserved"};
  }
  return Guarded(ErrorKind::kRunFailed, "position " + std::to_string(position_) + ": ", [&] {
    std::copy(tokens.begin(), tokens.end(), ids_.begin());
    std::iota(positions_.begin(), positions_.begin() + count, position_);
    if (count != bound_tokens_) BindFeed(count);
    binding_->BindInput("attention_mask", masks_[static_cast<size_t>(total)]);
    states_->Bind(*binding_, position_, total);
    session_->Run(*run_options_, *binding_);
    states_->Advance();
    position_ = total;
    ReadLogits(count);
    return Status();
  });
}

void OnnxRuntimeEngine::ReadLogits(int64_t tokens) {
  const std::byte* row = logits_buffer_.data();
  if (!LogitsAreBound(tokens)) {
    unbound_logits_ = std::move(binding_->GetOutputValues().front());
    const int64_t rows = unbound_logits_->GetTensorTypeAndShapeInfo().GetShape().at(1);
    row = static_cast<const std::byte*>(unbound_logits_->GetTensorRawData()) +
          static_cast<size_t>(rows - 1) * logits_buffer_.size();
  }
  if (interface_.logits_type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) {
    logits_ = {reinterpret_cast<const float*>(row), static_cast<size_t>(facts_.vocab_size)};
    return;
  }
  const auto* halves = reinterpret_cast<const Ort::Float16_t*>(row);
  std::transform(halves, halves + facts_.vocab_size, converted_logits_.begin(),
                 [](Ort::Float16_t half) { return half.ToFloat(); });
  logits_ = converted_logits_;
}

}  // namespace slm
