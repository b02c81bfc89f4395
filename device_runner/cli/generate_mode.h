// Mode `generate`: token ids in, token ids out, each as soon as it is known.
#pragma once

#include <string>

#include "cli/session_flags.h"
#include "engine/engine.h"
#include "records/record_sink.h"
#include "session/generator.h"

namespace slm {

struct GenerateMode {
  RunOptions run;
  GenerationOptions generation;
  std::string prompt_file;

  void AddFlags(Flags& flags);
  Status Run(Engine& engine, RecordSink& out, StopToken stop) const;
};

}  // namespace slm
