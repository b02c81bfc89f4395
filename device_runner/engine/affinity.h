// Which CPUs the process and its threads may run on.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/status.h"

namespace slm {

// CPUs that this process may use now.
int64_t AvailableCpus();
// Restricts the calling thread, and the threads it starts from now on, to these CPUs. The message of a
// failure does not say who asked for it.
Status RestrictToCpus(const std::vector<int64_t>& cpus);

}  // namespace slm
