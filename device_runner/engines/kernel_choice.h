// Whose kernels a session asks for: "own", "engine", or "own:" and the name of a set.
#pragma once

#include <string>
#include <vector>

#include "engine/status.h"
#include "kernels/kernel_set.h"

namespace slm {

struct KernelChoice {
  // Null: the engine's.
  const kernels::KernelSet* set = nullptr;
  // Asked for by its name: used also where the engine's kernels are thought to be faster.
  bool named = false;
};

// kUsage for what is no choice, kKernels for a set that this CPU cannot run.
Status ChooseKernels(const std::string& asked, KernelChoice& choice);

// How the sets that this CPU can run are asked for, the fastest first.
std::vector<std::string> KernelSetNames();

// How a set is asked for, and recorded.
std::string NameOf(const kernels::KernelSet& set);

}  // namespace slm
