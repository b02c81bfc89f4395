// Elementwise operators over rows of float32, for what lies between the products of a delegate.
#pragma once

#include <cstdint>

namespace slm {

enum class Unary { kSigmoid, kSquare, kReciprocalSquareRoot, kGelu, kTanh };
enum class Binary { kAdd, kSubtract, kMultiply, kDivide, kMaximum };

// One operand of a binary operator, as [rows][outer][inner] with these distances between elements; 0 repeats.
struct Operand {
  const float* data = nullptr;
  int64_t row_stride = 0;
  int64_t outer_stride = 0;
  int64_t inner_stride = 0;
};

void Apply(Unary kind, const float* input, float* output, int64_t count);

// output is [rows][outer][inner] without gaps.
void Apply(Binary kind, const Operand& left, const Operand& right, float* output, int64_t rows, int64_t outer,
           int64_t inner);

// output[row] = sum over k of input[row][k] * weights[k] + bias
void WeightedSums(const float* input, const float* weights, float bias, float* output, int64_t rows,
                  int64_t columns);

// Copies [rows][width] out of and into rows that are longer.
void CopyColumns(const float* input, int64_t input_stride, float* output, int64_t output_stride, int64_t rows,
                 int64_t width);

}  // namespace slm
