#include "kernels/kernel_set.h"

#include <algorithm>
#include <vector>

#include "kernels/sets.h"

namespace slm::kernels {
namespace {

constexpr const KernelSet* kFastestFirst[] = {
#if defined(__x86_64__)
    &kAvx512Vnni, &kAvx2,
#elif defined(__aarch64__)
    &kNeonDotProduct,
#endif
    &kScalar};

}  // namespace

std::span<const KernelSet* const> AvailableKernels() {
  static const std::vector<const KernelSet*> available = [] {
    std::vector<const KernelSet*> sets;
    std::copy_if(std::begin(kFastestFirst), std::end(kFastestFirst), std::back_inserter(sets),
                 [](const KernelSet* set) { return set->is_available(); });
    return sets;
  }();
  return available;
}

}  // namespace slm::kernels
