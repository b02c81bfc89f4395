// The process: a command line with signals, stdout, stderr and an exit code.
#pragma once

#include <string_view>

#include "engine/engine.h"

namespace slm {

// `name` is the executable's, for help and messages. Returns the exit code.
int RunnerMain(int argc, const char* const* argv, std::string_view name, Engine& engine);

}  // namespace slm
