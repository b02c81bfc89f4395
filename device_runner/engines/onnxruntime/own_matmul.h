// com.microsoft::MatMulNBits: activations times weights of 4 or 8 bits.
#pragma once

#include "engines/onnxruntime/own_operator.h"
#include "kernels/task_sizes.h"

namespace slm::own {

// One node of the model.
class MatMulKernel {
 public:
  MatMulKernel(Shared& shared, const Ort::ConstKernelInfo& info) : shared_(shared) {
    const EngineNode node(info);
    if (const std::string_view what = MatMulNotCovered(node); !what.empty()) ThrowNotCovered(info, what);
    layout_ = LayoutOf(node);
    PackWeights(info, node.IsGiven(kZeroPoints));
    if (node.IsGiven(kMatMulBias)) {
      const Ort::ConstValue given = Constant(info, kMatMulBias);
      RequireElements(info, given, layout_.rows);
      const float* bias = given.GetTensorData<float>();
      bias_.assign(bias, bias + layout_.rows);
    }
  }

  OrtStatusPtr ComputeV2(OrtKernelContext* raw_context) {
    return AsStatus([&] {
      Ort::KernelContext context(raw_context);
      Compute(context);
    });
  }

 private:
  static Ort::ConstValue Constant(const Ort::ConstKernelInfo& info, size_t input) {
    int is_constant = 0;
    const Ort::ConstValue value = info.GetTensorConstantInput(input, &is_constant);
    if (is_constant == 0) {
      ThrowNotCovered(info, "weights that are not constant");
    }
    return value;
  }

  // Weights are read by the node's attributes, which a damaged model may set to anything.
  static void RequireElements(const Ort::ConstKernelInfo& info, const Ort::ConstValue& tensor,
                              int64_t elements) {
    if (tensor.GetTensorTypeAndShapeInfo().GetElementCount() != static_cast<size_t>(elements))
      ThrowNotCovered(info, "weights of another size than the attributes say");
  }

  void PackWeights(const Ort::ConstKernelInfo& info, bool has_zero_points) {
    const Ort::ConstValue values = Constant(info, kQuantized);
    const Ort::ConstValue scales = Constant(info, kScales);
    const int64_t groups = layout_.groups();
    RequireElements(info, values, layout_.rows * groups * layout_.group_columns * layout_.bits / 8);
    RequireElements(info, scales, layout_.rows * groups);
    kernels::OperatorWeights weights{values.GetTensorData<uint8_t>(), scales.GetTensorData<float>(), nullptr,
                                     nullptr};
    if (has_zero_points) {
      const Ort::ConstValue zeros = Constant(info, kZeroPoints);
      switch (zeros.GetTensorTypeAndShapeInfo().GetElementType()) {
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
          RequireElements(info, zeros, layout_.rows * groups);
          weights.float_zeros = zeros.GetTensorData<float>();
          break;
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
          RequireElements(info, zeros, layout_.rows * ((groups * layout_.bits + 7) / 8));
          weights.integer_zeros = zeros.GetTensorData<uint8_t>();
          break;
        default:
          ThrowNotCovered(info, "zero points of this type");
      }
    }
    layout_.has_zeros = kernels::NeedsZeros(layout_, weights);
    std::byte* packed = shared_.memory.Allocate(static_cast<size_t>(layout_.bytes()));
    kernels::Pack(layout_, weights, packed);
    packed_ = packed;
    shared_.sources.Add(weights.values, values.GetTensorSizeInBytes());
    shared_.sources.Add(weights.scales, scales.GetTensorSizeInBytes());
  }

  int64_t Tasks(int64_t work_bytes, int64_t maximum) const {
    return kernels::TaskCount(work_bytes, maximum, shared_.threads);
  }

  void Compute(Ort::KernelContext& context) {
    const Ort::ConstValue activations = context.GetInput(kActivations);
    const std::span<const int64_t> shape = ShapeOf(activations);
    if (shape.empty() || shape.back() != layout_.columns)
      ORT_CXX_API_THROW("MatMulNBits: activations of another width than K", ORT_INVALID_ARGUMENT);
    output_shape_.assign(shape.begin(), shape.end());
    output_shape_.back() = layout_.rows;
    int64_t rows = 1;
    for (const int64_t size : shape.first(shape.size() - 1)) rows *= size;
    Ort::UnownedValue output = context.GetOutput(0, output_shape_);
    if (rows == 0) return;
    const kernels::Product product{layout_, packed_, bias_.empty() ? nullptr : bias_.data(),
                                   output.GetTensorMutableData<float>()};
    const kernels::QuantizedRows quantized = Quantized(context, activations.GetTensorData<float>(), rows);
    const int64_t tiles = layout_.tiles();
    const int64_t tasks = Tasks(layout_.bytes() * rows, tiles);
    SessionThreads(context, shared_.threads).Run(tasks, [&](int64_t task) {
      shared_.kernels.multiply(product, quantized, tiles * task / tasks, tiles * (task + 1) / tasks);
    });
  }

  kernels::QuantizedRows Quantized(Ort::KernelContext& context, const float* input, int64_t rows) {
    const int64_t blocks = layout_.blocks();
    Scratch& scratch = shared_.scratch;
    const kernels::QuantizedRows all{
        rows, Resized(scratch.bytes, rows * layout_.padded_columns()), Resized(scratch.scales, rows * blocks),
        Resized(scratch.initial_sums, rows * blocks), Resized(scratch.sums, rows * blocks)};
    const int64_t tasks = Tasks(rows * layout_.columns * int64_t{sizeof(float)}, rows);
    SessionThreads(context, shared_.threads).Run(tasks, [&](int64_t task) {
      const int64_t first = rows * task / tasks;
      const kernels::QuantizedRows part{
          rows * (task + 1) / tasks - first, all.values + first * layout_.padded_columns(),
          all.scales + first * blocks, all.initial_sums + first * blocks, all.sums + first * blocks};
      shared_.kernels.quantize(layout_, input + first * layout_.columns, part);
    });
    return all;
  }

  Shared& shared_;
  kernels::WeightLayout layout_;
  const std::byte* packed_ = nullptr;
  std::vector<float> bias_;
  // Kept for its memory only.
  std::vector<int64_t> output_shape_;
};

struct MatMulOperator : OwnOperator<MatMulOperator, MatMulKernel> {
  using OwnOperator::OwnOperator;

  const char* GetName() const { return "MatMulNBits"; }
  size_t GetInputTypeCount() const { return kMatMulInputs; }
  size_t GetOutputTypeCount() const { return 1; }
  ONNXTensorElementDataType GetOutputType(size_t) const { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; }
  ONNXTensorElementDataType GetInputType(size_t input) const {
    switch (input) {
      case kQuantized:
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
};

}  // namespace slm::own
