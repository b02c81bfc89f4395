// How the process ends. Fixed: hosts decide by these numbers; docs/runner.md lists them.
#pragma once

#include "engine/status.h"

namespace slm {

// `signal` is the one that asked for the end, if the status says that somebody did.
int ExitCodeOf(const Status& status, int signal);

}  // namespace slm
