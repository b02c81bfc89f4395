#include <unistd.h>

#include <cstdio>

#include "cli/exit_code.h"
#include "engine_of_library.h"
#include "engines/executorch/engine_log.h"
#include "engines/executorch/executorch_engine.h"

namespace slm {
namespace {

// The process is the run's own, and its stderr the run's file: the host finds the same line and exit code as
// of the shell's runner.
void EndOnAbort(const std::string& messages) {
  std::fprintf(stderr, "%s: error: ExecuTorch gave up: %s\n", LibraryName().data(), messages.c_str());
  _exit(ExitCodeOf({ErrorKind::kRunFailed, messages}, 0));
}

}  // namespace

std::string_view LibraryName() { return "slm-app-et"; }

std::unique_ptr<Engine> NewEngine() {
  OnEngineAbort(EndOnAbort);
  return std::make_unique<ExecutorchEngine>();
}

}  // namespace slm
