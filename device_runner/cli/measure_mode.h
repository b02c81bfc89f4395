// Mode `measure`: what the device can do at most, without a model.
#pragma once

#include "cli/session_flags.h"
#include "engine/engine.h"
#include "engine/stop.h"
#include "measure/roofline.h"
#include "records/record_sink.h"

namespace slm {

struct MeasureMode {
  RunOptions run;
  RooflineOptions roofline;
  int64_t buffer_mb = 256;

  void AddFlags(Flags& flags);
  // Writes one JSON object.
  Status Run(Engine& engine, RecordSink& out, StopToken stop) const;
};

}  // namespace slm
