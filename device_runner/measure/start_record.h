// The first record of every run.
#pragma once

#include <cstdint>
#include <string_view>

#include "records/record_writer.h"
#include "session/session.h"

namespace slm {

struct StartFacts {
  std::string_view mode;
  int64_t prompt_tokens = 0;
  int64_t generate_tokens = 0;
  int64_t depth = 0;
  int64_t warmup = 0;
  int64_t repetitions = 0;
  int64_t repeat_s = 0;
  // What the states have room for: the positions of the "run", or the model's whole "context".
  std::string_view reserve = "run";
};

// Writes `start`: what runs, on what and how. The session is loaded.
Status WriteStart(RecordWriter& records, Session& session, const StartFacts& facts);

}  // namespace slm
