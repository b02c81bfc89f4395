#include "measure/memory.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace slm {
namespace {

std::optional<int64_t> KilobyteLine(std::string_view text, std::string_view name) {
  const size_t start = text.find(name);
  if (start == std::string_view::npos) return std::nullopt;
  const size_t digits = text.find_first_of("0123456789", start + name.size());
  if (digits == std::string_view::npos) return std::nullopt;
  int64_t kilobytes = 0;
  std::from_chars(text.data() + digits, text.data() + text.size(), kilobytes);
  return kilobytes * 1024;
}

}  // namespace

std::optional<MemoryReading> ParseProcStatus(std::string_view text) {
  const std::optional<int64_t> rss = KilobyteLine(text, "\nVmRSS:");
  if (!rss) return std::nullopt;
  // VmSwap is absent on kernels built without swap.
  return MemoryReading{*rss, KilobyteLine(text, "\nVmSwap:").value_or(0),
                       KilobyteLine(text, "\nVmHWM:").value_or(0)};
}

MemorySampler::MemorySampler()
    : status_file_(open("/proc/self/status", O_RDONLY | O_CLOEXEC)), thread_([this] { Loop(); }) {}

MemorySampler::~MemorySampler() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopping_.notify_all();
  thread_.join();
  if (status_file_ >= 0) close(status_file_);
}

std::optional<MemoryReading> MemorySampler::Sample() {
  std::array<char, 4096> text;
  const ssize_t length = status_file_ < 0 ? -1 : pread(status_file_, text.data(), text.size(), 0);
  if (length <= 0) return std::nullopt;
  const std::optional<MemoryReading> reading = ParseProcStatus({text.data(), static_cast<size_t>(length)});
  if (!reading) return std::nullopt;
  const std::lock_guard lock(mutex_);
  max_rss_swap_bytes_ = std::max(max_rss_swap_bytes_, reading->rss_bytes + reading->swap_bytes);
  max_swap_bytes_ = std::max(max_swap_bytes_, reading->swap_bytes);
  vm_hwm_bytes_ = std::max(vm_hwm_bytes_, reading->hwm_bytes);
  ++samples_;
  return reading;
}

void MemorySampler::Loop() {
  for (;;) {
    Sample();
    std::unique_lock lock(mutex_);
    if (stopping_.wait_for(lock, std::chrono::milliseconds(kIntervalMs), [this] { return stop_; })) return;
  }
}

MemoryPeaks MemorySampler::Peaks() {
  Sample();
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const std::lock_guard lock(mutex_);
  MemoryPeaks peaks;
  peaks.major_faults = usage.ru_majflt;
  peaks.samples = samples_;
  if (samples_ > 0) {
    peaks.vm_hwm_bytes = vm_hwm_bytes_;
    peaks.max_rss_swap_bytes = max_rss_swap_bytes_;
    peaks.max_swap_bytes = max_swap_bytes_;
    peaks.method = "max(VmHWM, max(VmRSS+VmSwap))";
    peaks.peak_bytes = std::max(vm_hwm_bytes_, max_rss_swap_bytes_);
  } else {
    peaks.method = "ru_maxrss, /proc is not readable";
    peaks.peak_bytes = usage.ru_maxrss * int64_t{1024};
  }
  return peaks;
}

std::optional<int64_t> MemorySampler::CurrentBytes() {
  const std::optional<MemoryReading> reading = Sample();
  if (!reading) return std::nullopt;
  return reading->rss_bytes + reading->swap_bytes;
}

}  // namespace slm
