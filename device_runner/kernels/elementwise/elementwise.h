// Operators on each element of float32 rows, for what lies between products and attention.
#pragma once

#include <cstdint>

namespace slm::kernels {

enum class Unary { kSigmoid, kSquare, kReciprocalSquareRoot, kGelu, kTanh };
enum class Binary { kAdd, kSubtract, kMultiply, kDivide, kMaximum };

// One operand of a binary operator, as [rows][outer][inner] with these distances between elements; 0 repeats.
struct Operand {
  const float* data = nullptr;
  int64_t row_stride = 0;
  int64_t outer_stride = 0;
  // 0 or 1.
  int64_t inner_stride = 0;
};

}  // namespace slm::kernels
