// Mode `generate`: token ids in, token ids out, each as soon as it is known.
#pragma once

#include "engine/engine.h"
#include "session/sampling.h"
#include "session/session.h"

namespace slm {

struct GenerateOptions {
  SessionOptions session;
  SamplingOptions sampling;
  std::string prompt_file;
  int64_t max_tokens = 128;
  std::vector<int64_t> stop_tokens;

  void AddFlags(Flags& flags);
};

Status RunGenerate(Engine& engine, const GenerateOptions& options);

}  // namespace slm
