// Durations come from the monotonic clock, moments from the wall clock; both in nanoseconds.
#pragma once

#include <chrono>
#include <cstdint>

namespace slm {

inline int64_t MonotonicNs() {
  using std::chrono::duration_cast, std::chrono::nanoseconds, std::chrono::steady_clock;
  return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

inline int64_t UnixNs() {
  using std::chrono::duration_cast, std::chrono::nanoseconds, std::chrono::system_clock;
  return duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
}

// How long something takes, for those who may have to begin it again.
class Stopwatch {
 public:
  void Restart() { started_ns_ = MonotonicNs(); }
  int64_t ns() const { return MonotonicNs() - started_ns_; }

 private:
  int64_t started_ns_ = MonotonicNs();
};

}  // namespace slm
