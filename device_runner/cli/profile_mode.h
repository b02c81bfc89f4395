// Mode `profile`: one measured run, its records in a file and on stdout.
#pragma once

#include <string>

#include "cli/session_flags.h"
#include "engine/engine.h"
#include "measure/profile.h"

namespace slm {

struct ProfileMode {
  RunOptions run;
  ProfileOptions profile;
  std::string output;
  std::string reference_prompt;
  std::string reference_continuation;
  std::string page_cache;

  void AddFlags(Flags& flags);
  Status Run(Engine& engine, StopToken stop) const;
};

}  // namespace slm
