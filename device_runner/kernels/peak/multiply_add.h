// The most multiplications and additions of floats that an instruction set can do: nothing else happens.
#pragma once

#include <cstdint>

#include "kernels/kernel_set.h"
#include "kernels/vectors.h"

namespace slm::kernels {
namespace {

// Two a cycle of four or five cycles each; 14 registers with the constants, of the 16 that the smallest sets
// have.
constexpr int64_t kChains = 12;
static_assert(kChains * kLanesPerVector <= kPeakValues);

inline int64_t MultiplyAdd(float* values, int64_t times) {
  const Floats factor = Splat(0.5F), addend = Splat(1.0F);
  Floats chains[kChains];
  for (int64_t chain = 0; chain < kChains; ++chain) chains[chain] = Load(values + chain * kLanesPerVector);
  for (int64_t time = 0; time < times; ++time) {
    for (Floats& chain : chains) chain = chain * factor + addend;
  }
  for (int64_t chain = 0; chain < kChains; ++chain) Store(values + chain * kLanesPerVector, chains[chain]);
  return 2 * kChains * kLanesPerVector * times;
}

}  // namespace
}  // namespace slm::kernels
