#include <unistd.h>

#include <cstdio>

#include "cli/exit_code.h"
#include "cli/runner.h"
#include "engines/executorch/engine_log.h"
#include "engines/executorch/executorch_engine.h"

namespace {

constexpr const char* kName = "slm-runner-et";

// One line and an exit code that hosts know, as for every other failure.
void EndOnAbort(const std::string& messages) {
  std::fprintf(stderr, "%s: error: ExecuTorch gave up: %s\n", kName, messages.c_str());
  _exit(slm::ExitCodeOf({slm::ErrorKind::kRunFailed, messages}, 0));
}

}  // namespace

int main(int argc, char** argv) {
  slm::OnEngineAbort(EndOnAbort);
  slm::ExecutorchEngine engine;
  return slm::RunnerMain(argc, argv, kName, engine);
}
