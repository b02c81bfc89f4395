// ExecuTorch's thread pool, on which XNNPACK's operators and ours run.
#pragma once

#include <executorch/runtime/core/function_ref.h>

#include <cstddef>
#include <vector>

#include "engine/status.h"

namespace slm {

// Makes the pool this large, the calling thread included, and pins each thread when `cpus` names one for
// each.
Status SetThreads(int threads, const std::vector<int>& cpus);

// Threads of the pool, the calling one included.
size_t ThreadCount();

// Runs body(task) for every task; threads that are done early take over from others.
void InParallel(size_t tasks, executorch::runtime::FunctionRef<void(size_t)> body);

}  // namespace slm
