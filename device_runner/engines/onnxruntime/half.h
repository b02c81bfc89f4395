// IEEE 754 half precision, which C++20 has no type for.
#pragma once

#include <cstdint>

namespace slm {

float HalfToFloat(uint16_t half);

}  // namespace slm
