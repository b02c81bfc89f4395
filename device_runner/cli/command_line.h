// A command line carried out: picks the mode, parses its flags and runs it. Whoever calls says where output
// goes and when to stop, so that a process and a library inside another process do the same.
#pragma once

#include <unistd.h>

#include <span>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "engine/stop.h"
#include "records/record_sink.h"

namespace slm {

// `arguments` begins with the mode. `program` is the path that libraries are looked for beside, `name` what
// help calls the program. All output goes to `out`; the outcome's message is the caller's to show. `input` is
// what a mode reads requests from. Does not throw.
Status RunCommandLine(std::span<const std::string_view> arguments, std::string_view program,
                      std::string_view name, Engine& engine, RecordSink& out, StopToken stop,
                      int input = STDIN_FILENO);

// `NAME: error: ...`, the one line that every failure has. `signal` as in ExitCodeOf.
std::string ErrorLine(std::string_view name, const Status& status, int signal);

}  // namespace slm
