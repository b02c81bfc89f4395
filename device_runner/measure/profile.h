// Mode `profile`: exact token counts on synthetic ids, every decode step timed.
#pragma once

#include "engine/engine.h"
#include "measure/gate.h"
#include "measure/power.h"
#include "session/session.h"

namespace slm {

struct ProfileOptions {
  SessionOptions session;
  std::string output;
  int64_t prompt_tokens = 512;
  int64_t generate_tokens = 128;
  int64_t depth = 0;
  int64_t repetitions = 5;
  int64_t warmup = 1;
  std::string reference_prompt;
  std::string reference_continuation;
  GateOptions gate;
  PowerOptions power;

  void AddFlags(Flags& flags);
};

Status RunProfile(Engine& engine, const ProfileOptions& options);

}  // namespace slm
