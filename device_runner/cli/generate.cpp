#include "cli/generate.h"

#include <algorithm>

#include "engine/clock.h"
#include "records/record_file.h"
#include "session/tokens.h"

namespace slm {
namespace {

Status WriteTokens(Session& session, RecordFile& records, const GenerateOptions& options,
                   const std::vector<int64_t>& prompt) {
  Sampler sampler(options.sampling);
  int64_t before = MonotonicNs();
  if (Status status = session.Feed(prompt); !status.ok()) return status;
  for (int64_t count = 0;;) {
    const int64_t token = sampler.Choose(session.engine().logits());
    if (token < 0) return {ExitCode::kRunFailed, "the logits hold no number"};
    const int64_t after = MonotonicNs();
    if (std::find(options.stop_tokens.begin(), options.stop_tokens.end(), token) !=
        options.stop_tokens.end()) {
      return {};
    }
    const Status written =
        records.Write(records.NewRecord("token").Add("id", token).Add("ns", after - before));
    if (!written.ok() || ++count == options.max_tokens) return written;
    before = MonotonicNs();
    if (Status status = session.Feed({&token, 1}); !status.ok()) return status;
  }
}

}  // namespace

void GenerateOptions::AddFlags(Flags& flags) {
  session.AddRunFlags(flags);
  flags.Text("--prompt-file", prompt_file, "FILE", "token ids, separated by white space");
  flags.Required();
  flags.Integer("--max-tokens", max_tokens, 1, int64_t{1} << 31, "most tokens to generate");
  flags.IntegerList("--stop-tokens", stop_tokens, "ids that end the generation; they are not printed");
  flags.Number("--temperature", sampling.temperature, 0, 100, "0 is greedy");
  flags.Integer("--top-k", sampling.top_k, 0, int64_t{1} << 31, "keep the K likeliest tokens; 0 = all");
  flags.Number("--top-p", sampling.top_p, 0, 1, "keep the likeliest tokens up to this probability");
  flags.Integer("--seed", sampling.seed, 0, Flags::kNoLimit, "of the random choice");
}

Status RunGenerate(Engine& engine, const GenerateOptions& options) {
  std::vector<int64_t> prompt;
  if (Status status = ReadTokenFile(options.prompt_file, prompt); !status.ok()) return status;
  Session session(engine, options.session);
  if (Status status = session.Load(); !status.ok()) return status;
  if (Status status = CheckTokens(prompt, engine.model().vocab_size, options.prompt_file); !status.ok()) {
    return status;
  }
  const auto prompt_tokens = static_cast<int64_t>(prompt.size());
  if (Status status = session.Reserve(prompt_tokens + options.max_tokens, "prompt and generated tokens");
      !status.ok()) {
    return status;
  }
  engine.Clear();

  RecordFile records("", options.session.run_id);
  StartFacts facts;
  facts.mode = "generate";
  facts.prompt_tokens = prompt_tokens;
  facts.generate_tokens = options.max_tokens;
  if (Status status = WriteStart(records, session, options.session, facts); !status.ok()) return status;
  if (Status status = WriteTokens(session, records, options, prompt); !status.ok()) return status;
  return records.Finish();
}

}  // namespace slm
