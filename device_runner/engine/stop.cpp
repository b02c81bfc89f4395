#include "engine/stop.h"

#include <time.h>

#include <algorithm>

#include "engine/clock.h"

namespace slm {
namespace {

// A handler cannot wake a thread that waits for a condition, so the token is looked at this often.
constexpr int64_t kLookNs = 10'000'000;
constexpr int64_t kNsPerMs = 1'000'000;

}  // namespace

Status SleepMs(int64_t milliseconds, StopToken stop) {
  const int64_t end = MonotonicNs() + milliseconds * kNsPerMs;
  for (int64_t left = milliseconds * kNsPerMs; left > 0; left = end - MonotonicNs()) {
    if (Status status = stop.Check(); !status.ok()) return status;
    timespec slice = {};
    slice.tv_nsec = static_cast<long>(std::min(left, kLookNs));
    // A signal ends it early, which is as well: the loop looks and goes on.
    nanosleep(&slice, nullptr);
  }
  return stop.Check();
}

}  // namespace slm
