#include "cli/serve_mode.h"

#include <algorithm>
#include <optional>
#include <string>

#include "cli/serve_input.h"
#include "engine/clock.h"
#include "measure/start_record.h"
#include "records/record_writer.h"
#include "session/tokens.h"

namespace slm {
namespace {

class TurnTokens final : public TokenSink {
 public:
  TurnTokens(RecordWriter& records, int64_t turn) : records_(records), turn_(turn) {}

  Status Take(int64_t token, int64_t ns) override {
    ++count;
    return records_.Write(records_.NewRecord("token").Add("turn", turn_).Add("id", token).Add("ns", ns));
  }

  int64_t count = 0;

 private:
  RecordWriter& records_;
  int64_t turn_;
};

// A turn that this model cannot answer; the next one may be another matter.
Status Check(const ServeTurn& turn, const Session& session) {
  const auto length = static_cast<int64_t>(turn.prompt.size());
  if (length >= session.context_length()) {
    return {ErrorKind::kContextExceeded, std::to_string(length) + " tokens leave no room in a context of " +
                                             std::to_string(session.context_length())};
  }
  return CheckTokens(turn.prompt, session.model().vocab_size, "the prompt");
}

Status Answer(const ServeTurn& turn, Session& session, Generator& text, RecordWriter& records,
              StopToken process_stop) {
  JsonObject end = records.NewRecord("turn").Add("turn", turn.id);
  if (Status refused = Check(turn, session); !refused.ok()) {
    return records.Write(end.Add("ending", "refused").Add("message", refused.message()));
  }
  const auto length = static_cast<int64_t>(turn.prompt.size());
  const std::span<const int64_t> prompt = turn.prompt;
  const std::span<const int64_t> fed = text.fed();
  const auto parting = std::mismatch(prompt.begin(), prompt.end(), fed.begin(), fed.end()).first;
  // The last token is fed in any case: it brings the logits. Some states cannot go back that far.
  const int64_t common = std::min<int64_t>(parting - prompt.begin(), length - 1);
  const int64_t kept = text.RewindsTo(common);
  GenerationOptions options = turn.generation;
  const int64_t room = session.context_length() - length;
  options.maximum_tokens = std::min(options.maximum_tokens, room);

  TurnTokens tokens(records, turn.id);
  const int64_t before = MonotonicNs();
  Status status = text.Rewind(common);
  if (status.ok()) status = text.Checkpoint();
  if (status.ok()) {
    status = text.Generate(prompt.subspan(static_cast<size_t>(common)), options, tokens, before);
  }
  const bool stopped = status.kind() == ErrorKind::kStopped && !process_stop.stopped();
  if (!status.ok() && !stopped) return status;
  const char* ending = "stop_token";
  if (stopped) {
    ending = "stopped";
  } else if (tokens.count == options.maximum_tokens) {
    ending = tokens.count == turn.generation.maximum_tokens ? "maximum" : "context";
  }
  return records.Write(end.Add("ending", ending).Add("kept", kept).Add("tokens", tokens.count));
}

}  // namespace

Status ServeMode::Run(Engine& engine, RecordSink& out, StopToken stop) const {
  // Its thread starts before this one is bound to a CPU of its own.
  ServeInput turns(input, stop);
  Session session(engine, run.session);
  if (Status status = session.Load(); !status.ok()) return status;
  Generator text(session, stop.Or(turns.turn_stop()));
  if (Status status = text.Reserve(session.context_length(), "the context"); !status.ok()) return status;
  RecordWriter records(run.run_id, {&out});
  StartFacts facts;
  facts.mode = "serve";
  facts.reserve = "context";
  if (Status status = WriteStart(records, session, facts); !status.ok()) return status;
  for (std::optional<ServeTurn> turn;;) {
    if (Status status = turns.Next(turn); !status.ok()) return status;
    if (!turn) return records.Finish();
    if (Status status = Answer(*turn, session, text, records, stop); !status.ok()) return status;
  }
}

}  // namespace slm
