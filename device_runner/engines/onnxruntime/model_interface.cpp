#include "engines/onnxruntime/model_interface.h"

#include <algorithm>

#include "engine/integer.h"

namespace slm {
namespace {

constexpr std::string_view kPast = "past_key_values.";

struct Tensor {
  TensorFacts facts;
  ONNXTensorElementDataType type;
};

std::string TypeName(ONNXTensorElementDataType type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
      return "float32";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
      return "float16";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
      return "int64";
    default:
      return "ONNX type " + std::to_string(type);
  }
}

Tensor Describe(std::string name, const Ort::TypeInfo& type_info) {
  if (type_info.GetONNXType() != ONNX_TYPE_TENSOR) {
    return {{std::move(name), "not a tensor", {}}, ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED};
  }
  const auto tensor = type_info.GetTensorTypeAndShapeInfo();
  const ONNXTensorElementDataType type = tensor.GetElementType();
  return {{std::move(name), TypeName(type), tensor.GetShape()}, type};
}

std::vector<Tensor> Inputs(const Ort::Session& session) {
  Ort::AllocatorWithDefaultOptions allocator;
  std::vector<Tensor> tensors;
  for (size_t index = 0; index < session.GetInputCount(); ++index) {
    tensors.push_back(
        Describe(session.GetInputNameAllocated(index, allocator).get(), session.GetInputTypeInfo(index)));
  }
  return tensors;
}

std::vector<Tensor> Outputs(const Ort::Session& session) {
  Ort::AllocatorWithDefaultOptions allocator;
  std::vector<Tensor> tensors;
  for (size_t index = 0; index < session.GetOutputCount(); ++index) {
    tensors.push_back(
        Describe(session.GetOutputNameAllocated(index, allocator).get(), session.GetOutputTypeInfo(index)));
  }
  return tensors;
}

bool IsFloat(ONNXTensorElementDataType type) {
  return type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT || type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
}

Status NotUnderstood(const Tensor& tensor, const std::string& expected) {
  std::string shape;
  for (const int64_t dimension : tensor.facts.shape) shape += ' ' + std::to_string(dimension);
  return {ErrorKind::kModelInterface,
          tensor.facts.name + " is " + tensor.facts.type + " [" + shape + " ], expected " + expected};
}

Status AddCache(const Tensor& input, const std::vector<Tensor>& outputs, ModelInterface& interface) {
  if (!IsFloat(input.type) || input.facts.shape.size() != 4 || input.facts.shape[1] < 1 ||
      input.facts.shape[3] < 1) {
    return NotUnderstood(
        input, "float32 or float16 [batch, kv_heads, length, head_dim] with fixed kv_heads and head_dim");
  }
  if (interface.cache_type == ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED) interface.cache_type = input.type;
  const std::string present = "present." + input.facts.name.substr(kPast.size());
  const auto output = std::find_if(outputs.begin(), outputs.end(),
                                   [&](const Tensor& tensor) { return tensor.facts.name == present; });
  if (output == outputs.end() || output->type != input.type || input.type != interface.cache_type) {
    return {ErrorKind::kModelInterface, input.facts.name + " has no output " + present + " of its own type"};
  }
  interface.caches.push_back({input.facts.name, present, input.facts.shape[1], input.facts.shape[3]});
  return {};
}

Status ReadInputs(const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
                  ModelInterface& interface) {
  bool has_ids = false;
  bool has_mask = false;
  for (const Tensor& input : inputs) {
    const std::string& name = input.facts.name;
    if (name.starts_with(kPast)) {
      if (Status status = AddCache(input, outputs, interface); !status.ok()) return status;
      continue;
    }
    has_ids |= name == "input_ids";
    has_mask |= name == "attention_mask";
    interface.has_position_ids |= name == "position_ids";
    const bool known = name == "input_ids" || name == "attention_mask" || name == "position_ids";
    if (!known) {
      return NotUnderstood(input,
                           "only input_ids, attention_mask, position_ids and past_key_values.N.key|value");
    }
    if (input.type != ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 || input.facts.shape.size() != 2) {
      return NotUnderstood(input, "int64 [batch, length]");
    }
  }
  if (!has_ids || !has_mask || interface.caches.empty()) {
    return {ErrorKind::kModelInterface,
            "the model lacks input_ids, attention_mask or past_key_values.N.key|value"};
  }
  return {};
}

Status ReadLogits(const std::vector<Tensor>& outputs, ModelInterface& interface, ModelFacts& facts) {
  const auto logits = std::find_if(outputs.begin(), outputs.end(),
                                   [](const Tensor& tensor) { return tensor.facts.name == "logits"; });
  if (logits == outputs.end()) return {ErrorKind::kModelInterface, "the model has no output logits"};
  if (!IsFloat(logits->type) || logits->facts.shape.size() != 3 || logits->facts.shape[2] < 1) {
    return NotUnderstood(*logits, "float32 or float16 [batch, length, vocab] with a fixed vocab");
  }
  interface.logits_type = logits->type;
  interface.last_logits_only = logits->facts.shape[1] == 1;
  facts.vocab_size = logits->facts.shape[2];
  return {};
}

Status ReadContextLength(const Ort::Session& session, ModelFacts& facts) {
  Ort::AllocatorWithDefaultOptions allocator;
  const auto value =
      session.GetModelMetadata().LookupCustomMetadataMapAllocated("slm.context_length", allocator);
  if (!value) return {};
  const Status status = ParseInteger(value.get(), 1, kNoLimit, facts.context_length);
  return status.ok() ? Status()
                     : Status(ErrorKind::kModelInterface, "metadata slm.context_length: " + status.message());
}

}  // namespace

Status ReadModelInterface(const Ort::Session& session, ModelInterface& interface, ModelFacts& facts) {
  const std::vector<Tensor> inputs = Inputs(session);
  const std::vector<Tensor> outputs = Outputs(session);
  if (Status status = ReadInputs(inputs, outputs, interface); !status.ok()) return status;
  if (Status status = ReadLogits(outputs, interface, facts); !status.ok()) return status;
  for (const Tensor& input : inputs) facts.inputs.push_back(input.facts);
  for (const Tensor& output : outputs) facts.outputs.push_back(output.facts);
  facts.layers = static_cast<int64_t>(interface.caches.size() / 2);
  if (!interface.caches.empty()) {
    facts.kv_heads = interface.caches.front().kv_heads;
    facts.head_dim = interface.caches.front().head_dim;
  }
  return ReadContextLength(session, facts);
}

}  // namespace slm
