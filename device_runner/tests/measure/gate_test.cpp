#include "measure/gate.h"

#include <chrono>
#include <thread>

#include "records/record_file.h"
#include "tests/check.h"
#include "tests/temporary.h"

namespace {

struct Waiting {
  slm::test::TemporaryFolder folder;
  std::string path = folder / "records";
  slm::RecordFile file{path};
  slm::RecordWriter records{"r1", {&file}};
  slm::GateOptions options{.folder = folder / "", .timeout_s = 60};

  Waiting() { CHECK(file.Open().ok()); }
  std::string Written() const { return slm::test::ReadFile(path + ".part"); }
};

TEST(WithoutAFolderThereIsNoGate) {
  Waiting waiting;
  slm::Gate gate({}, waiting.records);
  CHECK(gate.Await(0).ok());
  CHECK(gate.outcome() == "off");
  CHECK(gate.waited_ns() == 0);
  CHECK(waiting.Written().empty());
}

TEST(SaysThatItIsReadyAndWaitsForItsOwnFile) {
  Waiting waiting;
  slm::Gate gate(waiting.options, waiting.records);
  slm::test::WriteFile(waiting.folder / "open-3", "");
  std::thread host([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    slm::test::WriteFile(waiting.folder / "open-4", "");
  });
  CHECK(gate.Await(4).ok());
  host.join();
  CHECK(gate.outcome() == "opened");
  CHECK(gate.waited_ns() >= 50'000'000);
  CHECK(waiting.Written().find("\"record\":\"gate\",\"run_id\":\"r1\",\"index\":4,\"unix_ns\":") !=
        std::string::npos);
  CHECK(gate.Await(3).ok());
  CHECK(gate.outcome() == "opened");
  CHECK(gate.waited_ns() < 50'000'000);
}

TEST(AHostThatIsGoneIsWaitedForOnce) {
  Waiting waiting;
  waiting.options.timeout_s = 1;
  slm::Gate gate(waiting.options, waiting.records);
  CHECK(gate.Await(0).ok());
  CHECK(gate.outcome() == "unattended");
  CHECK(gate.waited_ns() >= 1'000'000'000);
  // Even a late token does not make the rest of the run an attended one.
  slm::test::WriteFile(waiting.folder / "open-1", "");
  CHECK(gate.Await(1).ok());
  CHECK(gate.outcome() == "unattended");
  CHECK(gate.waited_ns() == 0);
  CHECK(slm::test::CountOf(waiting.Written(), "\"record\":\"gate\"") == 1);
}

TEST(StoppingEndsTheWait) {
  Waiting waiting;
  slm::StopSource stop;
  slm::Gate gate(waiting.options, waiting.records, stop);
  std::thread host([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    stop.Request();
  });
  CHECK(gate.Await(0).kind() == slm::ErrorKind::kStopped);
  host.join();
}

}  // namespace
