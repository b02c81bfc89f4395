// XNNPACK delegates of a program on the runner's own kernels.
//
// A program names the backend of each delegate. The runner registers a backend under a name of its own, and
// its loader (program_loader.h) hands ExecuTorch the program with XNNPACK's name replaced by that one.
// Delegates that the runner cannot run itself go on to XNNPACK's backend; files stay as they are.
#pragma once

#include <string>
#include <string_view>

namespace slm {

inline constexpr std::string_view kXnnpackBackend = "XnnpackBackend";
inline constexpr std::string_view kOwnBackend = "SlmRowsBackend";
static_assert(kOwnBackend.size() == kXnnpackBackend.size());

// Whether programs that are loaded from now on shall have their delegates renamed. Never without `own`, nor
// where the engine's kernels are faster.
bool ChooseDelegates(bool own);

// The kernels of those that were loaded since: "engine", or e.g. "own:avx2" if there is one on our kernels.
std::string DelegateKernels();

}  // namespace slm
