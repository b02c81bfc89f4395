// Mode `info`: what the runner, its engine and, when given, a model are.
#pragma once

#include "cli/session_flags.h"
#include "engine/engine.h"
#include "engine/stop.h"

namespace slm {

struct InfoMode {
  RunOptions run;

  void AddFlags(Flags& flags);
  // Prints one JSON object on stdout.
  Status Run(Engine& engine, StopToken stop) const;
};

}  // namespace slm
