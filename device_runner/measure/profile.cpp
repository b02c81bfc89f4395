#include "measure/profile.h"

#include <algorithm>

#include "cli/signals.h"
#include "engine/clock.h"
#include "measure/memory.h"
#include "records/record_file.h"
#include "session/sampling.h"
#include "session/tokens.h"

namespace slm {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 31;

Status GreedyToken(Engine& engine, int64_t& token) {
  token = ArgMax(engine.logits());
  return token < 0 ? Status(ExitCode::kRunFailed, "the logits hold no number") : Status();
}

struct RepetitionTimes {
  int64_t started_unix_ns = 0;
  int64_t started_ns = 0;
  int64_t prefill_ns = 0;
  std::vector<int64_t> decode_ns;
};

// One prefill and the decode steps after it. Nothing here allocates: times.decode_ns has its size already.
Status Repeat(Session& session, std::span<const int64_t> depth, std::span<const int64_t> prompt,
              RepetitionTimes& times) {
  Engine& engine = session.engine();
  engine.Clear();
  if (Status status = session.Feed(depth); !status.ok()) return status;

  int64_t token = 0;
  times.started_unix_ns = UnixNs();
  times.started_ns = MonotonicNs();
  if (Status status = session.Feed(prompt); !status.ok()) return status;
  if (Status status = GreedyToken(engine, token); !status.ok()) return status;
  int64_t after = MonotonicNs();
  times.prefill_ns = after - times.started_ns;

  for (int64_t& step_ns : times.decode_ns) {
    if (Status status = CheckSignals(); !status.ok()) return status;
    const int64_t before = after;
    if (Status status = engine.Forward({&token, 1}); !status.ok()) return status;
    if (Status status = GreedyToken(engine, token); !status.ok()) return status;
    after = MonotonicNs();
    step_ns = after - before;
  }
  return {};
}

struct Reference {
  std::vector<int64_t> prompt;
  std::vector<int64_t> continuation;

  int64_t size() const { return static_cast<int64_t>(prompt.size() + continuation.size()); }
};

// The greedy token at every position of the reference. What is fed is the reference's own token, not ours:
// one near tie that falls the other way must not make every later token differ as well.
Status WriteGreedy(Session& session, RecordFile& records, const Reference& reference) {
  Engine& engine = session.engine();
  engine.Clear();
  if (Status status = session.Feed(reference.prompt); !status.ok()) return status;
  std::vector<int64_t> tokens(reference.continuation.size());
  for (size_t index = 0; index < tokens.size(); ++index) {
    if (Status status = GreedyToken(engine, tokens[index]); !status.ok()) return status;
    if (index + 1 == tokens.size()) break;
    if (Status status = session.Feed({&reference.continuation[index], 1}); !status.ok()) return status;
  }
  const std::vector<int64_t>& prompt = reference.prompt;
  return records.Write(records.NewRecord("greedy").Add("prompt_ids", prompt).Add("token_ids", tokens));
}

Status WriteRepetitions(Session& session, RecordFile& records, PowerSampler& power,
                        const ProfileOptions& options) {
  const std::vector<int64_t> tokens =
      SyntheticTokens(options.depth + options.prompt_tokens, session.engine().model().vocab_size);
  const std::span<const int64_t> all(tokens);
  const auto depth = all.first(static_cast<size_t>(options.depth));
  const auto prompt = all.subspan(static_cast<size_t>(options.depth));
  RepetitionTimes times;
  times.decode_ns.resize(static_cast<size_t>(options.generate_tokens - 1));
  Gate gate(options.gate, records);
  for (int64_t index = 0; index < options.warmup + options.repetitions; ++index) {
    if (Status status = gate.Await(index); !status.ok()) return status;
    // Behind the first gate: the device is as cool and idle as it is before the repetitions.
    if (index == 0) {
      if (Status status = power.MeasureBaseline(); !status.ok()) return status;
    }
    if (Status status = Repeat(session, depth, prompt, times); !status.ok()) return status;
    const Status status = records.Write(records.NewRecord("repetition")
                                            .Add("index", index)
                                            .Add("warmup", index < options.warmup)
                                            .Add("gate", gate.outcome())
                                            .Add("gate_wait_ns", gate.waited_ns())
                                            .Add("started_unix_ns", times.started_unix_ns)
                                            .Add("started_ns", times.started_ns)
                                            .Add("prefill_ns", times.prefill_ns)
                                            .Add("decode_ns", times.decode_ns)
                                            .Add("generated_tokens", options.generate_tokens));
    if (!status.ok()) return status;
  }
  return {};
}

Status ReadReference(const ProfileOptions& options, Reference& reference) {
  if (options.reference_prompt.empty() != options.reference_continuation.empty()) {
    return {ExitCode::kUsage, "--reference-prompt and --reference-continuation go together"};
  }
  if (options.reference_prompt.empty()) return {};
  if (Status status = ReadTokenFile(options.reference_prompt, reference.prompt); !status.ok()) return status;
  return ReadTokenFile(options.reference_continuation, reference.continuation);
}

Status WriteMemory(MemorySampler& memory, RecordFile& records, int64_t after_load_bytes) {
  const MemoryPeaks peaks = memory.Peaks();
  return records.Write(records.NewRecord("memory")
                           .Add("method", peaks.method)
                           .Add("peak_bytes", peaks.peak_bytes)
                           .Add("vm_hwm_bytes", peaks.vm_hwm_bytes)
                           .Add("max_rss_swap_bytes", peaks.max_rss_swap_bytes)
                           .Add("max_swap_bytes", peaks.max_swap_bytes)
                           .Add("after_load_bytes", after_load_bytes)
                           .Add("major_faults", peaks.major_faults)
                           .Add("samples", peaks.samples)
                           .Add("interval_ms", MemorySampler::kIntervalMs));
}

}  // namespace

