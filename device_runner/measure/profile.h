// The measured run: exact token counts on synthetic ids, every decode step timed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/stop.h"
#include "measure/gate.h"
#include "measure/power.h"
#include "records/record_writer.h"
#include "session/session.h"

namespace slm {

// A text whose greedy tokens are recorded; empty: none are.
struct Reference {
  std::vector<int64_t> prompt;
  std::vector<int64_t> continuation;
  // What messages say they come from.
  std::string prompt_source = "the reference prompt";
  std::string continuation_source = "the reference continuation";

  int64_t size() const { return static_cast<int64_t>(prompt.size() + continuation.size()); }
};

struct ProfileOptions {
  int64_t prompt_tokens = 512;
  int64_t generate_tokens = 128;
  int64_t depth = 0;
  // At least so many measured ones, and more until so many seconds after the first of them began.
  int64_t repetitions = 5;
  int64_t repeat_s = 0;
  int64_t warmup = 1;
  // The states have room for the model's whole context, all of it in memory, whatever the run uses of it.
  bool reserves_context = false;
  Reference reference;
  GateOptions gate;
  PowerOptions power;
};

// Loads the model into the fresh engine, measures, and writes and finishes the records.
Status RunProfile(Engine& engine, const SessionOptions& session_options, const ProfileOptions& options,
                  RecordWriter& records, StopToken stop);

}  // namespace slm
