#include "measure/power.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "engine/clock.h"

namespace slm {
namespace {

// Opened anew each time: that works for every kernel attribute and for files that are replaced.
std::optional<int64_t> ReadCounter(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::array<char, 64> text;
  const ssize_t length = read(file, text.data(), text.size());
  close(file);
  return length <= 0 ? std::nullopt : ParseCounter({text.data(), static_cast<size_t>(length)});
}

}  // namespace

std::optional<int64_t> ParseCounter(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

PowerSampler::PowerSampler(const PowerOptions& options) : options_(options) {
  if (options_.wanted()) thread_ = std::thread([this] { Loop(); });
}

PowerSampler::~PowerSampler() { Stop(); }

void PowerSampler::Stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopping_.notify_all();
  thread_.join();
}

void PowerSampler::Sample() {
  const int64_t before = MonotonicNs();
  const std::optional<int64_t> current = ReadCounter(options_.current_file);
  const std::optional<int64_t> voltage = ReadCounter(options_.voltage_file);
  if (!current || !voltage) {
    ++samples_.unreadable;
    return;
  }
  // Some gauges are asked over a slow bus: the middle of the two readings is the sample's time.
  samples_.monotonic_ns.push_back(before + (MonotonicNs() - before) / 2);
  samples_.current.push_back(*current);
  samples_.voltage.push_back(*voltage);
}

void PowerSampler::Loop() {
  auto next = std::chrono::steady_clock::now();
  for (;;) {
    Sample();
    // A gauge that takes longer than the interval is not asked twice in a row to catch up.
    next = std::max(next + std::chrono::milliseconds(options_.interval_ms), std::chrono::steady_clock::now());
    std::unique_lock lock(mutex_);
    if (stopping_.wait_until(lock, next, [this] { return stop_; })) break;
  }
  // One sample behind the last repetition's end, so that its last interval has two ends.
  Sample();
}

Status PowerSampler::MeasureBaseline(StopToken stop) {
  if (!options_.wanted()) return {};
  const int64_t settle_ms = options_.baseline_ms / 5;
  if (Status status = SleepMs(settle_ms, stop); !status.ok()) return status;
  baseline_start_ns_ = MonotonicNs();
  if (Status status = SleepMs(options_.baseline_ms - settle_ms, stop); !status.ok()) return status;
  baseline_end_ns_ = MonotonicNs();
  return {};
}

Status PowerSampler::Write(RecordWriter& records) {
  if (!options_.wanted()) return {};
  Stop();
  return records.Write(records.NewRecord("power")
                           .Add("current_file", options_.current_file)
                           .Add("voltage_file", options_.voltage_file)
                           .Add("interval_ms", options_.interval_ms)
                           .Add("baseline_start_ns", baseline_start_ns_)
                           .Add("baseline_end_ns", baseline_end_ns_)
                           .Add("unreadable", samples_.unreadable)
                           .Add("monotonic_ns", samples_.monotonic_ns)
                           .Add("current", samples_.current)
                           .Add("voltage", samples_.voltage));
}

}  // namespace slm
