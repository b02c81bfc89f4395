// XNNPACK delegates of a program on the runner's own kernels.
//
// ExecuTorch looks a delegate's backend up by the name that the program gives. The runner puts itself
// between: what registers as XNNPACK's backend is kept, and our backend, registered in its place, hands it
// every delegate that the runner cannot or shall not run itself. Programs stay as they are.
#pragma once

#include <string>

namespace slm {

// How delegates that are loaded from now on are run. Without `own`, all are left to the engine.
void ChooseDelegates(bool own);

// The kernels of those that were loaded since: "engine", or e.g. "own:avx2" if there is one on our kernels.
std::string DelegateKernels();

}  // namespace slm
