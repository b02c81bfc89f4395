// The kernel sets that this build holds, one per file.
#pragma once

#include "kernels/kernel_set.h"

namespace slm::kernels {

extern const KernelSet kScalar;
#if defined(__x86_64__)
extern const KernelSet kAvx2;
extern const KernelSet kAvx512Vnni;
#elif defined(__aarch64__)
extern const KernelSet kNeonDotProduct;
#endif

}  // namespace slm::kernels
