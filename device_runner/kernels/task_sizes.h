// How work is cut into tasks for threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace slm::kernels {

// More tasks than threads, so that fast cores take over from slow ones and from threads that are held up.
inline constexpr int64_t kTasksPerThread = 4;

// Below that, handing a task to another thread costs more than doing it. On two threads 16 and 32 KiB are
// alike (SmolLM2-135M in 4 bits, the fastest step of each: 3.73 and 3.79 ms on ONNX Runtime, 2.97 and 3.01 ms
// on ExecuTorch); the smaller lets eight threads share a matrix of 576 by 576.
inline constexpr int64_t kMinimumTaskBytes = 16 << 10;

// Tasks for work on this many bytes of weights or activations that can be cut into `maximum` pieces.
inline int64_t TaskCount(int64_t work_bytes, int64_t maximum, int64_t threads) {
  if (threads == 1) return 1;
  return std::clamp<int64_t>(work_bytes / kMinimumTaskBytes, 1, std::min(maximum, threads * kTasksPerThread));
}

}  // namespace slm::kernels
