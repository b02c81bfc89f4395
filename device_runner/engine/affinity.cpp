#include "engine/affinity.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

namespace slm {

int64_t AvailableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

Status RestrictToCpus(const std::vector<int64_t>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int64_t cpu : cpus) {
    if (cpu >= CPU_SETSIZE) return {ErrorKind::kCpus, "there is no CPU " + std::to_string(cpu)};
    CPU_SET(static_cast<size_t>(cpu), &set);
  }
  if (sched_setaffinity(0, sizeof(set), &set) != 0) {
    return {ErrorKind::kCpus, std::strerror(errno)};
  }
  // The kernel drops CPUs that are offline or forbidden without a word; running elsewhere than asked
  // for would falsify the result.
  cpu_set_t actual;
  CPU_ZERO(&actual);
  sched_getaffinity(0, sizeof(actual), &actual);
  for (const int64_t cpu : cpus) {
    if (!CPU_ISSET(static_cast<size_t>(cpu), &actual)) {
      return {ErrorKind::kCpus, "CPU " + std::to_string(cpu) + " is offline or not allowed"};
    }
  }
  return {};
}

KeptCpus::KeptCpus() : thread_(gettid()) {
  CPU_ZERO(&cpus_);
  if (sched_getaffinity(thread_, sizeof(cpus_), &cpus_) != 0) CPU_ZERO(&cpus_);
}

KeptCpus::~KeptCpus() {
  // Fails for a thread that has ended, and where its CPUs could not be read.
  sched_setaffinity(thread_, sizeof(cpus_), &cpus_);
}

}  // namespace slm
