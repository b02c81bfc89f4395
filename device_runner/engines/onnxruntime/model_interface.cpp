#include "engines/onnxruntime/model_interface.h"

#include <algorithm>
#include <optional>
#include <set>
#include <sstream>
#include <tuple>
#include <utility>

#include "engine/numbers.h"

namespace slm {
namespace {

constexpr std::string_view kPast = "past_key_values.";
constexpr std::string_view kPresent = "present.";

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
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16:
      return "bfloat16";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8:
      return "int8";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
      return "uint8";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
      return "int32";
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

// Whether an output can be what becomes of an input; dimensions of -1 are not known.
bool Agree(const Tensor& input, const Tensor& output) {
  const auto& one = input.facts.shape;
  const auto& other = output.facts.shape;
  return input.type == output.type &&
         std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](int64_t left, int64_t right) { return left < 0 || right < 0 || left == right; });
}

Status AddState(const Tensor& input, const std::vector<Tensor>& outputs, ModelInterface& interface) {
  const std::string name = input.facts.name.substr(kPast.size());
  State state{name, input.facts.name, std::string(kPresent) + name, input.type, input.facts.shape, {}};
  // The first dimension is the batch; any other that is not fixed is the text.
  const auto grown = [](int64_t size) { return size < 0; };
  const bool one_sequence = !state.shape.empty() && (state.shape[0] == 1 || state.shape[0] < 0);
  if (one_sequence) state.shape[0] = 1;
  const auto growing = std::count_if(state.shape.begin(), state.shape.end(), grown);
  const bool is_empty = std::count(state.shape.begin(), state.shape.end(), 0) > 0;
  if (StateElementBytes(state.type) == 0 || !one_sequence || growing > 1 || is_empty) {
    return NotUnderstood(
        input,
        "a state [batch, ...] of float32, float16, bfloat16, int8, uint8, int32 or int64 with "
        "fixed dimensions above zero and at most one for the text");
  }
  const auto output = std::find_if(outputs.begin(), outputs.end(),
                                   [&](const Tensor& tensor) { return tensor.facts.name == state.present; });
  if (output == outputs.end() || !Agree(input, *output)) {
    return {ErrorKind::kModelInterface,
            input.facts.name + " has no output " + state.present + " of its own type and shape"};
  }
  if (growing == 0) state.kind = StateKind::kFixed;
  interface.states.push_back(std::move(state));
  return {};
}

Status ReadInputs(const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
                  ModelInterface& interface) {
  bool has_ids = false;
  bool has_mask = false;
  for (const Tensor& input : inputs) {
    const std::string& name = input.facts.name;
    if (name.starts_with(kPast)) {
      if (Status status = AddState(input, outputs, interface); !status.ok()) return status;
      continue;
    }
    has_ids |= name == "input_ids";
    has_mask |= name == "attention_mask";
    interface.has_position_ids |= name == "position_ids";
    const bool known = name == "input_ids" || name == "attention_mask" || name == "position_ids";
    if (!known) {
      return NotUnderstood(input, "only input_ids, attention_mask, position_ids and past_key_values.STATE");
    }
    if (input.type != ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 || input.facts.shape.size() != 2) {
      return NotUnderstood(input, "int64 [batch, length]");
    }
  }
  if (!has_ids || !has_mask || interface.states.empty()) {
    return {ErrorKind::kModelInterface, "the model lacks input_ids, attention_mask or past_key_values.STATE"};
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

// A value of the model's own metadata; nothing when it is not there.
std::optional<std::string> Metadata(const Ort::Session& session, const char* key) {
  Ort::AllocatorWithDefaultOptions allocator;
  const auto value = session.GetModelMetadata().LookupCustomMetadataMapAllocated(key, allocator);
  return value ? std::optional<std::string>(value.get()) : std::nullopt;
}

Status ReadContextLength(const Ort::Session& session, ModelFacts& facts) {
  const std::optional<std::string> text = Metadata(session, "slm.context_length");
  if (!text) return {};
  const Status status = ParseInteger(*text, 1, kNoLimit, facts.context_length);
  return status.ok() ? Status()
                     : Status(ErrorKind::kModelInterface, "metadata slm.context_length: " + status.message());
}

// Names, separated by commas. How a state grows cannot be seen from outside.
Status ReadAppendedStates(const Ort::Session& session, std::vector<State>& states) {
  std::istringstream names(Metadata(session, "slm.appended_states").value_or(""));
  for (std::string name; std::getline(names, name, ',');) {
    const auto state =
        std::find_if(states.begin(), states.end(), [&](const State& each) { return each.name == name; });
    if (state == states.end() || state->kind == StateKind::kFixed) {
      return {ErrorKind::kModelInterface,
              "metadata slm.appended_states: '" + name + "' is no state that grows with the text"};
    }
    state->kind = StateKind::kAppended;
  }
  return {};
}

// The number that the name of a layer's state begins with; -1 without one.
int64_t LayerOf(const State& state) {
  int64_t layer = -1;
  const std::string_view name(state.name);
  return ParseInteger(name.substr(0, name.find('.')), 0, kNoLimit, layer).ok() ? layer : -1;
}

void DescribeStates(const std::vector<State>& states, ModelFacts& facts) {
  std::set<int64_t> layers;
  std::set<std::pair<int64_t, int64_t>> caches;
  for (const State& state : states) {
    facts.states.push_back({state.name, TypeName(state.type), state.shape});
    layers.insert(LayerOf(state));
    if (state.shape.size() == 4 && state.shape[2] < 0) caches.emplace(state.shape[1], state.shape[3]);
  }
  facts.layers = static_cast<int64_t>(layers.size());
  if (caches.size() == 1) std::tie(facts.kv_heads, facts.head_dim) = *caches.begin();
}

}  // namespace

Status ReadModelInterface(const Ort::Session& session, ModelInterface& interface, ModelFacts& facts) {
  const std::vector<Tensor> inputs = Inputs(session);
  const std::vector<Tensor> outputs = Outputs(session);
  if (Status status = ReadInputs(inputs, outputs, interface); !status.ok()) return status;
  if (Status status = ReadLogits(outputs, interface, facts); !status.ok()) return status;
  for (const Tensor& input : inputs) facts.inputs.push_back(input.facts);
  for (const Tensor& output : outputs) facts.outputs.push_back(output.facts);
  if (Status status = ReadAppendedStates(session, interface.states); !status.ok()) return status;
  DescribeStates(interface.states, facts);
  return ReadContextLength(session, facts);
}

}  // namespace slm
