#include "cli/score_mode.h"

#include <algorithm>
#include <vector>

#include "cli/score_requests.h"
#include "engine/clock.h"
#include "measure/start_record.h"
#include "records/record_writer.h"
#include "session/scorer.h"
#include "session/tokens.h"

namespace slm {
namespace {

Status Answer(Scorer& scorer, const ScoreRequest& request, RecordWriter& records) {
  const int64_t before = MonotonicNs();
  if (request.kind == ScoreRequest::Kind::kScore) {
    Scored scored;
    const auto first = static_cast<size_t>(request.first);
    if (Status status = scorer.Score(request.tokens, first, scored); !status.ok()) return status;
    return records.Write(records.NewRecord("score")
                             .Add("id", request.id)
                             .Add("log_probabilities", scored.log_probabilities)
                             .Add("greedy", scored.greedy)
                             .Add("ns", MonotonicNs() - before));
  }
  std::vector<int64_t> continuation;
  const Stops stops{request.stop_tokens, request.stop_sequences};
  if (Status status = scorer.Continue(request.tokens, request.maximum_tokens, stops, continuation);
      !status.ok()) {
    return status;
  }
  return records.Write(records.NewRecord("continuation")
                           .Add("id", request.id)
                           .Add("token_ids", continuation)
                           .Add("ns", MonotonicNs() - before));
}

Status About(const ScoreRequest& request, const Status& status) {
  if (status.ok() || status.kind() == ErrorKind::kStopped || status.kind() == ErrorKind::kOutput)
    return status;
  return {status.kind(), "request " + std::to_string(request.id) + ": " + status.message()};
}

}  // namespace

void ScoreMode::AddFlags(Flags& flags) {
  run.AddRunFlags(flags);
  flags.Text("--requests", requests_file, "FILE", "one request per line, see docs/runner.md");
  flags.Required();
}

Status ScoreMode::Run(Engine& engine, RecordSink& out, StopToken stop) const {
  std::vector<ScoreRequest> requests;
  if (Status status = ReadScoreRequests(requests_file, requests); !status.ok()) return status;
  Session session(engine, run.session);
  if (Status status = session.Load(); !status.ok()) return status;
  int64_t positions = 1;
  for (const ScoreRequest& request : requests) {
    Status status = CheckTokens(request.tokens, session.model().vocab_size, requests_file);
    if (!status.ok()) return About(request, status);
    positions = std::max(positions, request.positions());
  }
  Generator text(session, stop);
  if (Status status = text.Reserve(positions, "the longest request"); !status.ok()) return status;
  RecordWriter records(run.run_id, {&out});
  StartFacts facts;
  facts.mode = "score";
  if (Status status = WriteStart(records, session, facts); !status.ok()) return status;
  Scorer scorer(text);
  for (const ScoreRequest& request : requests) {
    if (Status status = About(request, Answer(scorer, request, records)); !status.ok()) return status;
  }
  return records.Finish();
}

}  // namespace slm
