#include "engine/stop.h"

#include <chrono>
#include <thread>

#include "engine/clock.h"
#include "tests/check.h"

namespace {

TEST(WithoutASourceNothingStops) {
  const slm::StopToken never;
  CHECK(!never.stopped());
  CHECK(never.Check().ok());
}

TEST(EveryTokenOfASourceSeesTheRequest) {
  slm::StopSource source;
  const slm::StopToken one = source;
  const slm::StopToken other = one;
  CHECK(other.Check().ok());
  source.Request();
  CHECK(one.stopped() && other.stopped());
  CHECK(other.Check().kind() == slm::ErrorKind::kStopped);
}

TEST(AJoinedTokenSeesEachOfItsSources) {
  slm::StopSource first, second, third;
  const slm::StopToken joined = slm::StopToken(first).Or(second).Or(third);
  for (slm::StopSource* source : {&first, &second, &third}) {
    CHECK(!joined.stopped());
    source->Request();
    CHECK(joined.stopped());
    source->Clear();
  }
}

TEST(SleepsForAsLongAsToldUnlessStopped) {
  const int64_t started = slm::MonotonicNs();
  CHECK(slm::SleepMs(60, {}).ok());
  CHECK(slm::MonotonicNs() - started >= 60'000'000);
  slm::StopSource source;
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    source.Request();
  });
  CHECK(slm::SleepMs(60'000, source).kind() == slm::ErrorKind::kStopped);
  other.join();
}

}  // namespace
