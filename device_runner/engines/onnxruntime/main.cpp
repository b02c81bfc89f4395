#include "cli/runner.h"
#include "engines/onnxruntime/onnxruntime_engine.h"

int main(int argc, char** argv) {
  slm::OnnxRuntimeEngine engine;
  return slm::RunnerMain(argc, argv, "slm-runner-ort", engine);
}
