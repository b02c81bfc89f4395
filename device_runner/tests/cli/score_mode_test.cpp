#include "cli/score_mode.h"

#include "cli/score_requests.h"
#include "tests/check.h"
#include "tests/fake_engine.h"
#include "tests/temporary.h"

namespace {

using slm::test::CountOf;
using slm::test::FakeEngine;

struct Run {
  slm::test::TemporaryFolder folder;
  FakeEngine engine;
  slm::ScoreMode mode;
  std::string output;

  explicit Run(const std::string& requests) {
    slm::test::WriteFile(folder / "requests", requests);
    mode.requests_file = folder / "requests";
  }
  slm::Status Go() {
    slm::test::TextSink out;
    slm::Status status = mode.Run(engine, out, {});
    output = out.text;
    return status;
  }
};

TEST(AnswersEachRequestWithItsId) {
  Run run("score 4 0 2 7 8 9\nscore 5 2 2 10 11\ncontinue 6 1 3 - 1\n");
  CHECK(run.Go().ok());
  CHECK(run.output.starts_with("{\"record\":\"start\""));
  CHECK(CountOf(run.output, "\"mode\":\"score\"") == 1);
  CHECK(CountOf(run.output, "\"record\":\"score\"") == 2);
  CHECK(CountOf(run.output, "\"id\":5,") == 1);
  std::vector<int64_t> tokens = {7, 1};
  for (int count = 0; count < 3; ++count) tokens.push_back(FakeEngine::NextToken(tokens));
  const std::string expected = "\"token_ids\":[" + std::to_string(tokens[2]) + "," +
                               std::to_string(tokens[3]) + "," + std::to_string(tokens[4]) + "]";
  CHECK(CountOf(run.output, expected) == 1);
  CHECK(CountOf(run.output, "\"record\":\"end\"") == 1);
  CHECK(run.engine.reserved_positions == 4);
}

TEST(StopSequencesAreRead) {
  std::vector<int64_t> tokens = {7, 8};
  for (int count = 0; count < 3; ++count) tokens.push_back(FakeEngine::NextToken(tokens));
  const std::string stop = std::to_string(tokens[3]) + "+" + std::to_string(tokens[4]);
  Run run("continue 1 0 3 100," + stop + " 7 8\n");
  CHECK(run.Go().ok());
  CHECK(CountOf(run.output, "\"token_ids\":[" + std::to_string(tokens[2]) + "]") == 1);
}

TEST(ReservesForTheLongestAndRefusesMoreThanTheContext) {
  Run run("score 1 0 1 7 8\ncontinue 2 0 100 - 7 8\n");
  CHECK(run.Go().kind() == slm::ErrorKind::kContextExceeded);
  CHECK(run.output.empty());
}

TEST(FailuresNameTheRequestAndLeaveTheAnswersBefore) {
  Run run("score 1 0 1 7 8\nscore 9 0 1 1 2 3\n");
  run.engine.fail_at_call = 3;
  const slm::Status status = run.Go();
  CHECK(status.kind() == slm::ErrorKind::kRunFailed);
  CHECK(status.message().starts_with("request 9: "));
  CHECK(CountOf(run.output, "\"record\":\"score\"") == 1);
  CHECK(CountOf(run.output, "\"record\":\"end\"") == 0);
}

TEST(WrongLinesAreNamed) {
  for (const char* wrong :
       {"ask 1 0 1 7 8", "score x 0 1 7 8", "score 1 1 1 7 8", "score 1 0 0 7 8", "score 1 0 2 7 8",
        "score 1 0 1 7 -8", "score 1 0", "continue 1 0 0 - 7", "continue 1 0 4 3,x 7", "continue 1 0 4 -",
        "continue 1 0 4 3+ 7", "continue 1 0 4 3+x 7", "continue 1 0 4 +3 7", ""}) {
    Run run(std::string("score 1 0 1 7 8\n") + wrong + "\n");
    if (std::string(wrong) == "score 1 1 1 7 8") {
      // Keeps a token of the request before: right there, wrong in a first line.
      CHECK(run.Go().ok());
      Run first(std::string(wrong) + "\n");
      CHECK(first.Go().kind() == slm::ErrorKind::kUsage);
      continue;
    }
    const slm::Status status = run.Go();
    CHECK(status.kind() == slm::ErrorKind::kUsage);
    CHECK(status.message().find("line 2: ") != std::string::npos);
  }
  Run outside("score 1 0 1 7 101\n");
  CHECK(outside.Go().kind() == slm::ErrorKind::kUsage);
  Run empty("");
  CHECK(empty.Go().kind() == slm::ErrorKind::kUsage);
}

}  // namespace
