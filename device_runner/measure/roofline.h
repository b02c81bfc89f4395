// What a device can do at most: memory bandwidth and multiplications, by the number of threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/status.h"
#include "engine/stop.h"
#include "kernels/kernel_set.h"
#include "kernels/parallel_for.h"

namespace slm {

// Threads of its own, made once; the calling one works along.
class MeasuringThreads final : public kernels::ParallelFor {
 public:
  explicit MeasuringThreads(int threads) : threads_(threads) {}

  int threads() const override { return threads_; }
  // Each task has a thread of its own. Throws std::system_error, and runs no task, where one cannot start.
  void Run(int64_t tasks, kernels::TaskRef body) override;

 private:
  int threads_;
};

struct RooflineOptions {
  // Each of them is measured; empty: powers of two up to the CPUs, and all of them.
  std::vector<int64_t> threads;
  // Read front to back: larger than any cache.
  int64_t buffer_bytes = int64_t{256} << 20;
  // How often each is measured; the best counts, as a roof is what can be reached.
  int64_t passes = 7;
};

struct RooflinePoint {
  int64_t threads = 0;
  // Bytes per second of reading memory front to back.
  double read_bytes_per_second = 0;
  // Multiplications and additions per second: 8-bit products of 32 rows, and floats in registers.
  double int8_ops_per_second = 0;
  double float_ops_per_second = 0;
};

// Thread counts to measure on so many CPUs.
std::vector<int64_t> ThreadCounts(int64_t cpus);

// kRunFailed without the memory, kStopped between two measurements.
Status MeasureRoofline(const kernels::KernelSet& set, const RooflineOptions& options, StopToken stop,
                       std::vector<RooflinePoint>& points);

}  // namespace slm
