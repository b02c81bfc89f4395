// Current and voltage of the battery, sampled by a thread of its own beside the repetitions.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/status.h"
#include "engine/stop.h"
#include "records/record_writer.h"

namespace slm {

struct PowerOptions {
  // The kernel's counters, one integer each. Empty: nothing is sampled.
  std::string current_file;
  std::string voltage_file;
  int64_t interval_ms = 100;
  int64_t baseline_ms = 10'000;

  bool wanted() const { return !current_file.empty(); }
};

// One decimal integer and white space; nothing for anything else.
std::optional<int64_t> ParseCounter(std::string_view text);

struct PowerSamples {
  std::vector<int64_t> monotonic_ns;
  // As the kernel gives them: unit and sign differ between makers and are the host's to find out.
  std::vector<int64_t> current;
  std::vector<int64_t> voltage;
  int64_t unreadable = 0;
};

class PowerSampler {
 public:
  // Samples from now on, unless nothing is wanted.
  explicit PowerSampler(const PowerOptions& options);
  ~PowerSampler();
  PowerSampler(const PowerSampler&) = delete;
  PowerSampler& operator=(const PowerSampler&) = delete;

  // What the device draws with the model loaded and nothing to do. The first fifth of the time is not
  // counted: fuel gauges show an average of the last seconds.
  Status MeasureBaseline(StopToken stop);
  // Stops sampling and writes the `power` record, if anything was wanted.
  Status Write(RecordWriter& records);

 private:
  void Sample();
  void Loop();
  void Stop();

  const PowerOptions options_;
  int64_t baseline_start_ns_ = 0;
  int64_t baseline_end_ns_ = 0;
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stop_ = false;
  // Written by the thread only, read once it has ended.
  PowerSamples samples_;
  // Last member: it must not start before the others are there.
  std::thread thread_;
};

}  // namespace slm
