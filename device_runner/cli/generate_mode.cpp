#include "cli/generate_mode.h"

#include <vector>

#include "measure/start_record.h"
#include "records/record_writer.h"
#include "session/tokens.h"

namespace slm {
namespace {

class TokenRecords final : public TokenSink {
 public:
  TokenRecords(RecordWriter& records, const std::optional<Tokenizer>& words) : records_(records) {
    if (words) text_.emplace(*words);
  }

  Status Take(int64_t token, int64_t ns) override {
    JsonObject record = records_.NewRecord("token").Add("id", token).Add("ns", ns);
    if (text_) record.Add("text", text_->Take(token));
    return records_.Write(record);
  }

  // What the last token has begun and no other one has finished.
  Status Finish() {
    const std::string rest = text_ ? text_->Finish() : std::string();
    return rest.empty() ? Status() : records_.Write(records_.NewRecord("text").Add("text", rest));
  }

 private:
  RecordWriter& records_;
  std::optional<TextStream> text_;
};

}  // namespace

void GenerateMode::AddFlags(Flags& flags) {
  run.AddRunFlags(flags);
  flags.Text("--prompt-file", prompt_file, "FILE", "token ids, separated by white space");
  flags.Text("--prompt", prompt, "TEXT", "text in place of ids; the tokens' text is printed as well");
  flags.Text("--tokenizer", tokenizer, "FILE", "tokenizer.json, for --prompt");
  flags.Integer("--max-tokens", generation.maximum_tokens, 1, int64_t{1} << 31, "most tokens to generate");
  flags.IntegerList("--stop-tokens", generation.stop_tokens,
                    "ids that end the generation; they are not printed");
  SamplingOptions& sampling = generation.sampling;
  flags.Number("--temperature", sampling.temperature, 0, 100, "0 is greedy");
  flags.Integer("--top-k", sampling.top_k, 0, int64_t{1} << 31, "keep the K likeliest tokens; 0 = all");
  flags.Number("--top-p", sampling.top_p, 0, 1, "keep the likeliest tokens up to this probability");
  flags.Integer("--seed", sampling.seed, 0, kNoLimit, "of the random choice");
}

Status GenerateMode::ReadPrompt(std::optional<Tokenizer>& words, std::vector<int64_t>& ids) const {
  if (prompt.empty() == prompt_file.empty()) {
    return {ErrorKind::kUsage, "one of --prompt-file and --prompt is needed"};
  }
  if (prompt.empty()) return ReadTokenFile(prompt_file, ids);
  if (tokenizer.empty()) return {ErrorKind::kUsage, "--prompt needs --tokenizer"};
  if (Status status = Tokenizer::Read(tokenizer, words.emplace()); !status.ok()) return status;
  if (Status status = words->Encode(prompt, true, ids); !status.ok()) return status;
  return ids.empty() ? Status(ErrorKind::kUsage, "the tokenizer makes no token of the prompt") : Status();
}

Status GenerateMode::Run(Engine& engine, RecordSink& out, StopToken stop) const {
  std::vector<int64_t> ids;
  std::optional<Tokenizer> words;
  if (Status status = ReadPrompt(words, ids); !status.ok()) return status;
  Session session(engine, run.session);
  if (Status status = session.Load(); !status.ok()) return status;
  const std::string& source = words ? tokenizer : prompt_file;
  if (Status status = CheckTokens(ids, session.model().vocab_size, source); !status.ok()) {
    return status;
  }
  Generator text(session, stop);
  StartFacts facts;
  facts.mode = "generate";
  facts.prompt_tokens = static_cast<int64_t>(ids.size());
  facts.generate_tokens = generation.maximum_tokens;
  if (Status status =
          text.Reserve(facts.prompt_tokens + facts.generate_tokens, "prompt and generated tokens");
      !status.ok()) {
    return status;
  }
  RecordWriter records(run.run_id, {&out});
  if (Status status = WriteStart(records, session, facts); !status.ok()) return status;
  TokenRecords sink(records, words);
  if (Status status = text.Generate(ids, generation, sink); !status.ok()) return status;
  if (Status status = sink.Finish(); !status.ok()) return status;
  return records.Finish();
}

}  // namespace slm
