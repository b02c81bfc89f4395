#include "cli/generate_mode.h"

#include "tests/check.h"
#include "tests/fake_engine.h"
#include "tests/temporary.h"

namespace {

using slm::test::CountOf;
using slm::test::FakeEngine;

struct Run {
  slm::test::TemporaryFolder folder;
  FakeEngine engine;
  slm::GenerateMode mode;
  std::string output;

  Run() {
    slm::test::WriteFile(folder / "ids", "7 8 9 10 11");
    mode.run.session.prefill_chunk = 3;
    mode.prompt_file = folder / "ids";
    mode.generation.maximum_tokens = 4;
  }
  slm::Status Go() {
    slm::test::TextSink out;
    slm::Status status = mode.Run(engine, out, {});
    output = out.text;
    return status;
  }
};

std::vector<int64_t> Expected(int count) {
  std::vector<int64_t> tokens = {7, 8, 9, 10, 11};
  for (int i = 0; i < count; ++i) tokens.push_back(FakeEngine::NextToken(tokens));
  return {tokens.begin() + 5, tokens.end()};
}

TEST(PrintsTokensAsTheyCome) {
  Run run;
  CHECK(run.Go().ok());
  CHECK(run.engine.calls == std::vector<size_t>{3, 2, 1, 1, 1});
  CHECK(run.output.starts_with("{\"record\":\"start\""));
  CHECK(CountOf(run.output, "\"record\":\"token\"") == 4);
  for (const int64_t token : Expected(4)) {
    CHECK(run.output.find("\"id\":" + std::to_string(token) + ",") != std::string::npos);
  }
  CHECK(CountOf(run.output, "\"record\":\"end\"") == 1);
}

TEST(StopTokensEndItAndAreNotPrinted) {
  Run run;
  const int64_t stop = Expected(3).back();
  run.mode.generation.stop_tokens = {stop};
  CHECK(run.Go().ok());
  CHECK(CountOf(run.output, "\"record\":\"token\"") == 2);
  CHECK(run.output.find("\"id\":" + std::to_string(stop) + ",") == std::string::npos);
  CHECK(CountOf(run.output, "\"record\":\"end\"") == 1);
}

TEST(TakesTextWhereThereIsATokenizer) {
  Run run;
  // Letters from a on are the tokens from 0 on; k is 10.
  std::string vocabulary, comma;
  for (int token = 0; token < 26; ++token) {
    vocabulary += comma + "\"" + static_cast<char>('a' + token) + "\":" + std::to_string(token);
    comma = ",";
  }
  slm::test::WriteFile(run.folder / "tokenizer.json",
                       "{\"model\":{\"type\":\"BPE\",\"vocab\":{" + vocabulary +
                           "},\"merges\":[]},\"decoder\":{\"type\":\"Fuse\"}}");
  run.mode.prompt_file.clear();
  run.mode.prompt = "hijkl";
  CHECK(run.Go().kind() == slm::ErrorKind::kUsage);
  run.mode.tokenizer = run.folder / "tokenizer.json";
  CHECK(run.Go().ok());
  for (const int64_t token : Expected(4)) {
    CHECK(run.output.find("\"id\":" + std::to_string(token) + ",") != std::string::npos);
    if (token >= 26) continue;
    CHECK(run.output.find(std::string("\"text\":\"") + static_cast<char>('a' + token)) != std::string::npos);
  }
}

TEST(TakesOneOfIdsAndText) {
  Run run;
  run.mode.prompt = "a";
  CHECK(run.Go().kind() == slm::ErrorKind::kUsage);
  run.mode.prompt_file.clear();
  run.mode.prompt.clear();
  CHECK(run.Go().kind() == slm::ErrorKind::kUsage);
}

TEST(RefusesMoreThanTheContext) {
  Run run;
  run.mode.generation.maximum_tokens = 96;
  CHECK(run.Go().kind() == slm::ErrorKind::kContextExceeded);
  CHECK(run.output.empty());
}

TEST(FailuresPrintNoEnd) {
  Run run;
  run.engine.fail_at_call = 4;
  CHECK(run.Go().kind() == slm::ErrorKind::kRunFailed);
  CHECK(CountOf(run.output, "\"record\":\"token\"") == 2);
  CHECK(CountOf(run.output, "\"record\":\"end\"") == 0);
}

}  // namespace
