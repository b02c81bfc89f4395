#include "session/session.h"

#include <algorithm>

#include "engine/clock.h"

namespace slm {
namespace {

// No device has as many CPUs, and an engine that is asked for more may end the process.
constexpr int64_t kMaximumThreads = 1024;

}  // namespace

Status SessionOptions::Check() const {
  if (threads <= kMaximumThreads) return {};
  return {ErrorKind::kThreads, names.threads + ": " + std::to_string(threads) +
                                   " threads are more than the " + std::to_string(kMaximumThreads) +
                                   " of any device; this process may use " + std::to_string(AvailableCpus()) +
                                   " CPUs"};
}

EngineOptions SessionOptions::ForEngine() const {
  EngineOptions engine;
  engine.library = engine_library;
  engine.executable = executable;
  engine.model = model;
  engine.threads = static_cast<int>(threads);
  engine.kernels = kernels;
  engine.trace = trace;
  engine.settings = engine_settings;
  // With more or fewer CPUs than threads, which thread belongs where is the scheduler's to say.
  if (static_cast<int64_t>(affinity.size()) == threads) {
    engine.thread_cpus.assign(affinity.begin(), affinity.end());
  }
  return engine;
}

Status Session::Restrict(const std::vector<int64_t>& cpus) const {
  const Status status = RestrictToCpus(cpus);
  return status.ok() ? status : Status(status.kind(), options_.names.affinity + ": " + status.message());
}

Status Session::Load() {
  if (Status status = options_.Check(); !status.ok()) return status;
  if (!options_.affinity.empty()) {
    cpus_before_.emplace();
    if (Status status = Restrict(options_.affinity); !status.ok()) return status;
  }
  const EngineOptions engine_options = options_.ForEngine();
  if (Status status = engine_.Open(engine_options); !status.ok()) return status;
  Stopwatch watch;
  if (Status status = engine_.Load(engine_options, watch); !status.ok()) return status;
  load_ns_ = watch.ns();
  // The engine has placed its own threads; this thread works along with them as the first.
  if (!engine_options.thread_cpus.empty()) {
    if (Status status = Restrict({engine_options.thread_cpus.front()}); !status.ok()) return status;
  }
  const int64_t per_call = model().maximum_tokens_per_call;
  prefill_chunk_ = per_call == 0 ? options_.prefill_chunk : std::min(options_.prefill_chunk, per_call);
  return SettleContextLength();
}

Status Session::SettleContextLength() {
  const int64_t of_model = model().context_length;
  const int64_t asked = options_.context_length;
  if (of_model == 0 && asked == 0) {
    return {ErrorKind::kModelInterface, options_.model + ": does not say its context length; pass " +
                                            options_.names.context_length + " N"};
  }
  if (of_model != 0 && asked > of_model) {
    return {ErrorKind::kContextExceeded, options_.names.context_length + " " + std::to_string(asked) +
                                             " exceeds the model's context length " +
                                             std::to_string(of_model)};
  }
  context_length_ = asked != 0 ? asked : of_model;
  return {};
}

}  // namespace slm
