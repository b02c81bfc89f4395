#include "cli/command_line.h"

#include <algorithm>
#include <cctype>
#include <exception>
#include <string>

#include "cli/generate_mode.h"
#include "cli/info_mode.h"
#include "cli/measure_mode.h"
#include "cli/profile_mode.h"
#include "cli/score_mode.h"
#include "cli/serve_mode.h"
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
Status RunMode(std::span<const std::string_view> arguments, std::string_view program, Engine& engine,
               RecordSink& out, StopToken stop, int input) {
  Mode mode;
  if constexpr (requires { mode.input; }) mode.input = input;
  mode.run.session.executable = program;
  mode.run.session.threads = AvailableCpus();
  Flags flags;
  mode.AddFlags(flags);
  if (std::find(arguments.begin(), arguments.end(), "--help") != arguments.end()) {
    return out.Write(flags.help() + std::string(kExitCodes));
  }
  if (Status status = flags.Parse(arguments); !status.ok()) return status;
  if (Status status = CheckRunId(mode.run.run_id); !status.ok()) return status;
  return mode.Run(engine, out, stop);
}

Status Dispatch(std::span<const std::string_view> arguments, std::string_view program, std::string_view name,
                Engine& engine, RecordSink& out, StopToken stop, int input) {
  const std::string_view mode = arguments.empty() ? "" : arguments.front();
  if (mode == "--help" || mode == "help") {
    return out.Write(
        "usage: " + std::string(name) +
        " profile|generate|serve|score|info|measure [flags]; --help after a mode lists its flags\n" +
        std::string(kExitCodes));
  }
  const auto flags = arguments.subspan(arguments.empty() ? 0 : 1);
  if (mode == "profile") return RunMode<ProfileMode>(flags, program, engine, out, stop, input);
  if (mode == "generate") return RunMode<GenerateMode>(flags, program, engine, out, stop, input);
  if (mode == "serve") return RunMode<ServeMode>(flags, program, engine, out, stop, input);
  if (mode == "score") return RunMode<ScoreMode>(flags, program, engine, out, stop, input);
  if (mode == "info") return RunMode<InfoMode>(flags, program, engine, out, stop, input);
  if (mode == "measure") return RunMode<MeasureMode>(flags, program, engine, out, stop, input);
  return {ErrorKind::kUsage,
          "the first argument is the mode: profile, generate, serve, score, info or measure (see --help)"};
}

}  // namespace

Status RunCommandLine(std::span<const std::string_view> arguments, std::string_view program,
                      std::string_view name, Engine& engine, RecordSink& out, StopToken stop, int input) {
  // Only the runner itself can still throw here, and only for want of memory.
  try {
    return Dispatch(arguments, program, name, engine, out, stop, input);
  } catch (const std::exception& error) {
    return {ErrorKind::kRunFailed, error.what()};
  }
}

std::string ErrorLine(std::string_view name, const Status& status, int signal) {
  std::string line = std::string(name) + ": error: " + status.message();
  if (status.kind() == ErrorKind::kStopped) line += " by signal " + std::to_string(signal);
  return line + "\n";
}

}  // namespace slm
