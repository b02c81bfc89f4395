// Peak memory of this process, sampled by a thread of its own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>

namespace slm {

struct MemoryReading {
  int64_t rss_bytes = 0;
  int64_t swap_bytes = 0;
  int64_t hwm_bytes = 0;
};

// Reads the VmRSS, VmSwap and VmHWM lines of a /proc/self/status text; nothing when VmRSS is missing.
std::optional<MemoryReading> ParseProcStatus(std::string_view text);

// What /proc tells is unknown where it is not mounted.
struct MemoryPeaks {
  std::string_view method;
  int64_t peak_bytes = 0;
  std::optional<int64_t> vm_hwm_bytes;
  std::optional<int64_t> max_rss_swap_bytes;
  std::optional<int64_t> max_swap_bytes;
  int64_t major_faults = 0;
  int64_t samples = 0;
};

// Samples VmRSS + VmSwap from construction on. VmHWM alone misses pages that were swapped out, sampling
// alone misses what happens between two samples; the peak is the larger of both.
class MemorySampler {
 public:
  static constexpr int64_t kIntervalMs = 10;

  MemorySampler();
  ~MemorySampler();
  MemorySampler(const MemorySampler&) = delete;
  MemorySampler& operator=(const MemorySampler&) = delete;

  // Takes one more sample and returns what has been seen so far.
  MemoryPeaks Peaks();
  // VmRSS + VmSwap at this moment; nothing where /proc is not mounted.
  std::optional<int64_t> CurrentBytes();

 private:
  std::optional<MemoryReading> Sample();
  void Loop();

  int status_file_ = -1;
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stop_ = false;
  int64_t max_rss_swap_bytes_ = 0;
  int64_t max_swap_bytes_ = 0;
  int64_t vm_hwm_bytes_ = 0;
  int64_t samples_ = 0;
  // Last member: it must not start before the others are there.
  std::thread thread_;
};

}  // namespace slm
