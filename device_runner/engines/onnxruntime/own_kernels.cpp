#include "engines/onnxruntime/own_kernels.h"

#include <algorithm>
#include <new>
#include <vector>

#include "engines/onnxruntime/weight_memory.h"
#include "kernels/kernel_set.h"

namespace slm {
namespace {

using kernels::KernelSet;
using kernels::OperatorWeights;
using kernels::Product;
using kernels::WeightLayout;

// Below this much weight per task, handing the task to another thread costs more than doing it.
constexpr int64_t kLeastTaskBytes = 32 << 10;
// More tasks than threads, so that fast cores take over from slow ones.
constexpr int64_t kTasksPerThread = 4;
constexpr int64_t kInt8AccuracyLevel = 4;

enum Input : size_t { kActivations, kValues, kScales, kZeroPoints, kGroupIndex, kBias, kInputs };

const KernelSet& Kernels() { return *kernels::AvailableKernels().front(); }

int64_t AttributeOr(const Ort::ConstKernelInfo& info, const char* name, int64_t otherwise) {
  int64_t value = 0;
  const Ort::Status status(Ort::GetApi().KernelInfoGetAttribute_int64(info, name, &value));
  return status.IsOK() ? value : otherwise;
}

// Runs body(task) for every task on the session's threads, or here when there is one task.
template <typename Body>
void InParallel(Ort::KernelContext& context, int64_t tasks, Body&& body) {
  if (tasks <= 1) return body(0);
  context.ParallelFor([](void* data, size_t task) { (*static_cast<Body*>(data))(static_cast<int64_t>(task)); },
                      static_cast<size_t>(tasks), 0, &body);
}

template <typename Element>
Element* Resized(std::vector<Element>& buffer, int64_t size) {
  if (buffer.size() < static_cast<size_t>(size)) buffer.resize(static_cast<size_t>(size));
  return buffer.data();
}

// Activations in the form the kernels read; one for all nodes, as they run one after the other.
struct Scratch {
  std::vector<int8_t> bytes;
  std::vector<float> floats;
  std::vector<float> scales;
  std::vector<float> sums;
  std::vector<int32_t> starts;
};

struct Shared {
  int64_t threads;
  int64_t nodes = 0;
  WeightMemory memory;
  MappedSources sources;
  Scratch scratch;
};

// One node of the model.
class MatMulKernel {
 public:
  MatMulKernel(Shared& shared, const Ort::ConstKernelInfo& info) : shared_(shared) {
    layout_ = {info.GetAttribute<int64_t>("N"), info.GetAttribute<int64_t>("K"),
               static_cast<int>(AttributeOr(info, "bits", 4)), info.GetAttribute<int64_t>("block_size"), false};
    quantize_ = AttributeOr(info, "accuracy_level", 0) == kInt8AccuracyLevel;
    const bool plain = AttributeOr(info, "weight_prepacked", 0) == 0 && !IsGiven(info, kGroupIndex);
    if (!plain || !kernels::IsSupported(layout_)) {
      ORT_CXX_API_THROW(info.GetNodeName() + ": the runner's kernels do not cover this node", ORT_NOT_IMPLEMENTED);
    }
    PackWeights(info);
    if (IsGiven(info, kBias)) {
      const float* bias = Constant(info, kBias).GetTensorData<float>();
      bias_.assign(bias, bias + layout_.rows);
    }
    ++shared_.nodes;
  }

  OrtStatusPtr ComputeV2(OrtKernelContext* raw_context) {
    try {
      Ort::KernelContext context(raw_context);
      Compute(context);
    } catch (const Ort::Exception& error) {
      return Ort::GetApi().CreateStatus(error.GetOrtErrorCode(), error.what());
    } catch (const std::bad_alloc&) {
      return Ort::GetApi().CreateStatus(ORT_FAIL, "not enough memory");
    }
    return nullptr;
  }

