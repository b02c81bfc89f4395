#include "measure/gate.h"

#include <unistd.h>

#include "engine/clock.h"

namespace slm {
namespace {

// Far below what a host needs for its readings, far above what looking costs.
constexpr int64_t kPollMs = 2;
constexpr int64_t kNsPerSecond = 1'000'000'000;

}  // namespace

Status Gate::Await(int64_t index) {
  waited_ns_ = 0;
  if (options_.folder.empty() || outcome_ == "unattended") return {};
  const Status written =
      records_.Write(records_.NewRecord("gate").Add("index", index).Add("unix_ns", UnixNs()));
  if (!written.ok()) return written;
  const std::string token = options_.folder + "/open-" + std::to_string(index);
  const int64_t started = MonotonicNs();
  outcome_ = "unattended";
  while (waited_ns_ < options_.timeout_s * kNsPerSecond) {
    const bool open = access(token.c_str(), F_OK) == 0;
    waited_ns_ = MonotonicNs() - started;
    if (open) {
      outcome_ = "opened";
      return {};
    }
    if (Status status = SleepMs(kPollMs, stop_); !status.ok()) return status;
  }
  return {};
}

}  // namespace slm
