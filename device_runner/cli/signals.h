// SIGINT, SIGTERM and SIGHUP end a run between two steps, so that no half-made result looks whole.
#pragma once

#include "engine/stop.h"

namespace slm {

// For the whole process: from now on these signals are remembered, and SIGPIPE is ignored.
void InstallSignalHandlers();
// Stops once a signal has arrived.
StopToken SignalStop();
// The last one that arrived; 0 when none has.
int ReceivedSignal();

}  // namespace slm
