#include "cli/runner.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <span>
#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "cli/generate_mode.h"
#include "cli/info_mode.h"
#include "cli/measure_mode.h"
#include "cli/profile_mode.h"
#include "cli/signals.h"
#include "engine/affinity.h"

namespace slm {
namespace {

constexpr std::string_view kExitCodes =
    "exit codes:\n"
    "  0  ok\n"
    "  2  wrong use: a flag, a token file\n"
    "  3  the engine's library is missing, too old or something else\n"
    "  4  the model cannot be loaded\n"
    "  5  the model's inputs or outputs are not understood\n"
    "  6  more positions than the context length\n"
    "  7  the engine failed while running\n"
    "  8  the output cannot be written\n"
    "  9  a CPU asked for is offline or not allowed\n"
    "  10  so many threads cannot be had\n"
    "  11  this CPU cannot run the kernels asked for\n"
    "  128 + N  stopped by signal N\n";

// Run ids name files and rows; anything that needs quoting somewhere is refused here.
Status CheckRunId(const std::string& run_id) {
  const bool plain = std::all_of(run_id.begin(), run_id.end(), [](unsigned char character) {
    return std::isalnum(character) || character == '-' || character == '_' || character == '.';
  });
  return plain ? Status() : Status(ErrorKind::kUsage, "--run-id: only letters, digits, '-', '_' and '.'");
}

template <typename Mode>
Status RunMode(std::span<const std::string_view> arguments, std::string_view name, Engine& engine) {
  Mode mode;
  mode.run.session.executable = name;
  mode.run.session.threads = AvailableCpus();
  Flags flags;
  mode.AddFlags(flags);
  if (std::find(arguments.begin(), arguments.end(), "--help") != arguments.end()) {
    std::fputs(flags.help().c_str(), stdout);
    std::fputs(kExitCodes.data(), stdout);
    return {};
  }
  if (Status status = flags.Parse(arguments); !status.ok()) return status;
  if (Status status = CheckRunId(mode.run.run_id); !status.ok()) return status;
  return mode.Run(engine, SignalStop());
}

Status Dispatch(std::span<const std::string_view> arguments, std::string_view program, std::string_view name,
                Engine& engine) {
  const std::string_view mode = arguments.empty() ? "" : arguments.front();
  if (mode == "--help" || mode == "help") {
    std::printf("usage: %s profile|generate|info|measure [flags]; --help after a mode lists its flags\n%s",
                name.data(), kExitCodes.data());
    return {};
  }
  const auto flags = arguments.subspan(arguments.empty() ? 0 : 1);
  if (mode == "profile") return RunMode<ProfileMode>(flags, program, engine);
  if (mode == "generate") return RunMode<GenerateMode>(flags, program, engine);
  if (mode == "info") return RunMode<InfoMode>(flags, program, engine);
  if (mode == "measure") return RunMode<MeasureMode>(flags, program, engine);
  return {ErrorKind::kUsage,
          "the first argument is the mode: profile, generate, info or measure (see --help)"};
}

}  // namespace

int RunnerMain(int argc, const char* const* argv, std::string_view name, Engine& engine) {
  InstallSignalHandlers();
  const std::vector<std::string_view> arguments(argv + std::min(argc, 1), argv + argc);
  // Only the runner itself can still throw here, and only for want of memory.
  Status status;
  try {
    status = Dispatch(arguments, argc > 0 ? argv[0] : name, name, engine);
  } catch (const std::exception& error) {
    status = {ErrorKind::kRunFailed, error.what()};
  }
  const int signal = ReceivedSignal();
  if (!status.ok()) {
    std::string message = status.message();
    if (status.kind() == ErrorKind::kStopped) message += " by signal " + std::to_string(signal);
    std::fprintf(stderr, "%s: error: %s\n", name.data(), message.c_str());
  }
  return ExitCodeOf(status, signal);
}

}  // namespace slm
