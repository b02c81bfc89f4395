#include "cli/runner.h"
#include "engines/executorch/executorch_engine.h"

int main(int argc, char** argv) {
  slm::ExecutorchEngine engine;
  return slm::RunnerMain(argc, argv, "slm-runner-et", engine);
}
