// Mode `info`: what the runner, its engine and, when given, a model are.
#pragma once

#include "cli/session_flags.h"
#include "engine/engine.h"
#include "engine/stop.h"
#include "records/record_sink.h"

namespace slm {

struct InfoMode {
  RunOptions run;

  void AddFlags(Flags& flags);
  // Writes one JSON object.
  Status Run(Engine& engine, RecordSink& out, StopToken stop) const;
};

}  // namespace slm
