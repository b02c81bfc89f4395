#include "engines/onnxruntime/half.h"

#include <bit>
#include <cmath>

namespace slm {

float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16;
  const uint32_t exponent = (half >> 10) & 0x1fU;
  const uint32_t mantissa = half & 0x3ffU;
  // Subnormals: mantissa * 2^-24.
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  // Infinities and NaN keep an exponent of all ones; anything else is rebiased from 15 to 127.
  const uint32_t rebiased = exponent == 0x1f ? 0xff : exponent + 112;
  return std::bit_cast<float>(sign | rebiased << 23 | mantissa << 13);
}

}  // namespace slm
