#include "engine_of_library.h"
#include "engines/onnxruntime/onnxruntime_engine.h"

namespace slm {

std::string_view LibraryName() { return "slm-app-ort"; }

std::unique_ptr<Engine> NewEngine() { return std::make_unique<OnnxRuntimeEngine>(); }

}  // namespace slm
