// Ending work from outside, between two steps: by another thread or by a signal handler.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/status.h"

namespace slm {

// Asks for the end. Request may be called from a signal handler.
class StopSource {
 public:
  void Request() { requested_.store(true); }
  bool requested() const { return requested_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> requested_{false};
  static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler must not lock");
};

// What work is given to look at. Without a source it never stops; a source must outlive its tokens.
class StopToken {
 public:
  StopToken() = default;
  StopToken(const StopSource& source) : source_(&source) {}

  bool stopped() const { return source_ != nullptr && source_->requested(); }
  // Not ok (kStopped) once the end was asked for.
  Status Check() const { return stopped() ? Status(ErrorKind::kStopped, "stopped") : Status(); }

 private:
  const StopSource* source_ = nullptr;
};

// Sleeps; ends early with kStopped when the end is asked for.
Status SleepMs(int64_t milliseconds, StopToken stop);

}  // namespace slm
