#include "cli/serve_mode.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/check.h"
#include "tests/fake_engine.h"
#include "tests/temporary.h"

namespace {

using slm::test::CountOf;
using slm::test::FakeEngine;

// Keeps records, counts answers, and lets a test act when a token has come.
struct ActingSink final : slm::RecordSink {
  std::string text;
  std::function<void()> at_token = [] {};
  std::atomic<size_t> answers{0};

  slm::Status Write(std::string_view line) override {
    text += line;
    if (line.find("\"record\":\"token\"") != std::string_view::npos) at_token();
    if (line.find("\"record\":\"turn\"") != std::string_view::npos) ++answers;
    return {};
  }
};

struct Run {
  int ends[2] = {-1, -1};
  FakeEngine engine;
  slm::ServeMode mode;
  ActingSink out;

  explicit Run(const std::string& requests) {
    CHECK(pipe(ends) == 0);
    mode.input = ends[0];
    Say(requests);
  }
  ~Run() {
    Hush();
    close(ends[0]);
  }
  void Say(const std::string& requests) const {
    CHECK(write(ends[1], requests.data(), requests.size()) == static_cast<ssize_t>(requests.size()));
  }
  void Hush() {
    if (ends[1] >= 0) close(ends[1]);
    ends[1] = -1;
  }
  // The reader has taken what was said; it acts on it at once.
  void AwaitReader() const {
    for (int left = 1; left > 0; std::this_thread::yield()) CHECK(ioctl(ends[0], FIONREAD, &left) == 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  // Ends the input once so many turns have been answered, or the mode has ended by itself.
  slm::Status Go(size_t turns, slm::StopToken stop = {}) {
    slm::Status status;
    std::atomic<bool> done{false};
    std::thread mode_thread([&] {
      status = mode.Run(engine, out, stop);
      done = true;
    });
    while (!done && out.answers < turns) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    Hush();
    mode_thread.join();
    return status;
  }
};

std::vector<int64_t> Continued(std::vector<int64_t> tokens, int count) {
  const auto prompt = static_cast<std::ptrdiff_t>(tokens.size());
  for (int i = 0; i < count; ++i) tokens.push_back(FakeEngine::NextToken(tokens));
  return {tokens.begin() + prompt, tokens.end()};
}

std::string Words(const std::vector<int64_t>& tokens) {
  std::string words;
  for (const int64_t token : tokens) words += " " + std::to_string(token);
  return words;
}

TEST(ATurnFeedsOnlyWhatTheTextBeforeDidNotHave) {
  const std::vector<int64_t> answer = Continued({7, 8, 9}, 3);
  std::vector<int64_t> second = {7, 8, 9};
  second.insert(second.end(), answer.begin(), answer.end());
  second.push_back(11);
  Run run("turn 1 3 - 0 0 1 0 7 8 9\nturn 2 2 - 0 0 1 0" + Words(second) + "\n");
  CHECK(run.Go(2).ok());
  CHECK(run.out.text.starts_with("{\"record\":\"start\""));
  CHECK(CountOf(run.out.text, "\"mode\":\"serve\"") == 1);
  for (const int64_t token : answer) {
    CHECK(CountOf(run.out.text, "\"turn\":1,\"id\":" + std::to_string(token) + ",") == 1);
  }
  for (const int64_t token : Continued(second, 2)) {
    CHECK(CountOf(run.out.text, "\"turn\":2,\"id\":" + std::to_string(token) + ",") == 1);
  }
  // The last token of an answer is not fed, so that the second turn feeds it and what follows.
  CHECK(run.engine.calls == std::vector<size_t>{3, 1, 1, 2, 1});
  CHECK(CountOf(run.out.text, "\"turn\":2,\"ending\":\"maximum\",\"kept\":5,\"tokens\":2") == 1);
  CHECK(CountOf(run.out.text, "\"record\":\"end\"") == 1);
  CHECK(run.engine.reserved_positions == 100);
}

TEST(TheSameTextAgainFeedsItsLastToken) {
  Run run("turn 1 1 - 0 0 1 0 7 8 9\nturn 2 1 - 0 0 1 0 7 8 9\n");
  CHECK(run.Go(2).ok());
  CHECK(run.engine.calls == std::vector<size_t>{3, 1});
}

TEST(StatesOfFixedSizeAreFedAgainFromTheStart) {
  Run run("turn 1 2 - 0 0 1 0 7 8 9\nturn 2 2 - 0 0 1 0 7 8 10\n");
  run.engine.keeps_a_fixed_state = true;
  CHECK(run.Go(2).ok());
  for (const int64_t token : Continued({7, 8, 10}, 2)) {
    CHECK(CountOf(run.out.text, "\"turn\":2,\"id\":" + std::to_string(token) + ",") == 1);
  }
  // Two tokens are alike, but none of what was computed of them was of use.
  CHECK(CountOf(run.out.text, "\"turn\":2,\"ending\":\"maximum\",\"kept\":0,\"tokens\":2") == 1);
}

TEST(StopTokensEndATurn) {
  const std::vector<int64_t> answer = Continued({7, 8, 9}, 3);
  Run run("turn 1 9 " + std::to_string(answer[2]) + ",99 0 0 1 0 7 8 9\n");
  CHECK(run.Go(1).ok());
  CHECK(CountOf(run.out.text, "\"ending\":\"stop_token\",\"kept\":0,\"tokens\":2") == 1);
}

TEST(AFullContextEndsATurnAndOneWithoutRoomIsRefused) {
  const std::vector<int64_t> prompt(98, 7);
  Run run("turn 1 9 - 0 0 1 0" + Words(prompt) + "\nturn 2 1 - 0 0 1 0 7 7" + Words(prompt) +
          "\nturn 3 1 - 0 0 1 0 7 101\nturn 4 1 - 0 0 1 0 7\n");
  CHECK(run.Go(4).ok());
  CHECK(CountOf(run.out.text, "\"turn\":1,\"ending\":\"context\",\"kept\":0,\"tokens\":2") == 1);
  CHECK(CountOf(run.out.text, "\"turn\":2,\"ending\":\"refused\",\"message\":\"100 tokens leave no room") ==
        1);
  CHECK(CountOf(run.out.text, "\"turn\":3,\"ending\":\"refused\",\"message\":\"the prompt: token 101") == 1);
  CHECK(CountOf(run.out.text, "\"turn\":4,\"ending\":\"maximum\"") == 1);
}

TEST(AStopEndsTheTurnUnderWayAndNoLaterOne) {
  Run run("turn 1 90 - 0 0 1 0 7\n");
  run.out.at_token = [&, told = false]() mutable {
    if (!std::exchange(told, true)) {
      run.Say("stop 1\nturn 2 2 - 0 0 1 0 7 8\n");
      run.AwaitReader();
    }
  };
  CHECK(run.Go(2).ok());
  CHECK(CountOf(run.out.text, "\"turn\":1,\"ending\":\"stopped\",\"kept\":0,\"tokens\":1}") == 1);
  CHECK(CountOf(run.out.text, "\"turn\":2,\"ending\":\"maximum\",\"kept\":1,\"tokens\":2}") == 1);
}

TEST(AStopReachesATurnThatHasNotBegun) {
  Run run("stop 1\nturn 1 3 - 0 0 1 0 7\nturn 2 1 - 0 0 1 0 7\n");
  CHECK(run.Go(2).ok());
  CHECK(CountOf(run.out.text, "\"turn\":1,\"ending\":\"stopped\",\"kept\":0,\"tokens\":0}") == 1);
  CHECK(CountOf(run.out.text, "\"turn\":2,\"ending\":\"maximum\"") == 1);
}

TEST(TheEndOfTheInputEndsATurn) {
  Run run("turn 1 90 - 0 0 1 0 7\n");
  run.out.at_token = [&, told = false]() mutable {
    if (!std::exchange(told, true)) {
      run.Hush();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  };
  CHECK(run.Go(9).ok());
  CHECK(CountOf(run.out.text, "\"ending\":\"stopped\"") == 1);
  CHECK(CountOf(run.out.text, "\"record\":\"end\"") == 1);
}

TEST(ASignalEndsTheMode) {
  slm::StopSource signal;
  Run run("");
  signal.Request();
  CHECK(run.Go(9, signal).kind() == slm::ErrorKind::kStopped);
  CHECK(CountOf(run.out.text, "\"record\":\"end\"") == 0);
}

TEST(FailuresEndItWithoutAnAnswer) {
  Run run("turn 1 9 - 0 0 1 0 7 8\n");
  run.engine.fail_at_call = 3;
  CHECK(run.Go(9).kind() == slm::ErrorKind::kRunFailed);
  CHECK(CountOf(run.out.text, "\"record\":\"turn\"") == 0);
}

TEST(WrongLinesAreNamed) {
  for (const char* wrong :
       {"ask 1", "turn", "turn x 1 - 0 0 1 0 7", "turn 2 0 - 0 0 1 0 7", "turn 2 1 a 0 0 1 0 7",
        "turn 2 1 - nan 0 1 0 7", "turn 2 1 - -1 0 1 0 7", "turn 2 1 - 0 -1 1 0 7", "turn 2 1 - 0 0 2 0 7",
        "turn 2 1 - 0 0 1 -1 7", "turn 2 1 - 0 0 1 0", "turn 2 1 - 0 0 1 0 7 x", "stop", "stop -1", ""}) {
    Run run(std::string("stop 0\n") + wrong + "\n");
    const slm::Status status = run.Go(9);
    CHECK(status.kind() == slm::ErrorKind::kUsage);
    CHECK(status.message().starts_with("request 2: "));
  }
}

}  // namespace
