// What a decoder exported with the names of onnxruntime-genai looks like from outside.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engines/onnxruntime/states.h"

namespace slm {

struct ModelInterface {
  bool has_position_ids = false;
  // Whether logits come for the last position only, whatever is fed.
  bool last_logits_only = false;
  ONNXTensorElementDataType logits_type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  std::vector<State> states;
};

// Reads inputs, outputs and metadata of the session. Not ok when anything in them cannot be served.
// Throws Ort::Exception.
Status ReadModelInterface(const Ort::Session& session, ModelInterface& interface, ModelFacts& facts);

}  // namespace slm
