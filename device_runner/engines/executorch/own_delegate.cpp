#include "engines/executorch/own_delegate.h"

#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/core/exec_aten/util/tensor_util.h>

#include <exception>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "engines/executorch/call_trace.h"
#include "engines/executorch/flatbuffer.h"
#include "engines/executorch/tensor_layout.h"
#include "engines/executorch/xnnpack_graph.h"
#include "rows/program.h"

namespace slm {
namespace {

using executorch::aten::SizesType;
using executorch::aten::Tensor;
using executorch::runtime::ArrayRef;
using executorch::runtime::BackendExecutionContext;
using executorch::runtime::BackendInitContext;
using executorch::runtime::BackendInterface;
using executorch::runtime::CompileSpec;
using executorch::runtime::DelegateHandle;
using executorch::runtime::Error;
using executorch::runtime::EValue;
using executorch::runtime::FreeableBuffer;
using executorch::runtime::Result;
using executorch::runtime::Span;

// One delegate: run here, or a handle of the engine's.
struct Delegate {
  std::unique_ptr<rows::Program> program;
  std::vector<float*> arguments;
  // Of a traced call.
  std::vector<int64_t> step_ns;
  DelegateHandle* engines = nullptr;
};

std::unique_ptr<rows::Program> MakeProgram(BackendInitContext& context, const FreeableBuffer& processed) {
  auto* const shared = dynamic_cast<MethodAllocator*>(context.get_runtime_allocator());
  if (shared == nullptr || shared->resources == nullptr) return nullptr;
  const auto* named_data = context.get_named_data_map();
  const NamedData read = [&](const std::string& key) -> rows::SharedBytes {
    if (named_data == nullptr) throw rows::NotCovered("no named data");
    auto data = named_data->get_data(key);
    if (!data.ok()) throw rows::NotCovered("no data named " + key);
    const auto owner = std::make_shared<const FreeableBuffer>(std::move(*data));
    return {{static_cast<const uint8_t*>(owner->data()), owner->size()}, owner};
  };
  try {
    rows::Graph graph =
        ReadXnnpackGraph({static_cast<const uint8_t*>(processed.data()), processed.size()}, read);
    auto program = std::make_unique<rows::Program>(std::move(graph), shared->resources);
    ++shared->own_delegates;
    return program;
  } catch (const rows::NotCovered&) {
    // The engine can do more than we can, and says what is wrong with what nobody can do.
  } catch (const BrokenFlatbuffer&) {
  }
  return nullptr;
}

Error Resize(Tensor& tensor, const std::vector<int64_t>& row_shape, int64_t rows) {
  std::vector<SizesType> sizes{1, static_cast<SizesType>(rows)};
  for (const int64_t size : row_shape) sizes.push_back(static_cast<SizesType>(size));
  return executorch::runtime::resize_tensor(tensor, ArrayRef<SizesType>(sizes.data(), sizes.size()));
}

// Points the program at the call's tensors; `rows` is what the inputs hold.
Error Bind(Delegate& delegate, Span<EValue*> arguments, int64_t& rows) {
  const rows::Program& program = *delegate.program;
  rows = -1;
  for (const uint32_t position : program.inputs()) {
    if (position >= arguments.size() || !arguments[position]->isTensor()) return Error::InvalidArgument;
    const Tensor& tensor = arguments[position]->toTensor();
    const int64_t held = tensor.numel() / program.width(position);
    if (!HoldsContiguousFloats(tensor) || tensor.const_data_ptr() == nullptr ||
        held * program.width(position) != tensor.numel() || (rows >= 0 && held != rows) || held < 1 ||
        held > program.maximum_rows()) {
      return Error::InvalidArgument;
    }
    rows = held;
    // Inputs are only read.
    delegate.arguments[position] = const_cast<float*>(tensor.const_data_ptr<float>());
  }
  for (const rows::Program::Output& output : program.outputs()) {
    if (output.position >= arguments.size() || !arguments[output.position]->isTensor())
      return Error::InvalidArgument;
    Tensor& tensor = arguments[output.position]->toTensor();
    if (!HoldsContiguousFloats(tensor)) return Error::InvalidArgument;
    // Fails for another rank, and for more elements than the tensor was planned with.
    if (const Error error = Resize(tensor, output.row_shape, rows); error != Error::Ok) return error;
    if (tensor.numel() != rows * program.width(output.position) || tensor.mutable_data_ptr() == nullptr)
      return Error::InvalidArgument;
    delegate.arguments[output.position] = tensor.mutable_data_ptr<float>();
  }
  return Error::Ok;
}

class OwnBackend final : public BackendInterface {
 public:
  explicit OwnBackend(BackendInterface* engine) : engine_(engine) {}

