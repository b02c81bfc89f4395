// Mode `score`: token ids in, log-probabilities and greedy continuations out, many requests in one process.
#pragma once

#include <string>

#include "cli/session_flags.h"
#include "engine/engine.h"
#include "engine/stop.h"
#include "records/record_sink.h"

namespace slm {

struct ScoreMode {
  RunOptions run;
  std::string requests_file;

  void AddFlags(Flags& flags);
  // Each answer is a record as soon as it is known.
  Status Run(Engine& engine, RecordSink& out, StopToken stop) const;
};

}  // namespace slm
