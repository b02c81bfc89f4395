// The compilers' generic vectors, as wide as the instruction set that a file is compiled for. Every set's
// file includes this and gets its own copy: the unnamed namespace keeps the linker from using one copy for
// all.
#pragma once

#include <cstdint>
#include <cstring>

namespace slm::kernels {
namespace {

// The widest registers there are.
#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

using Floats = float __attribute__((vector_size(kVectorBytes)));
using Integers = int32_t __attribute__((vector_size(kVectorBytes)));

constexpr int64_t kLanesPerVector = kVectorBytes / int64_t{sizeof(float)};

inline Floats Load(const float* from) {
  Floats vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}

inline void Store(float* to, Floats vector) { std::memcpy(to, &vector, sizeof vector); }

inline Floats Splat(float value) { return Floats{} + value; }

// e^x to 2 units in the last place for x <= 88; 0 below -87.
inline Floats Exp(Floats x) {
  const Floats lowest = Splat(-87.0F);
  const Integers too_low = x < lowest;
  x = too_low ? lowest : x;
  // x = n * ln 2 + rest, n rounded by adding 1.5 * 2^23.
  const Floats biased = x * 1.44269504F + 12582912.0F;
  const Floats n = biased - 12582912.0F;
  const Floats rest = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  // Coefficients of Cephes' expf.
  Floats power = Splat(1.9875691500e-4F);
  power = power * rest + 1.3981999507e-3F;
  power = power * rest + 8.3334519073e-3F;
  power = power * rest + 4.1665795894e-2F;
  power = power * rest + 1.6666665459e-1F;
  power = power * rest + 5.0000001201e-1F;
  power = power * rest * rest + rest + 1.0F;
  Integers exponent;
  std::memcpy(&exponent, &biased, sizeof exponent);
  exponent = (exponent - 0x4B400000 + 127) << 23;
  Floats scale;
  std::memcpy(&scale, &exponent, sizeof scale);
  return too_low ? Floats{} : power * scale;
}

}  // namespace
}  // namespace slm::kernels
