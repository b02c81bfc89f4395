// Elementwise operators in plain loops and generic vectors, compiled once per instruction set. No inline
// functions of the standard library: the linker keeps one copy of such a function, whatever it needs to run.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/elementwise/elementwise.h"
#include "kernels/vectors.h"

namespace slm::kernels {
namespace {

// All bits of a float but its sign.
constexpr int32_t kMagnitudeBits = 0x7FFFFFFF;

inline Floats Magnitude(Floats x) {
  Integers bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits &= kMagnitudeBits;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

inline Floats WithSignOf(Floats sign, Floats magnitude) {
  Integers from;
  Integers to;
  std::memcpy(&from, &sign, sizeof from);
  std::memcpy(&to, &magnitude, sizeof to);
  to = (to & kMagnitudeBits) | (from & ~kMagnitudeBits);
  std::memcpy(&magnitude, &to, sizeof to);
  return magnitude;
}

// Never takes e to a positive power, which could be infinite.
struct Sigmoid {
  Floats operator()(Floats x) const {
    const Floats small = Exp(-Magnitude(x));
    return (x < Floats{} ? small : Splat(1.0F)) / (1.0F + small);
  }
};

struct Tanh {
  Floats operator()(Floats x) const {
    const Floats small = Exp(-2.0F * Magnitude(x));
    return WithSignOf(x, (1.0F - small) / (1.0F + small));
  }
};

template <typename Function>
inline void ApplyVectors(const Function& function, const float* input, float* output, int64_t count) {
  int64_t at = 0;
  for (; at + kLanesPerVector <= count; at += kLanesPerVector) {
    Store(output + at, function(Load(input + at)));
  }
  if (at == count) return;
  float last[kLanesPerVector] = {};
  const auto bytes = static_cast<size_t>(count - at) * sizeof(float);
  std::memcpy(last, input + at, bytes);
  Store(last, function(Load(last)));
  std::memcpy(output + at, last, bytes);
}

inline void ApplyUnary(Unary kind, const float* input, float* output, int64_t count) {
  switch (kind) {
    case Unary::kSigmoid:
      return ApplyVectors(Sigmoid{}, input, output, count);
    case Unary::kTanh:
      return ApplyVectors(Tanh{}, input, output, count);
    case Unary::kSquare:
      for (int64_t at = 0; at < count; ++at) output[at] = input[at] * input[at];
      return;
    case Unary::kReciprocalSquareRoot:
      for (int64_t at = 0; at < count; ++at) output[at] = 1.0F / __builtin_sqrtf(input[at]);
      return;
    case Unary::kGelu:
      for (int64_t at = 0; at < count; ++at) {
        output[at] = 0.5F * input[at] * (1.0F + __builtin_erff(input[at] * 0.70710678F));
      }
      return;
  }
}

template <Binary kKind>
inline float Combine(float left, float right) {
  switch (kKind) {
    case Binary::kAdd:
      return left + right;
    case Binary::kSubtract:
      return left - right;
    case Binary::kMultiply:
      return left * right;
    case Binary::kDivide:
      return left / right;
    case Binary::kMaximum:
      return left > right ? left : right;
  }
}

// Strides of 0 and 1 are known to the compiler, which is what lets it vectorize.
template <Binary kKind, int kLeft, int kRight>
[[gnu::always_inline]] inline void CombineRun(const float* left, const float* right, float* output,
                                              int64_t count) {
  for (int64_t at = 0; at < count; ++at) output[at] = Combine<kKind>(left[at * kLeft], right[at * kRight]);
}

template <Binary kKind>
[[gnu::always_inline]] inline void CombineRuns(const Operand& left, const Operand& right, float* output,
                                               int64_t rows, int64_t outer, int64_t inner) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t block = 0; block < outer; ++block, output += inner) {
      const float* a = left.data + row * left.row_stride + block * left.outer_stride;
      const float* b = right.data + row * right.row_stride + block * right.outer_stride;
      if (left.inner_stride == 0) {
        CombineRun<kKind, 0, 1>(a, b, output, inner);
      } else if (right.inner_stride == 0) {
        CombineRun<kKind, 1, 0>(a, b, output, inner);
      } else {
        CombineRun<kKind, 1, 1>(a, b, output, inner);
      }
    }
  }
}

inline void ApplyBinary(Binary kind, const Operand& left, const Operand& right, float* output, int64_t rows,
                        int64_t outer, int64_t inner) {
  switch (kind) {
    case Binary::kAdd:
      return CombineRuns<Binary::kAdd>(left, right, output, rows, outer, inner);
    case Binary::kSubtract:
      return CombineRuns<Binary::kSubtract>(left, right, output, rows, outer, inner);
    case Binary::kMultiply:
      return CombineRuns<Binary::kMultiply>(left, right, output, rows, outer, inner);
    case Binary::kDivide:
      return CombineRuns<Binary::kDivide>(left, right, output, rows, outer, inner);
    case Binary::kMaximum:
      return CombineRuns<Binary::kMaximum>(left, right, output, rows, outer, inner);
  }
}

inline void WeightedSums(const float* input, const float* weights, float bias, float* output, int64_t rows,
                         int64_t columns) {
  // As many sums side by side as the widest registers hold: float additions may not be reordered otherwise.
  constexpr int64_t kLanes = 16;
  for (int64_t row = 0; row < rows; ++row, input += columns) {
    float sums[kLanes] = {};
    int64_t column = 0;
    for (; column + kLanes <= columns; column += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        sums[lane] += input[column + lane] * weights[column + lane];
      }
    }
    for (int64_t lane = 0; column < columns; ++column, ++lane) sums[lane] += input[column] * weights[column];
    for (int64_t width = kLanes / 2; width > 0; width /= 2) {
      for (int64_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
    }
    output[row] = sums[0] + bias;
  }
}

}  // namespace
}  // namespace slm::kernels
