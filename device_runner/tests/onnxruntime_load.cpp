// From when on the engine times the loading of a model, whose first attempts may fail.
//   onnxruntime_load MODEL ENGINE_LIBRARY TRACE
// Prints that moment in ns since 1970, and whose kernels the model runs on. TRACE begins the name of a file
// for each attempt; a failed one's is written before the next begins.
#include <cstdio>

#include "engines/onnxruntime/onnxruntime_engine.h"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  slm::EngineOptions options;
  options.model = argv[1];
  options.library = argv[2];
  options.trace = argv[3];
  slm::OnnxRuntimeEngine engine;
  slm::Status status = engine.Open(options);
  slm::Stopwatch watch;
  if (status.ok()) status = engine.Load(options, watch);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.message().c_str());
    return 1;
  }
  std::printf("%lld %s\n", static_cast<long long>(slm::UnixNs() - watch.ns()), engine.kernels().c_str());
  return 0;
}
