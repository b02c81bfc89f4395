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

void Reorder(const WeightLayout& layout, const float* activations, const FloatRows& rows) {
  const int64_t step = layout.step_columns();
  const int64_t block = layout.block_columns();
  float* values = rows.values;
  float* sums = rows.sums;
  for (int64_t row = 0; row < rows.rows; ++row, activations += layout.columns, values += layout.padded_columns()) {
    std::fill(sums, sums + layout.blocks(), 0.0F);
    for (int64_t column = 0; column < layout.padded_columns(); ++column) {
      const int64_t in_step = column % step;
      const int64_t position = layout.bits == 4 ? in_step / 2 + 4 * (in_step % 2) : in_step;
      const float value = column < layout.columns ? activations[column] : 0.0F;
      values[column - in_step + position] = value;
      sums[column / block] += value;
    }
    sums += layout.blocks();
  }
}

}  // namespace slm::kernels
