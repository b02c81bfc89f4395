#include "cli/signals.h"

#include <atomic>
#include <csignal>
#include <ctime>

namespace slm {
namespace {

// A handler can reach nothing but globals; this is the only one in the runner.
std::atomic<int> received_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "the handler must not lock");

extern "C" void RememberSignal(int signal) { received_signal.store(signal); }

}  // namespace

void InstallSignalHandlers() {
  struct sigaction action = {};
  action.sa_handler = RememberSignal;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  // A reader that went away shows as a failed write, which ends the run with its own exit code.
  std::signal(SIGPIPE, SIG_IGN);
}

Status CheckSignals() {
  const int signal = received_signal.load(std::memory_order_relaxed);
  return signal == 0 ? Status() : Status::Signal(signal);
}

Status SleepMs(int64_t milliseconds) {
  timespec left = {};
  left.tv_sec = static_cast<time_t>(milliseconds / 1000);
  left.tv_nsec = static_cast<long>(milliseconds % 1000) * 1'000'000;
  Status status = CheckSignals();
  // Handlers are installed without SA_RESTART: a signal interrupts the sleep, which then goes on.
  while (status.ok() && nanosleep(&left, &left) != 0) status = CheckSignals();
  return status;
}

}  // namespace slm
