// Mode `profile`: one measured run, its records in a file and on stdout.
#pragma once

#include <string>

#include "cli/session_flags.h"
#include "engine/engine.h"
#include "measure/profile.h"
#include "records/record_sink.h"

namespace slm {

struct ProfileMode {
  RunOptions run;
  ProfileOptions profile;
  std::string output;
  std::string reference_prompt;
  std::string reference_continuation;
  std::string page_cache;
  std::string reserve = "run";

  void AddFlags(Flags& flags);
  // Records go to the file `output` and to `out`.
  Status Run(Engine& engine, RecordSink& out, StopToken stop) const;
};

}  // namespace slm