 private:
  static bool IsGiven(const Ort::ConstKernelInfo& info, size_t input) {
    return input < info.GetInputCount() && !info.GetInputName(input).empty();
  }

  static Ort::ConstValue Constant(const Ort::ConstKernelInfo& info, size_t input) {
    int is_constant = 0;
    const Ort::ConstValue value = info.GetTensorConstantInput(input, &is_constant);
    if (is_constant == 0) {
      ORT_CXX_API_THROW(info.GetNodeName() + ": its weights are not constant", ORT_NOT_IMPLEMENTED);
    }
    return value;
  }

  void PackWeights(const Ort::ConstKernelInfo& info) {
    const Ort::ConstValue values = Constant(info, kValues);
    const Ort::ConstValue scales = Constant(info, kScales);
    OperatorWeights weights{values.GetTensorData<uint8_t>(), scales.GetTensorData<float>(), nullptr, nullptr};
    if (IsGiven(info, kZeroPoints)) {
      const Ort::ConstValue zeros = Constant(info, kZeroPoints);
      switch (zeros.GetTensorTypeAndShapeInfo().GetElementType()) {
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
          weights.float_zeros = zeros.GetTensorData<float>();
          break;
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
          weights.integer_zeros = zeros.GetTensorData<uint8_t>();
          break;
        default:
          ORT_CXX_API_THROW(info.GetNodeName() + ": zero points of this type", ORT_NOT_IMPLEMENTED);
      }
    }
    layout_.has_zeros = kernels::NeedsZeros(layout_, weights);
    std::byte* packed = shared_.memory.Allocate(static_cast<size_t>(layout_.bytes()));
    kernels::Pack(layout_, weights, packed);
    packed_ = packed;
    shared_.sources.Add(weights.values, values.GetTensorSizeInBytes());
    shared_.sources.Add(weights.scales, scales.GetTensorSizeInBytes());
  }

  int64_t Tasks(int64_t work_bytes, int64_t most) const {
    if (shared_.threads == 1) return 1;
    return std::clamp<int64_t>(work_bytes / kLeastTaskBytes, 1, std::min(most, shared_.threads * kTasksPerThread));
  }

  void Compute(Ort::KernelContext& context) {
    const Ort::ConstValue activations = context.GetInput(kActivations);
    std::vector<int64_t> shape = activations.GetTensorTypeAndShapeInfo().GetShape();
    int64_t rows = 1;
    for (size_t axis = 0; axis + 1 < shape.size(); ++axis) rows *= shape[axis];
    shape.back() = layout_.rows;
    Ort::UnownedValue output = context.GetOutput(0, shape);
    if (rows == 0) return;
    const Product product{layout_, packed_, bias_.empty() ? nullptr : bias_.data(),
                          output.GetTensorMutableData<float>()};
    const float* input = activations.GetTensorData<float>();
    if (quantize_) {
      Multiply(context, product, Kernels().multiply, Quantized(context, input, rows), rows);
    } else {
      Multiply(context, product, Kernels().multiply_float, Reordered(context, input, rows), rows);
    }
  }

  // The last rows may be fewer: the part of `rows` that the task works on.
  template <typename Body>
  void OverRows(Ort::KernelContext& context, int64_t rows, Body&& body) const {
    const int64_t tasks = Tasks(rows * layout_.columns * int64_t{sizeof(float)}, rows);
    InParallel(context, tasks, [&](int64_t task) {
      const int64_t first = rows * task / tasks;
      body(first, rows * (task + 1) / tasks - first);
    });
  }

  kernels::QuantizedRows Quantized(Ort::KernelContext& context, const float* input, int64_t rows) {
    const int64_t blocks = layout_.blocks();
    Scratch& scratch = shared_.scratch;
    const kernels::QuantizedRows all{rows, Resized(scratch.bytes, rows * layout_.padded_columns()),
                                     Resized(scratch.scales, rows * blocks), Resized(scratch.starts, rows * blocks),
                                     Resized(scratch.sums, rows * blocks)};
    OverRows(context, rows, [&](int64_t first, int64_t count) {
      const kernels::QuantizedRows part{count, all.values + first * layout_.padded_columns(),
                                        all.scales + first * blocks, all.starts + first * blocks,
                                        all.sums + first * blocks};
      Kernels().quantize(layout_, input + first * layout_.columns, part);
    });
    return all;
  }

