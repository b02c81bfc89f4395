// ExecuTorch's thread pool, on which XNNPACK's operators and ours run.
#pragma once

#include <vector>

#include "engine/status.h"
#include "kernels/parallel_for.h"

namespace slm {

// Makes the pool this large, the calling thread included, and pins each thread when `cpus` names one for
// each.
Status SetThreads(int threads, const std::vector<int>& cpus);

// The pool, for work that is cut into tasks.
kernels::ParallelFor& PoolThreads();

}  // namespace slm