  bool is_available() const override { return engine_->is_available(); }

  Result<DelegateHandle*> init(BackendInitContext& context, FreeableBuffer* processed,
                               ArrayRef<CompileSpec> compile_specs) const override {
    auto delegate = std::make_unique<Delegate>();
    try {
      delegate->program = MakeProgram(context, *processed);
    } catch (const std::exception&) {
      // ExecuTorch is not built to let exceptions pass; what is left are requests for too much memory.
      return Error::MemoryAllocationFailed;
    }
    if (delegate->program != nullptr) {
      delegate->arguments.resize(delegate->program->inputs().size() + delegate->program->outputs().size());
      processed->Free();
    } else {
      auto handle = engine_->init(context, processed, compile_specs);
      if (!handle.ok()) return handle.error();
      delegate->engines = *handle;
    }
    return static_cast<DelegateHandle*>(delegate.release());
  }

  Error execute(BackendExecutionContext& context, DelegateHandle* handle,
                Span<EValue*> arguments) const override {
    auto& delegate = *static_cast<Delegate*>(handle);
    if (delegate.program == nullptr) return engine_->execute(context, delegate.engines, arguments);
    int64_t rows = 0;
    if (const Error error = Bind(delegate, arguments, rows); error != Error::Ok) return error;
    try {
      auto* const trace = dynamic_cast<CallTrace*>(context.event_tracer());
      delegate.program->Run(delegate.arguments, rows, trace == nullptr ? nullptr : &delegate.step_ns);
      if (trace != nullptr) {
        for (size_t step = 0; step < delegate.step_ns.size(); ++step) {
          trace->Record(static_cast<int32_t>(delegate.program->origins()[step]), CallTrace::kOwn,
                        delegate.step_ns[step]);
        }
      }
    } catch (const std::exception&) {
      return Error::MemoryAllocationFailed;
    }
    return Error::Ok;
  }

  Error set_option(executorch::runtime::BackendOptionContext& context,
                   const Span<executorch::runtime::BackendOption>& options) override {
    return engine_->set_option(context, options);
  }

  Error get_option(executorch::runtime::BackendOptionContext& context,
                   Span<executorch::runtime::BackendOption>& options) override {
    return engine_->get_option(context, options);
  }

  void destroy(DelegateHandle* handle) const override {
    auto* delegate = static_cast<Delegate*>(handle);
    if (delegate == nullptr) return;
    if (delegate->program == nullptr) engine_->destroy(delegate->engines);
    delete delegate;
  }

 private:
  BackendInterface* engine_;
};

}  // namespace

bool RegisterOwnBackend() {
  // ExecuTorch's registry is the process's, and has no way to take a backend out again.
  static const bool registered = [] {
    BackendInterface* const engine = executorch::runtime::get_backend_class(kXnnpackBackend.data());
    if (engine == nullptr) return false;
    static OwnBackend own(engine);
    return executorch::runtime::register_backend({kOwnBackend.data(), &own}) == Error::Ok;
  }();
  return registered;
}

}  // namespace slm
