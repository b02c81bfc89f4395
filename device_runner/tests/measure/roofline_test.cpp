#include "measure/roofline.h"

#include <array>
#include <atomic>

#include "tests/check.h"

namespace slm {
namespace {

TEST(EveryTaskRunsOnce) {
  MeasuringThreads threads(3);
  std::array<std::atomic<int>, 3> seen{};
  threads.Run(3, [&](int64_t task) { ++seen[static_cast<size_t>(task)]; });
  for (const auto& count : seen) CHECK(count == 1);
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
