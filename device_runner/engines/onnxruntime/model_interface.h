// What a decoder exported with the names of onnxruntime-genai looks like from outside.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace slm {

// One of a layer's two caches, [1, kv_heads, length, head_dim]: bound as past and as present at once.
struct CacheTensor {
  std::string past;
  std::string present;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
};

struct ModelInterface {
  bool has_position_ids = false;
  // Whether logits come for the last position only, whatever is fed.
  bool last_logits_only = false;
  ONNXTensorElementDataType logits_type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  ONNXTensorElementDataType cache_type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  std::vector<CacheTensor> caches;
};

// Reads inputs, outputs and metadata of the session. Not ok when anything in them cannot be served.
// Throws Ort::Exception.
Status ReadModelInterface(const Ort::Session& session, ModelInterface& interface, ModelFacts& facts);

}  // namespace slm
