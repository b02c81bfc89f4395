// Which CPUs the process and its threads may run on.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "engine/status.h"

namespace slm {

// CPUs that this process may use now.
int64_t AvailableCpus();
// Restricts the calling thread, and the threads it starts from now on, to these CPUs. The message of a
// failure does not say who asked for it.
Status RestrictToCpus(const std::vector<int64_t>& cpus);

// Gives the thread that made it its CPUs back, from whichever thread it is destroyed.
class KeptCpus {
 public:
  KeptCpus();
  ~KeptCpus();
  KeptCpus(const KeptCpus&) = delete;
  KeptCpus& operator=(const KeptCpus&) = delete;

 private:
  pid_t thread_;
  cpu_set_t cpus_;
};

}  // namespace slm
