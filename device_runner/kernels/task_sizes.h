// How work is cut into tasks for threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace slm::kernels {

// More tasks than threads, so that fast cores take over from slow ones and from threads that are held up.
inline constexpr int64_t kTasksPerThread = 4;

// Below that, handing a task to another thread costs more than doing it. Half of it is no faster on two
// threads (SmolLM2-135M in 4 bits, the fastest of 2,500 steps on a busy machine: 3.4 ms, and 3.7 with half,
// on the one engine; 3.0 ms with either on the other); more threads were not measured.
inline constexpr int64_t kMinimumTaskBytes = 32 << 10;

// Tasks for work on this many bytes of weights or activations that can be cut into `maximum` pieces.
inline int64_t TaskCount(int64_t work_bytes, int64_t maximum, int64_t threads) {
  if (threads == 1) return 1;
  return std::clamp<int64_t>(work_bytes / kMinimumTaskBytes, 1, std::min(maximum, threads * kTasksPerThread));
}

}  // namespace slm::kernels
