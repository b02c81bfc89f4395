#include "cli/profile_mode.h"

#include "cli/request_words.h"
#include "measure/page_cache.h"
#include "records/record_file.h"
#include "records/record_writer.h"
#include "session/tokens.h"

namespace slm {
namespace {

Status CheckTogether(const std::string& one, const std::string& other, const std::string& names) {
  return one.empty() == other.empty() ? Status() : Status(ErrorKind::kUsage, names + " go together");
}

// A day.
constexpr int64_t kMaximumRepeatSeconds = 86'400;

Status ReadReference(const std::string& prompt, const std::string& continuation, Reference& reference) {
  if (prompt.empty()) return {};
  reference.prompt_source = prompt;
  reference.continuation_source = continuation;
  if (Status status = ReadTokenFile(prompt, reference.prompt); !status.ok()) return status;
  return ReadTokenFile(continuation, reference.continuation);
}

void AddGateFlags(Flags& flags, GateOptions& gate) {
  flags.Text("--gate-dir", gate.folder, "DIR", "wait for the file DIR/open-INDEX before each repetition");
  flags.Integer("--gate-timeout", gate.timeout_s, 1, 1 << 20,
                "seconds to wait for it; then the host counts as gone and the gate as unattended");
}

void AddPowerFlags(Flags& flags, PowerOptions& power) {
  flags.Text("--power-current", power.current_file, "FILE",
             "the battery's current_now, sampled beside the run");
  flags.Text("--power-voltage", power.voltage_file, "FILE", "the battery's voltage_now");
  flags.Integer("--power-interval-ms", power.interval_ms, 1, 60'000, "milliseconds between two samples");
  flags.Integer("--power-baseline-ms", power.baseline_ms, 1, 3'600'000,
                "how long to sample the idle device before the first repetition");
}

}  // namespace

void ProfileMode::AddFlags(Flags& flags) {
  run.AddRunFlags(flags);
  flags.Text("--output", output, "FILE", "result file, written as FILE.part until it is whole");
  flags.Required();
  flags.Integer("--prompt-tokens", profile.prompt_tokens, 1, kMaximumTokens, "tokens in the timed prefill");
  flags.Integer("--generate-tokens", profile.generate_tokens, 1, kMaximumTokens,
                "tokens generated; the first belongs to prefill");
  flags.Integer("--depth", profile.depth, 0, kMaximumTokens,
                "tokens in the KV cache before the timed prefill");
  flags.Integer("--repetitions", profile.repetitions, 1, 1 << 20, "measured repetitions");
  flags.Integer("--repeat-seconds", profile.repeat_s, 0, kMaximumRepeatSeconds,
                "go on repeating until so long after the first measured repetition began");
  flags.Text(
      "--reserve", reserve, "WHAT",
      "run: the cache has room for the run's positions; context: for the model's whole context, all of it "
      "in memory");
  flags.Integer("--warmup", profile.warmup, 0, 1 << 20, "repetitions before them that do not count");
  flags.Text("--reference-prompt", reference_prompt, "FILE", "token ids of the reference text's beginning");
  flags.Text("--reference-continuation", reference_continuation, "FILE",
             "token ids of the rest; the greedy token at each of their positions is recorded");
  flags.Text("--trace", run.session.trace, "PREFIX",
             "write the engine's trace of operators to PREFIX_*; times of such a run are not measurements");
  flags.Text("--page-cache", page_cache, "STATE",
             "cold: the model's files are dropped from memory before it is loaded; warm: they are read");
  AddGateFlags(flags, profile.gate);
  AddPowerFlags(flags, profile.power);
}

Status ProfileMode::Run(Engine& engine, RecordSink& out, StopToken stop) const {
  ProfileOptions options = profile;
  if (reserve != "run" && reserve != "context") {
    return {ErrorKind::kUsage, "--reserve: '" + reserve + "' is neither run nor context"};
  }
  options.reserves_context = reserve == "context";
  if (Status status = CheckTogether(reference_prompt, reference_continuation,
                                    "--reference-prompt and --reference-continuation");
      !status.ok()) {
    return status;
  }
  if (Status status = ReadReference(reference_prompt, reference_continuation, options.reference);
      !status.ok()) {
    return status;
  }
  if (Status status = CheckTogether(options.power.current_file, options.power.voltage_file,
                                    "--power-current and --power-voltage");
      !status.ok()) {
    return status;
  }
  if (Status status = PreparePageCache(page_cache, run.session.model); !status.ok()) return status;
  RecordFile file(output);
  if (Status status = file.Open(); !status.ok()) return status;
  RecordWriter records(run.run_id, {&file, &out});
  return RunProfile(engine, run.session, options, records, stop);
}

}  // namespace slm
