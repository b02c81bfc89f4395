// How work is cut into tasks for threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace slm::kernels {

// More tasks than threads, so that fast cores take over from slow ones and from threads that are held up.
inline constexpr int64_t kTasksPerThread = 4;

// Tasks for work on this many bytes of weights or activations that can be cut into `maximum` pieces, with at
// least `least_bytes` per task: below that, handing a task to another thread costs more than doing it.
inline int64_t TaskCount(int64_t work_bytes, int64_t least_bytes, int64_t maximum, int64_t threads) {
  if (threads == 1) return 1;
  return std::clamp<int64_t>(work_bytes / least_bytes, 1, std::min(maximum, threads * kTasksPerThread));
}

}  // namespace slm::kernels
