// What profile and generate have in common: flags, loading, the limits of the context, feeding tokens.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cli/flags.h"
#include "engine/engine.h"
#include "engine/status.h"

namespace slm {

struct SessionOptions {
  std::string executable;
  std::string run_id = "run";
  std::string model;
  std::string engine_library;
  std::vector<std::pair<std::string, std::string>> engine_settings;
  std::string kernels = "own";
  int64_t threads = 1;
  std::vector<int64_t> affinity;
  // 0 takes the model's own.
  int64_t context_length = 0;
  int64_t prefill_chunk = 512;

  void AddEngineFlags(Flags& flags);
  void AddRunFlags(Flags& flags);
  EngineOptions ForEngine() const;
};

// An engine with a model in it.
class Session {
 public:
  Session(Engine& engine, const SessionOptions& options) : engine_(engine), options_(options) {}

  // Restricts the process to the CPUs asked for, opens the engine and loads the model.
  Status Load();
  // Makes room for this many positions. `needed_for` says in words what needs them.
  Status Reserve(int64_t positions, const std::string& needed_for);
  // Feeds tokens in chunks, behind what the KV cache holds.
  Status Feed(std::span<const int64_t> tokens);

  Engine& engine() { return engine_; }
  int64_t context_length() const { return context_length_; }
  int64_t load_ns() const { return load_ns_; }

 private:
  Status SettleContextLength();

  Engine& engine_;
  const SessionOptions& options_;
  int64_t context_length_ = 0;
  int64_t load_ns_ = 0;
};

struct StartFacts {
  std::string_view mode;
  int64_t prompt_tokens = 0;
  int64_t generate_tokens = 0;
  int64_t depth = 0;
  int64_t warmup = 0;
  int64_t repetitions = 0;
};

class RecordFile;
// Writes the `start` record.
Status WriteStart(RecordFile& records, Session& session, const SessionOptions& options,
                  const StartFacts& facts);

}  // namespace slm
