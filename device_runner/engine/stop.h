// Ending work from outside, between two steps: by another thread or by a signal handler.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "engine/status.h"

namespace slm {

// Asks for the end. Request may be called from a signal handler.
class StopSource {
 public:
  void Request() { requested_.store(true); }
  // Takes it back, for the next piece of work.
  void Clear() { requested_.store(false); }
  bool requested() const { return requested_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> requested_{false};
  static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler must not lock");
};

// What work is given to look at. Without a source it never stops; a source must outlive its tokens.
class StopToken {
 public:
  StopToken() = default;
  StopToken(const StopSource& source) : sources_{&source} {}

  // Stops once this one or `other` does.
  StopToken Or(const StopSource& other) const {
    StopToken both = *this;
    const auto free = std::find(both.sources_.begin(), both.sources_.end(), nullptr);
    // As many as are ever joined; one more would be forgotten.
    if (free == both.sources_.end()) std::abort();
    *free = &other;
    return both;
  }

  bool stopped() const {
    return std::any_of(sources_.begin(), sources_.end(),
                       [](const StopSource* source) { return source != nullptr && source->requested(); });
  }
  // Not ok (kStopped) once the end was asked for.
  Status Check() const { return stopped() ? Status(ErrorKind::kStopped, "stopped") : Status(); }

 private:
  std::array<const StopSource*, 4> sources_{};
};

// Sleeps; ends early with kStopped when the end is asked for.
Status SleepMs(int64_t milliseconds, StopToken stop);

}  // namespace slm
