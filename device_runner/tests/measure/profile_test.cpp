#include "measure/profile.h"

#include <algorithm>

#include "records/record_file.h"
#include "tests/check.h"
#include "tests/fake_engine.h"
#include "tests/temporary.h"

namespace {

using slm::test::CountOf;
using slm::test::FakeEngine;

struct Run {
  slm::test::TemporaryFolder folder;
  FakeEngine engine;
  slm::SessionOptions session;
  slm::ProfileOptions options;
  slm::StopSource stop;
  std::string result;

  Run() {
    session.model = "m";
    session.prefill_chunk = 4;
    options.prompt_tokens = 10;
    options.generate_tokens = 3;
    options.depth = 5;
    options.warmup = 1;
    options.repetitions = 2;
  }
  slm::Status Go() {
    slm::RecordFile file(folder / "result");
    CHECK(file.Open().ok());
    slm::RecordWriter records("r1", {&file});
    slm::Status status = slm::RunProfile(engine, session, options, records, stop);
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
  CHECK(run.engine.rewinds == 3);
  CHECK(run.engine.longest_cache == 17);
  CHECK(run.engine.reserved_positions == 18);
  CHECK(run.engine.reserved_tokens == 4);
}

TEST(ReservesTheWholeContextWhereItIsAsked) {
  Run run;
  run.options.reserves_context = true;
  CHECK(run.Go().ok());
  CHECK(run.engine.reserved_positions == 100);
  CHECK(run.engine.states_are_touched);
  CHECK(run.engine.longest_cache == 17);
  CHECK(run.result.find("\"reserve\":\"context\"") != std::string::npos);
  Run lowered;
  lowered.options.reserves_context = true;
  lowered.session.context_length = 50;
  CHECK(lowered.Go().ok());
  CHECK(lowered.engine.reserved_positions == 50);
  Run of_the_run;
  CHECK(of_the_run.Go().ok());
  CHECK(!of_the_run.engine.states_are_touched);
  CHECK(of_the_run.result.find("\"reserve\":\"run\"") != std::string::npos);
  Run exceeds;
  exceeds.options.reserves_context = true;
  exceeds.options.depth = 100;
  CHECK(exceeds.Go().kind() == slm::ErrorKind::kContextExceeded);
}

TEST(RepeatsForAsLongAsItIsAskedAndAtLeastSoOften) {
  Run run;
  run.options.repeat_s = 1;
  run.engine.forward_ms = 5;
  const int64_t before = slm::MonotonicNs();
  CHECK(run.Go().ok());
  CHECK(slm::MonotonicNs() - before >= 1'000'000'000);
  // Seven calls of 5 ms each: 28 in a second on an idle machine.
  const int64_t repetitions = CountOf(run.result, "\"record\":\"repetition\"");
  CHECK(repetitions > 3 && repetitions < 32);
  CHECK(CountOf(run.result, "\"warmup\":true") == 1);
  CHECK(run.result.find("\"repeat_s\":1") != std::string::npos);
  Run often;
  often.options.repeat_s = 1;
  often.options.repetitions = 4;
  often.engine.forward_ms = 50;
  CHECK(often.Go().ok());
  CHECK(CountOf(often.result, "\"record\":\"repetition\"") == 5);
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
  run.options.power.voltage_file = run.folder / "voltage_now";
  run.options.power.baseline_ms = 500;
  run.options.power.interval_ms = 5;
  slm::test::WriteFile(run.options.power.current_file, "500000\n");
  slm::test::WriteFile(run.options.power.voltage_file, "4000000\n");
  CHECK(run.Go().ok());
  CHECK(CountOf(run.result, "\"record\":\"power\"") == 1);
  CHECK(CountOf(run.result, "500000") >= 3);
}

TEST(GreedyTokensFollowTheReference) {
  Run run;
  run.options.reference.prompt = {7, 8, 9};
  run.options.reference.continuation = {3, 1, 4, 1};
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
  CHECK(exceeds.Go().kind() == slm::ErrorKind::kContextExceeded);
  CHECK(exceeds.engine.calls.empty());
  CHECK(exceeds.result.empty());
  Run reference;
  reference.options.reference.prompt = {7};
  reference.options.reference.continuation.assign(100, 7);
  CHECK(reference.Go().kind() == slm::ErrorKind::kContextExceeded);
}

TEST(ContextMayBeLoweredButNotRaised) {
  Run lowered;
  lowered.session.context_length = 17;
  CHECK(lowered.Go().kind() == slm::ErrorKind::kContextExceeded);
  Run raised;
  raised.session.context_length = 101;
  CHECK(raised.Go().kind() == slm::ErrorKind::kContextExceeded);
  Run unknown;
  unknown.engine.facts.context_length = 0;
  CHECK(unknown.Go().kind() == slm::ErrorKind::kModelInterface);
  Run told;
  told.engine.facts.context_length = 0;
  told.session.context_length = 50;
  CHECK(told.Go().ok());
  CHECK(told.result.find("\"context_length\":50") != std::string::npos);
}

TEST(FailuresLeaveTheMeasuredPartButNoResult) {
  Run run;
  run.engine.fail_at_call = 10;
  CHECK(run.Go().kind() == slm::ErrorKind::kRunFailed);
  CHECK(run.result.empty());
  CHECK(CountOf(slm::test::ReadFile(run.folder / "result.part"), "\"repetition\"") == 1);
}

TEST(LogitsWithoutANumberAreAFailure) {
  Run run;
  run.engine.nothing_but_nan = true;
  CHECK(run.Go().kind() == slm::ErrorKind::kRunFailed);
}

TEST(ReferenceTokensOutsideTheVocabularyAreRefused) {
  Run run;
  run.options.reference.prompt = {101};
  run.options.reference.continuation = {101};
  CHECK(run.Go().kind() == slm::ErrorKind::kUsage);
  CHECK(run.engine.calls.empty());
}

TEST(OneThreadPerCpuPinsThreads) {
  Run run;
  run.session.threads = 2;
  run.session.affinity = {0, 1};
  CHECK(run.session.ForEngine().thread_cpus == std::vector<int>{0, 1});
  run.session.affinity = {0, 1, 2};
  CHECK(run.session.ForEngine().thread_cpus.empty());
}

TEST(StoppingEndsTheRunWithoutAResult) {
  Run run;
  run.stop.Request();
  CHECK(run.Go().kind() == slm::ErrorKind::kStopped);
  CHECK(run.result.empty());
  CHECK(run.engine.calls.empty());
}

TEST(LoadingIsTimedFromTheAttemptThatSucceeded) {
  Run run;
  run.engine.failed_attempt_ms = 300;
  CHECK(run.Go().ok());
  const size_t at = run.result.find("\"load_ns\":") + 10;
  CHECK(std::stoll(run.result.substr(at)) < 200'000'000);
}

TEST(TheChunkIsRecordedAsTheEngineTakesIt) {
  Run run;
  run.engine.facts.maximum_tokens_per_call = 3;
  CHECK(run.Go().ok());
  CHECK(run.result.find("\"prefill_chunk\":3,") != std::string::npos);
  CHECK(run.engine.reserved_tokens == 3);
  CHECK(*std::max_element(run.engine.calls.begin(), run.engine.calls.end()) == 3);
  Run smaller;
  smaller.engine.facts.maximum_tokens_per_call = 50;
  CHECK(smaller.Go().ok());
  CHECK(smaller.result.find("\"prefill_chunk\":4,") != std::string::npos);
}

}  // namespace
