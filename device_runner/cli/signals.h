// SIGINT, SIGTERM and SIGHUP end a run between two steps, so that no half-made result looks whole.
#pragma once

#include <cstdint>

#include "engine/status.h"

namespace slm {

void InstallSignalHandlers();
// Not ok once a signal has arrived.
Status CheckSignals();
// Sleeps; ends early with CheckSignals' status when a signal arrives.
Status SleepMs(int64_t milliseconds);

}  // namespace slm
