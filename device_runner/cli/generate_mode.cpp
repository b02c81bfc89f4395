#include "cli/generate_mode.h"

#include <vector>

#include "measure/start_record.h"
#include "records/record_writer.h"
#include "session/tokens.h"

namespace slm {
namespace {

class TokenRecords final : public TokenSink {
 public:
  explicit TokenRecords(RecordWriter& records) : records_(records) {}

  Status Take(int64_t token, int64_t ns) override {
    return records_.Write(records_.NewRecord("token").Add("id", token).Add("ns", ns));
  }

 private:
  RecordWriter& records_;
};

}  // namespace

void GenerateMode::AddFlags(Flags& flags) {
  run.AddRunFlags(flags);
  flags.Text("--prompt-file", prompt_file, "FILE", "token ids, separated by white space");
  flags.Required();
  flags.Integer("--max-tokens", generation.maximum_tokens, 1, int64_t{1} << 31, "most tokens to generate");
  flags.IntegerList("--stop-tokens", generation.stop_tokens,
                    "ids that end the generation; they are not printed");
  SamplingOptions& sampling = generation.sampling;
  flags.Number("--temperature", sampling.temperature, 0, 100, "0 is greedy");
  flags.Integer("--top-k", sampling.top_k, 0, int64_t{1} << 31, "keep the K likeliest tokens; 0 = all");
  flags.Number("--top-p", sampling.top_p, 0, 1, "keep the likeliest tokens up to this probability");
  flags.Integer("--seed", sampling.seed, 0, kNoLimit, "of the random choice");
}

Status GenerateMode::Run(Engine& engine, RecordSink& out, StopToken stop) const {
  std::vector<int64_t> prompt;
  if (Status status = ReadTokenFile(prompt_file, prompt); !status.ok()) return status;
  Session session(engine, run.session);
  if (Status status = session.Load(); !status.ok()) return status;
  if (Status status = CheckTokens(prompt, session.model().vocab_size, prompt_file); !status.ok()) {
    return status;
  }
  Generator text(session, stop);
  StartFacts facts;
  facts.mode = "generate";
  facts.prompt_tokens = static_cast<int64_t>(prompt.size());
  facts.generate_tokens = generation.maximum_tokens;
  if (Status status =
          text.Reserve(facts.prompt_tokens + facts.generate_tokens, "prompt and generated tokens");
      !status.ok()) {
    return status;
  }
  RecordWriter records(run.run_id, {&out});
  if (Status status = WriteStart(records, session, facts); !status.ok()) return status;
  TokenRecords sink(records);
  if (Status status = text.Generate(prompt, generation, sink); !status.ok()) return status;
  return records.Finish();
}

}  // namespace slm
