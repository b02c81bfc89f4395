// What the protocol loops need from an inference engine. One executable holds one engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/clock.h"
#include "engine/status.h"

namespace slm {

// -1 stands for a dimension that is known only at run time.
struct TensorFacts {
  std::string name;
  std::string type;
  std::vector<int64_t> shape;
};

// What the model keeps from token to token; -1 stands for the tokens seen so far.
struct StateFacts {
  std::string name;
  std::string type;
  std::vector<int64_t> shape;
};

struct ModelFacts {
  int64_t vocab_size = 0;
  // Most positions the model can hold; 0 when the file does not say.
  int64_t context_length = 0;
  // Most tokens that one Forward takes; 0 when any number will do.
  int64_t maximum_tokens_per_call = 0;
  // Layers that keep something; 0 when the file does not say.
  int64_t layers = 0;
  // Of the KV cache; 0 when the file does not say, and where layers differ.
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  // Empty when the file does not say.
  std::vector<StateFacts> states;
  std::vector<TensorFacts> inputs;
  std::vector<TensorFacts> outputs;
};

struct EngineOptions {
  // Shared library of the engine; empty looks beside the executable, then on the loader's path.
  std::string library;
  std::string executable;
  std::string model;
  int threads = 1;
  // One CPU per engine thread, the calling thread first; empty leaves placement to the system.
  std::vector<int> thread_cpus;
  // "own": the runner's kernels where it has them, the engine's otherwise; "engine"; or one of kernel_sets().
  std::string kernels = "own";
  // How the names of the files begin that the engine writes its trace of operators into; empty: it traces
  // nothing, which costs nothing.
  std::string trace;
  // Passed on as they are; what they mean is the engine's business.
  std::vector<std::pair<std::string, std::string>> settings;
};

using MemoryRanges = std::vector<std::span<const std::byte>>;

// Where an engine keeps what it holds; what has been touched of it is in memory. Nothing where it cannot
// tell.
struct HeldMemory {
  // Weights in the order in which the runner's kernels read them.
  std::optional<MemoryRanges> packed_weights;
  // Of the text: KV cache and what else the model keeps from token to token.
  std::optional<MemoryRanges> states;
};

// Call order: Open, Load, Reserve, then Rewind and Forward as often as wanted. No call throws. An engine
// holds one model and one text's state.
class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  virtual std::string_view name() const = 0;
  virtual std::string version() const = 0;
  // Version of the C interface that the runner was built with; 0 where the engine has none.
  virtual int interface_version() const = 0;

  // Finds the engine's library and asks it for the interface.
  virtual Status Open(const EngineOptions& options) = 0;
  // What the library can hand work to, by the engine's names; it is open.
  virtual std::vector<std::string> providers() const = 0;
  // Loads the model and reads model(). Restarts `watch` when an attempt has failed and another begins.
  virtual Status Load(const EngineOptions& options, Stopwatch& watch) = 0;
  virtual const ModelFacts& model() const = 0;
  // The runner's kernels that this CPU can run, as `EngineOptions::kernels` names them, the fastest first.
  virtual std::vector<std::string> kernel_sets() const { return {}; }
  // Whose kernels the loaded model runs on: "engine", or e.g. "own:avx512vnni".
  virtual std::string kernels() const { return "engine"; }
  // Valid until the next call.
  virtual HeldMemory held_memory() const { return {}; }

  // Allocates everything that Forward needs for kv_length positions, fed at most max_tokens at a time, and
  // starts an empty text.
  virtual Status Reserve(int64_t kv_length, int64_t max_tokens) = 0;
  // Brings all the memory that was reserved for the text's states into the process, before anything is fed.
  // Nothing to do for an engine whose Reserve has touched it.
  virtual Status TouchStates() { return {}; }
  // The last position, `position` at most, that Rewind can go to; 0 is always possible. States that grow with
  // the text can be cut anywhere. One of fixed size holds the whole text, and can only become what it was at
  // the checkpoint.
  virtual int64_t RewindsTo(int64_t position) const { return position; }
  // Forgets all tokens but the first `position`, which is one that RewindsTo gives: the next token gets that
  // position. A later checkpoint is forgotten, too.
  virtual Status Rewind(int64_t position) = 0;
  // Keeps the states of fixed size as they are here, in place of an earlier checkpoint.
  virtual Status Checkpoint() { return {}; }
  // Appends tokens, at most model().maximum_tokens_per_call, behind those fed so far and computes the logits
  // after the last of them.
  virtual Status Forward(std::span<const int64_t> tokens) = 0;
  // Logits [vocab] of the last position fed; valid until the next Forward.
  virtual std::span<const float> logits() const = 0;
};

}  // namespace slm
