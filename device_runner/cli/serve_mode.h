// Mode `serve`: the model stays loaded and answers turn after turn, each a token as soon as it is known.
#pragma once

#include <unistd.h>

#include "cli/session_flags.h"
#include "engine/engine.h"
#include "engine/stop.h"
#include "records/record_sink.h"

namespace slm {

struct ServeMode {
  RunOptions run;
  // Where turns come from; see ServeInput.
  int input = STDIN_FILENO;

  void AddFlags(Flags& flags) { run.AddRunFlags(flags); }
  // Until the input ends.
  Status Run(Engine& engine, RecordSink& out, StopToken stop) const;
};

}  // namespace slm