void ProfileOptions::AddFlags(Flags& flags) {
  session.AddRunFlags(flags);
  flags.Text("--output", output, "FILE", "result file, written as FILE.part until it is whole");
  flags.Required();
  flags.Integer("--prompt-tokens", prompt_tokens, 1, kMostTokens, "tokens in the timed prefill");
  flags.Integer("--generate-tokens", generate_tokens, 1, kMostTokens,
                "tokens generated; the first belongs to prefill");
  flags.Integer("--depth", depth, 0, kMostTokens, "tokens in the KV cache before the timed prefill");
  flags.Integer("--repetitions", repetitions, 1, 1 << 20, "measured repetitions");
  flags.Integer("--warmup", warmup, 0, 1 << 20, "repetitions before them that do not count");
  flags.Text("--reference-prompt", reference_prompt, "FILE", "token ids of the reference text's beginning");
  flags.Text("--reference-continuation", reference_continuation, "FILE",
             "token ids of the rest; the greedy token at each of their positions is recorded");
  gate.AddFlags(flags);
  power.AddFlags(flags);
}

Status RunProfile(Engine& engine, const ProfileOptions& options) {
  Reference reference;
  if (Status status = ReadReference(options, reference); !status.ok()) return status;
  if (Status status = options.power.Check(); !status.ok()) return status;
  RecordFile records(options.output, options.session.run_id);
  if (Status status = records.Open(); !status.ok()) return status;

  MemorySampler memory;
  Session session(engine, options.session);
  if (Status status = session.Load(); !status.ok()) return status;
  const int64_t after_load_bytes = memory.CurrentBytes();
  const int64_t vocab_size = engine.model().vocab_size;
  if (Status status = CheckTokens(reference.prompt, vocab_size, options.reference_prompt); !status.ok()) {
    return status;
  }
  if (Status status = CheckTokens(reference.continuation, vocab_size, options.reference_continuation);
      !status.ok()) {
    return status;
  }
  const int64_t timed = options.depth + options.prompt_tokens + options.generate_tokens;
  const std::string needed_for = reference.size() > timed ? "the reference prompt and its continuation"
                                                          : "depth, prompt and generated tokens";
  if (Status status = session.Reserve(std::max(timed, reference.size()), needed_for); !status.ok())
    return status;

  StartFacts facts{"profile",     options.prompt_tokens, options.generate_tokens,
                   options.depth, options.warmup,        options.repetitions};
  if (Status status = WriteStart(records, session, options.session, facts); !status.ok()) return status;
  if (reference.size() > 0) {
    if (Status status = WriteGreedy(session, records, reference); !status.ok()) return status;
  }
  PowerSampler power(options.power);
  if (Status status = WriteRepetitions(session, records, power, options); !status.ok()) return status;
  if (Status status = power.Write(records); !status.ok()) return status;
  if (Status status = WriteMemory(memory, records, after_load_bytes); !status.ok()) return status;
  return records.Finish();
}

}  // namespace slm
