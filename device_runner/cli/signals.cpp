#include "cli/signals.h"

#include <atomic>
#include <csignal>

namespace slm {
namespace {

// A handler can reach nothing but globals; these are the only ones of the runner.
std::atomic<int> received_signal{0};
StopSource source;
static_assert(std::atomic<int>::is_always_lock_free, "the handler must not lock");

extern "C" void RememberSignal(int signal) {
  received_signal.store(signal);
  source.Request();
}

}  // namespace

void InstallSignalHandlers() {
  struct sigaction action = {};
  action.sa_handler = RememberSignal;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  // A reader that went away shows as a failed write, which ends the run with its own exit code.
  std::signal(SIGPIPE, SIG_IGN);
}

StopToken SignalStop() { return source; }

int ReceivedSignal() { return received_signal.load(); }

}  // namespace slm
