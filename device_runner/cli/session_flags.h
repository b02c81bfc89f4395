// Flags that modes have in common.
#pragma once

#include <string>

#include "cli/flags.h"
#include "session/session.h"

namespace slm {

// What every mode knows.
struct RunOptions {
  std::string run_id = "run";
  SessionOptions session;

  // Those about the engine alone.
  void AddEngineFlags(Flags& flags);
  void AddRunFlags(Flags& flags);
};

}  // namespace slm
