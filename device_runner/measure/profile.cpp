#include "measure/profile.h"

#include <algorithm>
#include <optional>
#include <span>

#include "engine/clock.h"
#include "measure/memory.h"
#include "measure/memory_parts.h"
#include "measure/start_record.h"
#include "session/generator.h"
#include "session/tokens.h"

namespace slm {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

struct RepetitionTimes {
  int64_t started_unix_ns = 0;
  int64_t started_ns = 0;
  int64_t prefill_ns = 0;
  std::vector<int64_t> decode_ns;
};

// One prefill and the decode steps after it. Nothing here allocates: times.decode_ns has its size already.
Status Repeat(Generator& text, std::span<const int64_t> depth, std::span<const int64_t> prompt,
              RepetitionTimes& times) {
  if (Status status = text.Rewind(0); !status.ok()) return status;
  if (Status status = text.Feed(depth); !status.ok()) return status;

  int64_t token = 0;
  times.started_unix_ns = UnixNs();
  times.started_ns = MonotonicNs();
  if (Status status = text.Feed(prompt); !status.ok()) return status;
  if (Status status = text.Greedy(token); !status.ok()) return status;
  int64_t after = MonotonicNs();
  times.prefill_ns = after - times.started_ns;

  for (int64_t& step_ns : times.decode_ns) {
    const int64_t before = after;
    if (Status status = text.Feed({&token, 1}); !status.ok()) return status;
    if (Status status = text.Greedy(token); !status.ok()) return status;
    after = MonotonicNs();
    step_ns = after - before;
  }
  return {};
}

// The greedy token at every position of the reference. What is fed is the reference's own token, not ours:
// one near tie that falls the other way must not make every later token differ as well.
Status WriteGreedy(Generator& text, RecordWriter& records, const Reference& reference) {
  if (Status status = text.Feed(reference.prompt); !status.ok()) return status;
  std::vector<int64_t> tokens(reference.continuation.size());
  for (size_t index = 0; index < tokens.size(); ++index) {
    if (Status status = text.Greedy(tokens[index]); !status.ok()) return status;
    if (index + 1 == tokens.size()) break;
    if (Status status = text.Feed({&reference.continuation[index], 1}); !status.ok()) return status;
  }
  const std::vector<int64_t>& prompt = reference.prompt;
  return records.Write(records.NewRecord("greedy").Add("prompt_ids", prompt).Add("token_ids", tokens));
}

Status WriteRepetitions(Generator& text, RecordWriter& records, PowerSampler& power,
                        const ProfileOptions& options, int64_t vocab_size, StopToken stop) {
  const std::vector<int64_t> tokens = SyntheticTokens(options.depth + options.prompt_tokens, vocab_size);
  const std::span<const int64_t> all(tokens);
  const auto depth = all.first(static_cast<size_t>(options.depth));
  const auto prompt = all.subspan(static_cast<size_t>(options.depth));
  RepetitionTimes times;
  times.decode_ns.resize(static_cast<size_t>(options.generate_tokens - 1));
  Gate gate(options.gate, records, stop);
  Stopwatch since_first;
  const auto goes_on = [&](int64_t index) {
    return index < options.warmup + options.repetitions || since_first.ns() < options.repeat_s * kNsPerSecond;
  };
  for (int64_t index = 0; goes_on(index); ++index) {
    if (Status status = gate.Await(index); !status.ok()) return status;
    // Behind the first gate: the device is as cool and idle as it is before the repetitions.
    if (index == 0) {
      if (Status status = power.MeasureBaseline(stop); !status.ok()) return status;
    }
    if (index == options.warmup) since_first.Restart();
    if (Status status = Repeat(text, depth, prompt, times); !status.ok()) return status;
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

Status CheckReference(const Reference& reference, int64_t vocab_size) {
  Status status = CheckTokens(reference.prompt, vocab_size, reference.prompt_source);
  return status.ok() ? CheckTokens(reference.continuation, vocab_size, reference.continuation_source)
                     : status;
}

Status ReserveStates(Generator& text, Session& session, const ProfileOptions& options) {
  const int64_t timed = options.depth + options.prompt_tokens + options.generate_tokens;
  const int64_t of_reference = options.reference.size();
  const int64_t needed = std::max(timed, of_reference);
  const std::string needed_for = of_reference > timed ? "the reference prompt and its continuation"
                                                      : "depth, prompt and generated tokens";
  if (!options.reserves_context) return text.Reserve(needed, needed_for);
  const int64_t whole = std::max(session.context_length(), needed);
  if (Status status = text.Reserve(whole, needed_for); !status.ok()) return status;
  return session.engine().TouchStates();
}

// The peak is taken first: looking at its parts costs memory, too.
Status WriteMemory(MemorySampler& memory, RecordWriter& records, std::optional<int64_t> after_load_bytes,
                   const std::string& model, const HeldMemory& held) {
  const MemoryPeaks peaks = memory.Peaks();
  JsonObject record = records.NewRecord("memory");
  record.Add("method", peaks.method)
      .Add("peak_bytes", peaks.peak_bytes)
      .Add("vm_hwm_bytes", peaks.vm_hwm_bytes)
      .Add("max_rss_swap_bytes", peaks.max_rss_swap_bytes)
      .Add("max_swap_bytes", peaks.max_swap_bytes)
      .Add("after_load_bytes", after_load_bytes)
      .Add("major_faults", peaks.major_faults)
      .Add("samples", peaks.samples)
      .Add("interval_ms", MemorySampler::kIntervalMs);
  AddMemoryParts(record, model, held);
  return records.Write(record);
}

}  // namespace

Status RunProfile(Engine& engine, const SessionOptions& session_options, const ProfileOptions& options,
                  RecordWriter& records, StopToken stop) {
  // Threads that sample start before this one is bound to a CPU of its own.
  MemorySampler memory;
  PowerSampler power(options.power);
  Session session(engine, session_options);
  if (Status status = session.Load(); !status.ok()) return status;
  const std::optional<int64_t> after_load_bytes = memory.CurrentBytes();
  const int64_t vocab_size = session.model().vocab_size;
  const Reference& reference = options.reference;
  if (Status status = CheckReference(reference, vocab_size); !status.ok()) return status;
  Generator text(session, stop);
  if (Status status = ReserveStates(text, session, options); !status.ok()) return status;

  StartFacts facts{"profile",
                   options.prompt_tokens,
                   options.generate_tokens,
                   options.depth,
                   options.warmup,
                   options.repetitions,
                   options.repeat_s,
                   options.reserves_context ? "context" : "run"};
  if (Status status = WriteStart(records, session, facts); !status.ok()) return status;
  if (reference.size() > 0) {
    if (Status status = WriteGreedy(text, records, reference); !status.ok()) return status;
  }
  if (Status status = WriteRepetitions(text, records, power, options, vocab_size, stop); !status.ok()) {
    return status;
  }
  if (Status status = power.Write(records); !status.ok()) return status;
  if (Status status =
          WriteMemory(memory, records, after_load_bytes, session_options.model, engine.held_memory());
      !status.ok()) {
    return status;
  }
  return records.Finish();
}

}  // namespace slm
