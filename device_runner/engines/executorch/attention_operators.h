// llama::update_cache and llama::custom_sdpa, which register themselves before main.
#pragma once

#include <executorch/runtime/kernel/operator_registry.h>

#include <vector>

#include "kernels/kernel_set.h"

namespace slm {

// All operators of the process, with the attention on these kernels where the fastest are registered.
std::vector<executorch::runtime::Kernel> OperatorsOn(const kernels::KernelSet& set);

}  // namespace slm