  kernels::FloatRows Reordered(Ort::KernelContext& context, const float* input, int64_t rows) {
    const int64_t blocks = layout_.blocks();
    const kernels::FloatRows all{rows, Resized(shared_.scratch.floats, rows * layout_.padded_columns()),
                                 Resized(shared_.scratch.sums, rows * blocks)};
    OverRows(context, rows, [&](int64_t first, int64_t count) {
      kernels::Reorder(layout_, input + first * layout_.columns,
                       {count, all.values + first * layout_.padded_columns(), all.sums + first * blocks});
    });
    return all;
  }

  template <typename Rows>
  void Multiply(Ort::KernelContext& context, const Product& product,
                void (*multiply)(const Product&, const Rows&, int64_t, int64_t), const Rows& activations,
                int64_t rows) const {
    const int64_t tiles = layout_.tiles();
    const int64_t tasks = Tasks(layout_.bytes() * rows, tiles);
    InParallel(context, tasks, [&](int64_t task) {
      multiply(product, activations, tiles * task / tasks, tiles * (task + 1) / tasks);
    });
  }

  Shared& shared_;
  WeightLayout layout_;
  bool quantize_ = false;
  const std::byte* packed_ = nullptr;
  std::vector<float> bias_;
};

struct MatMulOperator : Ort::CustomOpBase<MatMulOperator, MatMulKernel, true> {
  explicit MatMulOperator(Shared& shared_state) : shared(shared_state) {}

  const char* GetName() const { return "MatMulNBits"; }
  size_t GetInputTypeCount() const { return kInputs; }
  size_t GetOutputTypeCount() const { return 1; }
  ONNXTensorElementDataType GetOutputType(size_t) const { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; }
  ONNXTensorElementDataType GetInputType(size_t input) const {
    switch (input) {
      case kValues:
        return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
      case kZeroPoints:
        // Any: they are integers or floats.
        return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
      case kGroupIndex:
        return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
      default:
        return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    }
  }
  OrtCustomOpInputOutputCharacteristic GetInputCharacteristic(size_t input) const {
    return input < kZeroPoints ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_OPTIONAL;
  }

  OrtStatusPtr CreateKernelV2(const OrtApi& api, const OrtKernelInfo* info, void** kernel) const {
    try {
      *kernel = new MatMulKernel(shared, Ort::ConstKernelInfo(info));
    } catch (const Ort::Exception& error) {
      return api.CreateStatus(error.GetOrtErrorCode(), error.what());
    } catch (const std::bad_alloc&) {
      return api.CreateStatus(ORT_FAIL, "not enough memory");
    }
    return nullptr;
  }

  Shared& shared;
};

}  // namespace

struct OwnKernels::State {
  explicit State(int threads) : shared{.threads = threads, .memory = {}, .sources = {}, .scratch = {}}, matmul(shared) {}

  Shared shared;
  MatMulOperator matmul;
  Ort::CustomOpDomain domain{"com.microsoft"};
};

OwnKernels::OwnKernels(int threads) : state_(std::make_unique<State>(threads)) { state_->domain.Add(&state_->matmul); }

OwnKernels::~OwnKernels() = default;

void OwnKernels::AddTo(Ort::SessionOptions& options) { options.Add(state_->domain); }

void OwnKernels::ReleaseSources() { state_->shared.sources.Release(); }

int64_t OwnKernels::nodes() const { return state_->shared.nodes; }

std::string OwnKernels::InstructionSet() { return Kernels().name; }

}  // namespace slm
