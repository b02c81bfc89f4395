#include "measure/roofline.h"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <system_error>
#include <thread>

#include "tests/check.h"

namespace slm {
namespace {

// Leaves no address space for more than a few stacks of threads, until it is gone.
class LittleAddressSpace {
 public:
  LittleAddressSpace() {
    getrlimit(RLIMIT_AS, &before_);
    rlim_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit little = before_;
    little.rlim_cur = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (rlim_t{24} << 20);
    setrlimit(RLIMIT_AS, &little);
  }
  LittleAddressSpace(const LittleAddressSpace&) = delete;
  LittleAddressSpace& operator=(const LittleAddressSpace&) = delete;
  ~LittleAddressSpace() { setrlimit(RLIMIT_AS, &before_); }

 private:
  rlimit before_{};
};

TEST(EveryTaskRunsOnce) {
  MeasuringThreads threads(3);
  std::array<std::atomic<int>, 3> seen{};
  threads.Run(3, [&](int64_t task) { ++seen[static_cast<size_t>(task)]; });
  for (const auto& count : seen) CHECK(count == 1);
}

TEST(WhereAThreadCannotStartNoTaskRuns) {
  MeasuringThreads threads(100);
  std::atomic<int> seen{0};
  bool refused = false;
  {
    const LittleAddressSpace little;
    try {
      threads.Run(100, [&](int64_t) {
        // As measurements do.
        for (++seen; seen < 100;) std::this_thread::yield();
      });
    } catch (const std::system_error&) {
      refused = true;
    }
  }
  CHECK(refused);
  CHECK(seen == 0);
}

TEST(ThreadCountsEndWithAllCpus) {
  CHECK((ThreadCounts(1) == std::vector<int64_t>{1}));
  CHECK((ThreadCounts(2) == std::vector<int64_t>{1, 2}));
  CHECK((ThreadCounts(6) == std::vector<int64_t>{1, 2, 4, 6}));
  CHECK((ThreadCounts(8) == std::vector<int64_t>{1, 2, 4, 8}));
}

TEST(EverySetHasRates) {
  RooflineOptions options;
  options.threads = {1, 2};
  options.buffer_bytes = 1 << 20;
  options.passes = 1;
  for (const kernels::KernelSet* set : kernels::AvailableKernels()) {
    std::vector<RooflinePoint> points;
    CHECK(MeasureRoofline(*set, options, StopToken(), points).ok());
    CHECK(points.size() == 2);
    for (const RooflinePoint& point : points) {
      CHECK(point.read_bytes_per_second > 0);
      CHECK(point.int8_ops_per_second > 0);
      CHECK(point.float_ops_per_second > 0);
    }
  }
}

TEST(AStopEndsIt) {
  RooflineOptions options;
  options.threads = {1};
  options.buffer_bytes = 1 << 20;
  StopSource stop;
  stop.Request();
  std::vector<RooflinePoint> points;
  CHECK(MeasureRoofline(kernels::FastestKernels(), options, stop, points).kind() == ErrorKind::kStopped);
  CHECK(points.empty());
}

}  // namespace
}  // namespace slm
