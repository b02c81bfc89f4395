#include "cli/profile_mode.h"

#include <csignal>

#include "cli/exit_code.h"
#include "cli/signals.h"
#include "tests/check.h"
#include "tests/fake_engine.h"
#include "tests/temporary.h"

namespace {

struct Run {
  slm::test::TemporaryFolder folder;
  slm::test::FakeEngine engine;
  slm::ProfileMode mode;
  std::string result;
  std::string output;

  Run() {
    mode.run.run_id = "r1";
    mode.output = folder / "result";
    mode.profile.prompt_tokens = 10;
    mode.profile.generate_tokens = 3;
    mode.profile.repetitions = 2;
  }
  slm::Status Go() {
    slm::test::TextSink out;
    slm::Status status = mode.Run(engine, out, slm::SignalStop());
    result = slm::test::ReadFile(folder / "result");
    output = out.text;
    return status;
  }
};

TEST(FileAndStdoutGetTheSameRecords) {
  Run run;
  CHECK(run.Go().ok());
  CHECK(run.result.ends_with("\"status\":\"ok\",\"records\":5}\n"));
  CHECK(run.output == run.result);
}

TEST(FlagsThatGoTogetherAreRefusedAlone) {
  Run power;
  power.mode.profile.power.current_file = "current_now";
  CHECK(power.Go().kind() == slm::ErrorKind::kUsage);
  Run reference;
  reference.mode.reference_prompt = "ids";
  CHECK(reference.Go().kind() == slm::ErrorKind::kUsage);
  CHECK(!std::filesystem::exists(reference.folder / "result.part"));
}

TEST(WhatIsReservedIsAWordOfTwo) {
  Run run;
  run.mode.reserve = "context";
  CHECK(run.Go().ok());
  CHECK(run.engine.reserved_positions == 100);
  run.mode.reserve = "all";
  const slm::Status status = run.Go();
  CHECK(status.kind() == slm::ErrorKind::kUsage);
  CHECK(status.message() == "--reserve: 'all' is neither run nor context");
}

TEST(ReferencesAreReadFromTheirFiles) {
  Run run;
  slm::test::WriteFile(run.folder / "ids", "7 8 9");
  slm::test::WriteFile(run.folder / "rest", "3 101");
  run.mode.reference_prompt = run.folder / "ids";
  run.mode.reference_continuation = run.folder / "rest";
  const slm::Status status = run.Go();
  CHECK(status.kind() == slm::ErrorKind::kUsage);
  CHECK(status.message().starts_with(run.folder / "rest"));
  slm::test::WriteFile(run.folder / "rest", "3 100");
  CHECK(run.Go().ok());
  CHECK(run.result.find("\"prompt_ids\":[7,8,9],") != std::string::npos);
}

// Last: the signal stays remembered.
TEST(ZSignalsEndTheRunWithoutAResult) {
  slm::InstallSignalHandlers();
  std::raise(SIGTERM);
  Run run;
  const slm::Status status = run.Go();
  CHECK(slm::ExitCodeOf(status, slm::ReceivedSignal()) == 128 + SIGTERM);
  CHECK(run.result.empty());
  CHECK(run.engine.calls.empty());
}

}  // namespace
