// Mode `info`: what the runner, its engine and, when given, a model are.
#pragma once

#include <string_view>

#include "engine/engine.h"
#include "session/session.h"

namespace slm {

std::string_view RunnerVersion();
// In Android's words: "x86_64", "arm64-v8a".
std::string_view Abi();

struct InfoOptions {
  SessionOptions session;

  void AddFlags(Flags& flags);
};

// Prints one JSON object on stdout.
Status RunInfo(Engine& engine, const InfoOptions& options);

}  // namespace slm
