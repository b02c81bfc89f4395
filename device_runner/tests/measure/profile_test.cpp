#include "measure/profile.h"

#include <csignal>

#include "cli/signals.h"
#include "tests/check.h"
#include "tests/fake_engine.h"
#include "tests/temporary.h"

namespace {

using slm::test::CountOf;
using slm::test::FakeEngine;

struct Run {
  slm::test::TemporaryFolder folder;
  FakeEngine engine;
  slm::ProfileOptions options;
  std::string result;

  Run() {
    options.session.run_id = "r1";
    options.session.model = "m";
    options.session.prefill_chunk = 4;
    options.output = folder / "result";
    options.prompt_tokens = 10;
    options.generate_tokens = 3;
    options.depth = 5;
    options.warmup = 1;
    options.repetitions = 2;
  }
  slm::Status Go() {
    const slm::test::CapturedStdout out(folder / "stdout");
    slm::Status status = slm::RunProfile(engine, options);
    result = slm::test::ReadFile(folder / "result");
    return status;
  }
};

TEST(FeedsDepthAndPromptInChunksThenSingleTokens) {
  Run run;
  CHECK(run.Go().ok());
  // Depth 5 = 4 + 1, prompt 10 = 4 + 4 + 2, then two decode steps: the first token came with the prefill.
  const std::vector<size_t> once = {4, 1, 4, 4, 2, 1, 1};
  std::vector<size_t> expected;
  for (int repetition = 0; repetition < 3; ++repetition)
    expected.insert(expected.end(), once.begin(), once.end());
  CHECK(run.engine.calls == expected);
  CHECK(run.engine.clears == 3);
  CHECK(run.engine.longest_cache == 17);
  CHECK(run.engine.reserved_positions == 18);
  CHECK(run.engine.reserved_tokens == 4);
}

TEST(WritesEveryRecordAndTheEndLast) {
  Run run;
  CHECK(run.Go().ok());
  CHECK(CountOf(run.result, "\n") == 6);
  CHECK(CountOf(run.result, "\"record\":\"repetition\"") == 3);
  CHECK(CountOf(run.result, "\"warmup\":true") == 1);
  CHECK(CountOf(run.result, "\"record\":\"memory\"") == 1);
  CHECK(CountOf(run.result, "\"record\":\"greedy\"") == 0);
  CHECK(run.result.ends_with("\"status\":\"ok\",\"records\":5}\n"));
}

TEST(EveryRepetitionPassesTheGateAndSaysSo) {
  Run run;
  run.options.gate.folder = run.folder / "";
  for (const char* token : {"open-0", "open-1", "open-2"}) slm::test::WriteFile(run.folder / token, "");
  CHECK(run.Go().ok());
  CHECK(CountOf(run.result, "\"record\":\"gate\"") == 3);
  CHECK(CountOf(run.result, "\"gate\":\"opened\",\"gate_wait_ns\":") == 3);
  CHECK(run.result.ends_with("\"status\":\"ok\",\"records\":8}\n"));
  Run without;
  CHECK(without.Go().ok());
  CHECK(CountOf(without.result, "\"gate\":\"off\",\"gate_wait_ns\":0,") == 3);
}

TEST(TheWaitForTheGateIsNotTimed) {
  Run run;
  run.options.gate.folder = run.folder / "";
  run.options.gate.timeout_s = 1;
  CHECK(run.Go().ok());
  CHECK(CountOf(run.result, "\"gate\":\"unattended\"") == 3);
  const size_t at = run.result.find("\"prefill_ns\":") + 13;
  CHECK(std::stoll(run.result.substr(at)) < 500'000'000);
}

TEST(PowerIsSampledBesideTheRun) {
  Run run;
  run.options.power.current_file = run.folder / "current_now";
  CHECK(run.Go().exit_code() == static_cast<int>(slm::ExitCode::kUsage));
  run.options.power.voltage_file = run.folder / "voltage_now";
  run.options.power.baseline_ms = 50;
  run.options.power.interval_ms = 5;
  slm::test::WriteFile(run.options.power.current_file, "500000\n");
  slm::test::WriteFile(run.options.power.voltage_file, "4000000\n");
  CHECK(run.Go().ok());
  CHECK(CountOf(run.result, "\"record\":\"power\"") == 1);
  CHECK(CountOf(run.result, "500000") >= 3);
}

TEST(GreedyTokensFollowTheReference) {
  Run run;
  slm::test::WriteFile(run.folder / "ids", "7 8 9");
  slm::test::WriteFile(run.folder / "rest", "3 1 4 1");
  run.options.reference_prompt = run.folder / "ids";
  run.options.reference_continuation = run.folder / "rest";
  CHECK(run.Go().ok());
  std::vector<int64_t> fed = {7, 8, 9};
  std::string expected = "\"prompt_ids\":[7,8,9],\"token_ids\":[";
  for (const int64_t next : {3, 1, 4, 1}) {
    expected += (fed.size() > 3 ? "," : "") + std::to_string(FakeEngine::NextToken(fed));
    fed.push_back(next);
  }
  CHECK(run.result.find(expected + "]") != std::string::npos);
}

TEST(TheContextLengthIsALimit) {
  Run fits;
  fits.options.depth = 100 - 13;
  CHECK(fits.Go().ok());
  Run exceeds;
  exceeds.options.depth = 100 - 12;
  CHECK(exceeds.Go().exit_code() == static_cast<int>(slm::ExitCode::kContextExceeded));
  CHECK(exceeds.engine.calls.empty());
  CHECK(exceeds.result.empty());
  Run reference;
  slm::test::WriteFile(reference.folder / "ids", "7");
  reference.options.reference_prompt = reference.folder / "ids";
  std::string hundred;
  for (int i = 0; i < 100; ++i) hundred += "7 ";
  slm::test::WriteFile(reference.folder / "rest", hundred);
  reference.options.reference_continuation = reference.folder / "rest";
  CHECK(reference.Go().exit_code() == static_cast<int>(slm::ExitCode::kContextExceeded));
}

TEST(ContextMayBeLoweredButNotRaised) {
  Run lowered;
  lowered.options.session.context_length = 17;
  CHECK(lowered.Go().exit_code() == static_cast<int>(slm::ExitCode::kContextExceeded));
  Run raised;
  raised.options.session.context_length = 101;
  CHECK(raised.Go().exit_code() == static_cast<int>(slm::ExitCode::kContextExceeded));
  Run unknown;
  unknown.engine.facts.context_length = 0;
  CHECK(unknown.Go().exit_code() == static_cast<int>(slm::ExitCode::kModelInterface));
  Run told;
  told.engine.facts.context_length = 0;
  told.options.session.context_length = 50;
  CHECK(told.Go().ok());
  CHECK(told.result.find("\"context_length\":50") != std::string::npos);
}

TEST(FailuresLeaveTheMeasuredPartButNoResult) {
  Run run;
  run.engine.fail_at_call = 10;
  CHECK(run.Go().exit_code() == static_cast<int>(slm::ExitCode::kRunFailed));
  CHECK(run.result.empty());
  CHECK(CountOf(slm::test::ReadFile(run.folder / "result.part"), "\"repetition\"") == 1);
}

TEST(LogitsWithoutANumberAreAFailure) {
  Run run;
  run.engine.nothing_but_nan = true;
  CHECK(run.Go().exit_code() == static_cast<int>(slm::ExitCode::kRunFailed));
}

TEST(ReferenceTokensOutsideTheVocabularyAreRefused) {
  Run run;
  slm::test::WriteFile(run.folder / "ids", "101");
  run.options.reference_prompt = run.folder / "ids";
  run.options.reference_continuation = run.folder / "ids";
  CHECK(run.Go().exit_code() == static_cast<int>(slm::ExitCode::kUsage));
  CHECK(run.engine.calls.empty());
}

TEST(OneThreadPerCpuPinsThreads) {
  Run run;
  run.options.session.threads = 2;
  run.options.session.affinity = {0, 1};
  CHECK(run.options.session.ForEngine().thread_cpus == std::vector<int>{0, 1});
  run.options.session.affinity = {0, 1, 2};
  CHECK(run.options.session.ForEngine().thread_cpus.empty());
}

// Last: the signal stays remembered.
TEST(ZSignalsEndTheRunWithoutAResult) {
  slm::InstallSignalHandlers();
  std::raise(SIGTERM);
  Run run;
  CHECK(run.Go().exit_code() == 128 + SIGTERM);
  CHECK(run.result.empty());
  CHECK(run.engine.calls.empty());
}

}  // namespace
