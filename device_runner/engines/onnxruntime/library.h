// Opening libonnxruntime.so.1 and asking it for the interface that the runner was built with.
#pragma once

#include <onnxruntime_c_api.h>

#include <string>
#include <vector>

#include "engine/status.h"

namespace slm {

struct OnnxRuntimeLibrary {
  const OrtApi* api = nullptr;
  std::string version;
  std::vector<std::string> providers;
};

// `path` may be empty: then ./lib and the folder of `executable` are tried, then the loader's search path.
// The library stays open until the process ends.
Status OpenOnnxRuntime(const std::string& path, const std::string& executable, OnnxRuntimeLibrary& library);

}  // namespace slm
