// An engine with a model in it: what texts share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/affinity.h"
#include "engine/engine.h"
#include "engine/status.h"

namespace slm {

// What messages call the settings: a program that takes them as flags puts the flags' names here.
struct SettingNames {
  std::string affinity = "affinity";
  std::string threads = "threads";
  std::string context_length = "context_length";
};

struct SessionOptions {
  std::string executable;
  std::string model;
  std::string engine_library;
  std::vector<std::pair<std::string, std::string>> engine_settings;
  // As in EngineOptions.
  std::string kernels = "own";
  // As in EngineOptions.
  std::string trace;
  int64_t threads = 1;
  // CPUs that the calling thread and the engine's may use; empty leaves that to the system.
  std::vector<int64_t> affinity;
  // 0 takes the model's own.
  int64_t context_length = 0;
  // Most tokens fed to the engine at once.
  int64_t prefill_chunk = 512;
  SettingNames names;

  // Not ok where no device could do it.
  Status Check() const;
  EngineOptions ForEngine() const;
};

class Session {
 public:
  // The engine is fresh and outlives the session.
  Session(Engine& engine, SessionOptions options) : engine_(engine), options_(std::move(options)) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Restricts the calling thread to the CPUs asked for until the session ends, opens the engine and loads the
  // model.
  Status Load();

  Engine& engine() { return engine_; }
  const ModelFacts& model() const { return engine_.model(); }
  const SessionOptions& options() const { return options_; }
  int64_t context_length() const { return context_length_; }
  // Most tokens fed to the engine at once: as asked for, but no more than one call takes.
  int64_t prefill_chunk() const { return prefill_chunk_; }
  // From the beginning of the attempt that succeeded until the model was there.
  int64_t load_ns() const { return load_ns_; }

 private:
  friend class Generator;

  Status SettleContextLength();
  Status Restrict(const std::vector<int64_t>& cpus) const;

  Engine& engine_;
  const SessionOptions options_;
  std::optional<KeptCpus> cpus_before_;
  int64_t context_length_ = 0;
  int64_t prefill_chunk_ = 0;
  int64_t load_ns_ = 0;
  // The engine holds the state of one text.
  bool has_generator_ = false;
};

}  // namespace slm
