#include "cli/runner.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "cli/command_line.h"
#include "cli/exit_code.h"
#include "cli/signals.h"
#include "records/descriptor_sink.h"

namespace slm {

int RunnerMain(int argc, const char* const* argv, std::string_view name, Engine& engine) {
  InstallSignalHandlers();
  const std::vector<std::string_view> arguments(argv + std::min(argc, 1), argv + argc);
  DescriptorSink out(STDOUT_FILENO, "stdout");
  const Status status = RunCommandLine(arguments, argc > 0 ? argv[0] : name, name, engine, out, SignalStop());
  const int signal = ReceivedSignal();
  if (!status.ok()) std::fputs(ErrorLine(name, status, signal).c_str(), stderr);
  return ExitCodeOf(status, signal);
}

}  // namespace slm
