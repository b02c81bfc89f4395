#include "session/session.h"

#include <algorithm>

#include "cli/info.h"
#include "cli/signals.h"
#include "engine/affinity.h"
#include "engine/clock.h"
#include "records/record_file.h"

namespace slm {

void SessionOptions::AddEngineFlags(Flags& flags) {
  flags.Text("--engine-library", engine_library, "PATH",
             "the engine's shared library; looked for beside the runner, in lib/ and on the loader's path");
  flags.KeyValues("--engine-option", engine_settings, "setting passed to the engine as it is; repeatable");
  flags.Choice("--kernels", kernels, {"own", "engine"}, "whose kernels multiply with quantized weights");
  flags.Integer("--threads", threads, 1, 1024, "engine threads, the calling one included");
}

void SessionOptions::AddRunFlags(Flags& flags) {
  flags.Text("--model", model, "PATH", "the artifact's folder or the model file");
  flags.Required();
  flags.Text("--run-id", run_id, "ID", "goes into every record");
  AddEngineFlags(flags);
  flags.IntegerList("--affinity", affinity, "CPUs that the process may use; one per thread pins each thread");
  flags.Integer("--context", context_length, 0, Flags::kNoLimit,
                "most positions to allow; 0 = the model's own");
  flags.Integer("--prefill-chunk", prefill_chunk, 1, 1 << 20, "most tokens fed to the engine at once");
}

EngineOptions SessionOptions::ForEngine() const {
  EngineOptions engine;
  engine.library = engine_library;
  engine.executable = executable;
  engine.model = model;
  engine.threads = static_cast<int>(threads);
  engine.own_kernels = kernels == "own";
  engine.settings = engine_settings;
  // With more or fewer CPUs than threads, which thread belongs where is the scheduler's to say.
  if (static_cast<int64_t>(affinity.size()) == threads) {
    engine.thread_cpus.assign(affinity.begin(), affinity.end());
  }
  return engine;
}

Status Session::Load() {
  if (!options_.affinity.empty()) {
    if (Status status = RestrictToCpus(options_.affinity); !status.ok()) return status;
  }
  const EngineOptions engine_options = options_.ForEngine();
  if (Status status = engine_.Open(engine_options); !status.ok()) return status;
  const int64_t started = MonotonicNs();
  if (Status status = engine_.Load(engine_options); !status.ok()) return status;
  load_ns_ = MonotonicNs() - started;
  // The engine has placed its own threads; this thread works along with them as the first.
  if (!engine_options.thread_cpus.empty()) {
    if (Status status = RestrictToCpus({engine_options.thread_cpus.front()}); !status.ok()) return status;
  }
  return SettleContextLength();
}

Status Session::SettleContextLength() {
  const int64_t of_model = engine_.model().context_length;
  const int64_t asked = options_.context_length;
  if (of_model == 0 && asked == 0) {
    return {ExitCode::kModelInterface,
            options_.model + ": does not say its context length; pass --context N"};
  }
  if (of_model != 0 && asked > of_model) {
    return {ExitCode::kContextExceeded, "--context " + std::to_string(asked) +
                                            " exceeds the model's context length " +
                                            std::to_string(of_model)};
  }
  context_length_ = asked != 0 ? asked : of_model;
  return {};
}

Status Session::Reserve(int64_t positions, const std::string& needed_for) {
  if (positions > context_length_) {
    return {ExitCode::kContextExceeded, needed_for + " need " + std::to_string(positions) +
                                            " positions, the context length is " +
                                            std::to_string(context_length_)};
  }
  return engine_.Reserve(positions, std::min(positions, options_.prefill_chunk));
}

Status Session::Feed(std::span<const int64_t> tokens) {
  while (!tokens.empty()) {
    if (Status status = CheckSignals(); !status.ok()) return status;
    const size_t length = std::min(tokens.size(), static_cast<size_t>(options_.prefill_chunk));
    if (Status status = engine_.Forward(tokens.first(length)); !status.ok()) return status;
    tokens = tokens.subspan(length);
  }
  return {};
}

Status WriteStart(RecordFile& records, Session& session, const SessionOptions& options,
                  const StartFacts& facts) {
  return records.Write(records.NewRecord("start")
                           .Add("schema", "slm-result/1")
                           .Add("mode", facts.mode)
                           .Add("engine", session.engine().name())
                           .Add("engine_version", session.engine().version())
                           .Add("kernels", session.engine().kernels())
                           .Add("runner_version", RunnerVersion())
                           .Add("abi", Abi())
                           .Add("threads", options.threads)
                           .Add("affinity", options.affinity)
                           .Add("prompt_tokens", facts.prompt_tokens)
                           .Add("generate_tokens", facts.generate_tokens)
                           .Add("depth", facts.depth)
                           .Add("prefill_chunk", options.prefill_chunk)
                           .Add("context_length", session.context_length())
                           .Add("warmup", facts.warmup)
                           .Add("repetitions", facts.repetitions)
                           .Add("load_ns", session.load_ns())
                           .Add("started_unix_ns", UnixNs()));
}

}  // namespace slm
