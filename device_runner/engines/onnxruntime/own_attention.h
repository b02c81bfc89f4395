// com.microsoft::GroupQueryAttention: rotary embedding, KV cache and attention of one sequence, in float.
#pragma once

#include <optional>
#include <vector>

#include "engines/onnxruntime/own_operator.h"

namespace slm::own {

// One node of the model.
class AttentionKernel {
 public:
  AttentionKernel(Shared& shared, const Ort::ConstKernelInfo& info);
  OrtStatusPtr ComputeV2(OrtKernelContext* context);

 private:
  // Where rows of heads lie: packed as [query heads, key heads, value heads], or each on its own.
  struct HeadRows {
    const float* start;
    int64_t stride;
  };
  struct Step;

  void Compute(Ort::KernelContext& context) const;
  Step ReadStep(Ort::KernelContext& context) const;
  void Rotate(const Step& step, int64_t position, float* head) const;
  void AppendToCache(const Step& step, int64_t kv_head) const;
  void RotateQuery(const Step& step, int64_t token, int64_t head, float* query) const;

  Shared& shared_;
  int64_t heads_;
  int64_t kv_heads_;
  int64_t window_;
  float scale_;
  float softcap_;
  bool rotary_;
  bool reads_other_cache_;
};

struct AttentionOperator : OwnOperator<AttentionOperator, AttentionKernel> {
  using OwnOperator::OwnOperator;

  const char* GetName() const { return "GroupQueryAttention"; }
  size_t GetInputTypeCount() const { return kAttentionInputs; }
  size_t GetOutputTypeCount() const { return kAttentionOutputs; }
  ONNXTensorElementDataType GetOutputType(size_t) const { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; }
  ONNXTensorElementDataType GetInputType(size_t input) const {
    switch (input) {
      case kLastPosition:
      case kTotalLength:
        return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
      case kPositions:
        return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
      default:
        return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    }
  }
  OrtCustomOpInputOutputCharacteristic GetInputCharacteristic(size_t input) const {
    const bool required = input == kQuery || input == kLastPosition || input == kTotalLength;
    return required ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_OPTIONAL;
  }
  OrtCustomOpInputOutputCharacteristic GetOutputCharacteristic(size_t output) const {
    return output == kAttended ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_OPTIONAL;
  }
};

}  // namespace slm::own
