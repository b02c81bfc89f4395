#include "measure/memory.h"

#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include "tests/check.h"

namespace {

TEST(ParsesProcStatus) {
  const auto reading = slm::ParseProcStatus(
      "Name:\tVmRSS: 1 kB\nVmPeak:\t  900 kB\nVmHWM:\t     300 kB\nVmRSS:\t     200 kB\nVmSwap:\t      50 "
      "kB\n");
  CHECK(reading.has_value());
  CHECK(reading->rss_bytes == 200 * 1024);
  CHECK(reading->hwm_bytes == 300 * 1024);
  CHECK(reading->swap_bytes == 50 * 1024);
}

TEST(KernelsWithoutSwapHaveNoVmSwap) {
  const auto reading = slm::ParseProcStatus("Name:\tx\nVmRSS:\t200 kB\n");
  CHECK(reading.has_value() && reading->swap_bytes == 0);
}

TEST(NothingWithoutVmRss) {
  CHECK(!slm::ParseProcStatus("").has_value());
  CHECK(!slm::ParseProcStatus("Name:\tx\nState:\tZ (zombie)\n").has_value());
}

TEST(PeakHoldsWhatWasFreedAgain) {
  constexpr size_t kBytes = 64 << 20;
  slm::MemorySampler sampler;
  const int64_t before = sampler.CurrentBytes().value_or(-1);
  CHECK(before > 0);
  {
    const auto block = std::make_unique<char[]>(kBytes);
    std::memset(block.get(), 1, kBytes);
    sampler.CurrentBytes();
  }
  const slm::MemoryPeaks peaks = sampler.Peaks();
  CHECK(peaks.peak_bytes >= before + static_cast<int64_t>(kBytes));
  CHECK(peaks.vm_hwm_bytes && peaks.peak_bytes >= *peaks.vm_hwm_bytes);
  CHECK(peaks.max_rss_swap_bytes && peaks.peak_bytes >= *peaks.max_rss_swap_bytes);
  CHECK(peaks.samples >= 3);
  CHECK(peaks.method == "max(VmHWM, max(VmRSS+VmSwap))");
}

TEST(SamplesByItself) {
  slm::MemorySampler sampler;
  const int64_t before = sampler.Peaks().samples;
  std::this_thread::sleep_for(std::chrono::milliseconds(20 * slm::MemorySampler::kIntervalMs));
  // Peaks takes one sample itself; the machine may be busy, so far fewer than 20 count.
  CHECK(sampler.Peaks().samples >= before + 3);
}

}  // namespace
