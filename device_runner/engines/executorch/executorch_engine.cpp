#include "engines/executorch/executorch_engine.h"

#include <executorch/runtime/backend/interface.h>

#include <algorithm>
#include <numeric>

#include "engine/guarded.h"
#include "engines/executorch/attention_operators.h"
#include "engines/executorch/engine_log.h"
#include "engines/executorch/program_file.h"
#include "engines/executorch/tensor_layout.h"
#include "engines/executorch/threads.h"

namespace slm {
namespace {

using executorch::aten::ScalarType;
using executorch::extension::MmapDataLoader;
using executorch::runtime::EValue;
using executorch::runtime::MethodMeta;
using executorch::runtime::Program;
using executorch::runtime::TensorInfo;

constexpr const char* kMethod = "forward";
constexpr const char* kLongest = "get_max_seq_len";
constexpr const char* kContext = "get_max_context_len";
constexpr const char* kLayers = "get_n_layers";
constexpr const char* kKvHeads = "get_n_kv_heads";
constexpr const char* kHeadDim = "get_head_dim";
// The number of the planned buffer that holds the states of fixed size and nothing else.
constexpr const char* kFixedStates = "get_fixed_states_buffer";

std::string TypeName(ScalarType type) {
  switch (type) {
    case ScalarType::Float:
      return "float32";
    case ScalarType::Half:
      return "float16";
    case ScalarType::BFloat16:
      return "bfloat16";
    case ScalarType::Long:
      return "int64";
    default:
      return executorch::runtime::toString(type);
  }
}

// Dimensions are upper bounds: which of them vary is not recorded where it can be read.
TensorFacts Describe(const std::string& name, const TensorInfo& info) {
  return {name, TypeName(info.scalar_type()), {info.sizes().begin(), info.sizes().end()}};
}

Status NotUnderstood(const std::string& what) { return {ErrorKind::kModelInterface, what}; }

}  // namespace

std::string ExecutorchEngine::version() const { return SLM_EXECUTORCH_VERSION; }

Status ExecutorchEngine::Open(const EngineOptions& options) {
  if (Status status = ChooseKernels(options.kernels, kernels_); !status.ok()) return status;
  KeepEngineMessages();
  if (!options.library.empty()) {
    return {ErrorKind::kUsage,
            "--engine-library: this runner is linked with ExecuTorch; the loader finds it"};
  }
  if (!options.settings.empty()) {
    return {ErrorKind::kUsage,
            "--engine-option: ExecuTorch has none, got '" + options.settings.front().first + "'"};
  }
  return SetThreads(options.threads, options.thread_cpus);
}

std::vector<std::string> ExecutorchEngine::providers() const {
  std::vector<std::string> names;
  for (size_t index = 0; index < executorch::runtime::get_num_registered_backends(); ++index) {
    const auto name = executorch::runtime::get_backend_name(index);
    if (name.ok()) names.emplace_back(name.get());
  }
  return names;
}

std::string ExecutorchEngine::kernels() const {
  if (method_allocator_.own_delegates > 0) return NameOf(*kernels_.set);
  // The attention is the runner's in any case; without a name, whose it is goes without saying.
  return kernels_.named ? std::string("own-attention:") + kernels_.set->name : "engine";
}

HeldMemory ExecutorchEngine::held_memory() const {
  HeldMemory held;
  if (method_allocator_.own_delegates > 0) held.packed_weights = method_allocator_.resources->memory.ranges();
  for (const std::span<uint8_t> buffer : StateBuffers()) {
    if (!held.states) held.states.emplace();
    held.states->push_back(std::as_bytes(buffer));
  }
  return held;
}

std::vector<std::span<uint8_t>> ExecutorchEngine::StateBuffers() const {
  // Programs of slm convert plan what grows with the text and what does not in buffers of their own; others
  // keep it among the activations.
  std::vector<std::span<uint8_t>> buffers;
  for (const int64_t number : {2, 3}) {
    const std::span<uint8_t> buffer = memory_->buffer(number);
    if (!buffer.empty()) buffers.push_back(buffer);
  }
  return buffers;
}

bool ExecutorchEngine::TakesDelegates() const {
#if defined(__x86_64__)
  // The last set is plain C++, which XNNPACK's kernels are faster than.
  const bool worthwhile = kernels_.set != kernels::AvailableKernels().back();
#else
  // XNNPACK's kernels for Arm are hand-written for its dot product and matrix instructions; ours have not
  // been measured against them on a phone.
  const bool worthwhile = false;
#endif
  return kernels_.set != nullptr && (worthwhile || kernels_.named) && RegisterOwnBackend();
}

Status ExecutorchEngine::Load(const EngineOptions& options, Stopwatch&) {
  const std::string file = ProgramFile(options.model);
  if (Status status = CheckProgramFile(file); !status.ok()) return status;
  return Guarded(ErrorKind::kModelLoad, file + ": ", [&]() -> Status {
    if (Status status = OpenProgram(file); !status.ok()) return status;
    if (Status status = ReadInterface(); !status.ok()) {
      return {status.kind(), file + ": " + status.message()};
    }
    if (!options.trace.empty()) {
      if (Status status = trace_.emplace().Open(options.trace, *program_); !status.ok()) return status;
    }
    Status loaded = LoadMethod();
    return loaded.ok() ? loaded : Status(loaded.kind(), file + ": " + loaded.message());
  });
}

Status ExecutorchEngine::OpenProgram(const std::string& file) {
  auto loader = MmapDataLoader::from(file.c_str(), MmapDataLoader::MlockConfig::NoMlock);
  if (!loader.ok()) return {ErrorKind::kModelLoad, EngineFailure(file + ": ", loader.error())};
  loader_.emplace(std::move(*loader));
  executorch::runtime::DataLoader* source = &*loader_;
  if (TakesDelegates()) {
    source = &renaming_loader_.emplace(*loader_, file, kXnnpackBackend, kOwnBackend);
    method_allocator_.resources = std::make_shared<rows::Resources>();
    method_allocator_.resources->kernels = kernels_.set;
    method_allocator_.resources->threads = &PoolThreads();
  }
  auto program = Program::load(source, Program::Verification::InternalConsistency);
  if (!program.ok()) return {ErrorKind::kModelLoad, EngineFailure(file + ": ", program.error())};
  program_.emplace(std::move(*program));
  return {};
}

int64_t ExecutorchEngine::Constant(const char* name, int64_t missing) {
  const auto meta = program_->method_meta(name);
  int64_t value = missing;
  if (meta.ok() && meta->num_inputs() == 0 && meta->num_outputs() == 1) {
    ProgramMemory memory(*meta);
    // No delegate of such a method is taken over.
    MethodAllocator allocator;
    executorch::runtime::MemoryManager manager(&allocator, &memory.allocator());
    auto method = program_->load_method(name, &manager);
    if (method.ok() && method->execute() == Error::Ok && method->get_output(0).isInt()) {
      value = method->get_output(0).toInt();
    }
  }
  // A method that is not there is no failure.
  EngineFailure("", Error::Ok);
  return value;
}

Status ExecutorchEngine::ReadInterface() {
  const auto meta = program_->method_meta(kMethod);
  if (!meta.ok()) return NotUnderstood(EngineFailure("has no method forward: ", meta.error()));
  if (Status status = ReadTensors(*meta); !status.ok()) return status;
  facts_.maximum_tokens_per_call =
      std::min(Constant(kLongest, facts_.inputs[0].shape[1]), facts_.inputs[0].shape[1]);
  facts_.context_length = Constant(kContext, Constant(kLongest, 0));
  facts_.layers = Constant(kLayers, 0);
  facts_.kv_heads = Constant(kKvHeads, 0);
  facts_.head_dim = Constant(kHeadDim, 0);
  if (facts_.maximum_tokens_per_call < 1) return NotUnderstood("takes no tokens at once");
  return {};
}

Status ExecutorchEngine::ReadTensors(const MethodMeta& meta) {
  if (meta.num_inputs() != 2 || meta.num_outputs() != 1) {
    return NotUnderstood("forward takes " + std::to_string(meta.num_inputs()) + " inputs and gives " +
                         std::to_string(meta.num_outputs()) + " outputs, not 2 and 1");
  }
  const auto ids = meta.input_tensor_meta(0);
  const auto positions = meta.input_tensor_meta(1);
  const auto logits = meta.output_tensor_meta(0);
  if (!ids.ok() || !positions.ok() || !logits.ok())
    return NotUnderstood("forward takes or gives more than tensors");
  facts_.inputs = {Describe("input_ids", *ids), Describe("input_pos", *positions)};
  facts_.outputs = {Describe("logits", *logits)};
  if (ids->scalar_type() != ScalarType::Long || ids->sizes().size() != 2 || ids->sizes()[0] != 1) {
    return NotUnderstood("forward's first input is not int64 [1, tokens]");
  }
  if (positions->scalar_type() != ScalarType::Long || positions->sizes().size() != 1) {
    return NotUnderstood("forward's second input is not int64 [1] or [tokens]");
  }
  const bool is_float =
      logits->scalar_type() == ScalarType::Float || logits->scalar_type() == ScalarType::Half;
  if (!is_float || logits->sizes().size() != 3 || logits->sizes()[0] != 1 || logits->sizes()[2] < 1) {
    return NotUnderstood("forward's output is not float32 or float16 [1, tokens, vocabulary]");
  }
  every_position_ = positions->sizes()[0] != 1;
  logits_are_planned_ = logits->is_memory_planned();
  if (!logits_are_planned_) logits_buffer_.resize(logits->nbytes());
  facts_.vocab_size = logits->sizes()[2];
  return {};
}

Status ExecutorchEngine::LoadMethod() {
  const auto meta = program_->method_meta(kMethod);
  memory_.emplace(*meta);
  if (const int64_t number = Constant(kFixedStates, 0); number != 0) {
    fixed_states_ = memory_->buffer(number);
    if (fixed_states_.empty()) {
      return {ErrorKind::kModelInterface, "get_fixed_states_buffer names buffer " + std::to_string(number) +
                                              ", which the program does not have"};
    }
  }
  manager_.emplace(&method_allocator_, &memory_->allocator(), &scratch_allocator_);
  if (kernels_.named) operators_ = OperatorsOn(*kernels_.set);
  auto method = program_->load_method(kMethod, &*manager_, trace_ ? &*trace_ : nullptr, nullptr, nullptr,
                                      {operators_.data(), operators_.size()});
  if (!method.ok()) return {ErrorKind::kModelLoad, EngineFailure("", method.error())};
  method_.emplace(std::move(*method));
  return {};
}

Status ExecutorchEngine::Reserve(int64_t kv_length, int64_t) {
  return Guarded(ErrorKind::kRunFailed, "reserving " + std::to_string(kv_length) + " positions: ", [&] {
    return ReserveFor(kv_length);
  });
}

Status ExecutorchEngine::ReserveFor(int64_t kv_length) {
  const auto longest = static_cast<size_t>(facts_.maximum_tokens_per_call);
  ids_.assign(longest, 0);
  positions_.assign(every_position_ ? longest : 1, 0);
  const auto view = [](std::vector<int64_t>& buffer, std::vector<executorch::aten::SizesType> shape) {
    return executorch::extension::from_blob(buffer.data(), std::move(shape), ScalarType::Long,
                                            executorch::aten::Device(executorch::aten::DeviceType::CPU),
                                            executorch::aten::TensorShapeDynamism::DYNAMIC_BOUND);
  };
  const auto bound = static_cast<executorch::aten::SizesType>(longest);
  ids_tensor_ = view(ids_, {1, bound});
  positions_tensor_ = view(positions_, {every_position_ ? bound : 1});
  fed_tokens_ = longest;
  if (facts_.outputs[0].type == "float16") converted_logits_.resize(static_cast<size_t>(facts_.vocab_size));
  if (!logits_are_planned_) {
    if (const Error error = method_->set_output_data_ptr(logits_buffer_.data(), logits_buffer_.size(), 0);
        error != Error::Ok) {
      return {ErrorKind::kRunFailed, EngineFailure("reserving the logits: ", error)};
    }
  }
  reserved_ = kv_length;
  position_ = 0;
  checkpoint_ = -1;
  std::fill(fixed_states_.begin(), fixed_states_.end(), uint8_t{0});
  return {};
}

Status ExecutorchEngine::TouchStates() {
  const std::vector<std::span<uint8_t>> buffers = StateBuffers();
  if (buffers.empty()) {
    return {ErrorKind::kModelInterface,
            "the program keeps its states among its activations, where the whole context cannot be reserved; "
            "programs of slm convert do not"};
  }
  for (const std::span<uint8_t> buffer : buffers) std::fill(buffer.begin(), buffer.end(), uint8_t{0});
  return {};
}

int64_t ExecutorchEngine::RewindsTo(int64_t position) const {
  if (fixed_states_.empty() || position == position_) return position;
  return checkpoint_ >= 0 && checkpoint_ <= position ? checkpoint_ : 0;
}

Status ExecutorchEngine::Rewind(int64_t position) {
  // Between two texts nothing is timed.
  if (trace_) {
    if (Status status = trace_->Write(); !status.ok()) return status;
  }
  if (position == position_) return {};
  // The text after it may become another one.
  if (checkpoint_ > position) checkpoint_ = -1;
  if (checkpoint_ == position) {
    std::copy(kept_.begin(), kept_.end(), fixed_states_.begin());
  } else {
    std::fill(fixed_states_.begin(), fixed_states_.end(), uint8_t{0});
  }
  position_ = position;
  return {};
}

Status ExecutorchEngine::Checkpoint() {
  return Guarded(ErrorKind::kRunFailed, "keeping the states: ", [&]() -> Status {
    kept_.assign(fixed_states_.begin(), fixed_states_.end());
    checkpoint_ = position_;
    return {};
  });
}

Status ExecutorchEngine::Forward(std::span<const int64_t> tokens) {
  const auto count = static_cast<int64_t>(tokens.size());
  if (tokens.empty() || position_ + count > reserved_ || count > facts_.maximum_tokens_per_call) {
    return {ErrorKind::kRunFailed, std::to_string(count) + " tokens at position " +
                                       std::to_string(position_) + " exceed what was reserved"};
  }
  for (const int64_t token : tokens) {
    // The lookup kernels trust their indices.
    if (token < 0 || token >= facts_.vocab_size) {
      return {ErrorKind::kRunFailed, "token " + std::to_string(token) + " is outside the vocabulary"};
    }
  }
  std::copy(tokens.begin(), tokens.end(), ids_.begin());
  std::iota(
      positions_.begin(),
      every_position_ ? positions_.begin() + static_cast<int64_t>(tokens.size()) : positions_.begin() + 1,
      position_);
  return Guarded(ErrorKind::kRunFailed, "", [&]() -> Status {
    const Stopwatch watch;
    if (const Error error = Run(tokens.size()); error != Error::Ok) {
      return {ErrorKind::kRunFailed, EngineFailure("position " + std::to_string(position_) + ": ", error)};
    }
    if (trace_) trace_->EndCall(watch.ns());
    position_ += static_cast<int64_t>(tokens.size());
    return ReadLogits();
  });
}

ExecutorchEngine::Error ExecutorchEngine::Run(size_t tokens) {
  if (tokens != fed_tokens_) {
    const auto count = static_cast<executorch::aten::SizesType>(tokens);
    if (Error error = executorch::extension::resize_tensor_ptr(ids_tensor_, {1, count}); error != Error::Ok)
      return error;
    if (every_position_) {
      if (Error error = executorch::extension::resize_tensor_ptr(positions_tensor_, {count});
          error != Error::Ok)
        return error;
    }
    fed_tokens_ = tokens;
  }
  if (Error error = method_->set_input(EValue(*ids_tensor_), 0); error != Error::Ok) return error;
  if (Error error = method_->set_input(EValue(*positions_tensor_), 1); error != Error::Ok) return error;
  return method_->execute();
}

Status ExecutorchEngine::ReadLogits() {
  const auto& tensor = method_->get_output(0).toTensor();
  const auto vocab = static_cast<size_t>(facts_.vocab_size);
  const bool fits = tensor.dim() == 3 && static_cast<size_t>(tensor.size(2)) == vocab && tensor.size(1) > 0;
  if (!fits || !IsContiguous(tensor)) {
    return {ErrorKind::kRunFailed, "forward gave logits of another shape than it declares"};
  }
  const auto rows = static_cast<size_t>(tensor.size(1));
  if (tensor.scalar_type() == ScalarType::Float) {
    logits_ = {tensor.const_data_ptr<float>() + (rows - 1) * vocab, vocab};
    return {};
  }
  const auto* halves = tensor.const_data_ptr<executorch::aten::Half>() + (rows - 1) * vocab;
  std::transform(halves, halves + vocab, converted_logits_.begin(),
                 [](auto half) { return static_cast<float>(half); });
  logits_ = converted_logits_;
  return {};
}

}  // namespace slm
