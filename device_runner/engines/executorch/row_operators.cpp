#include "engines/executorch/row_operators.h"

#include <algorithm>
#include <cmath>
#include <cstring>

// Marks a function that is compiled once per generation of x86 CPUs; the loader chooses. Elsewhere once.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define SLM_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SLM_MULTIVERSION
#endif

namespace slm {
namespace {

// e^x to 2 units in the last place for x <= 88; 0 below -87. As in kernels/portable_attention.h, in a form
// that compilers vectorize.
inline float Exp(float x) {
  const float bounded = std::max(x, -87.0F);
  // x = n * ln 2 + rest, n rounded by adding 1.5 * 2^23.
  const float biased = bounded * 1.44269504F + 12582912.0F;
  const float n = biased - 12582912.0F;
  const float rest = (bounded - n * 0.693359375F) + n * 2.12194440e-4F;
  // Coefficients of Cephes' expf.
  float power = 1.9875691500e-4F;
  power = power * rest + 1.3981999507e-3F;
  power = power * rest + 8.3334519073e-3F;
  power = power * rest + 4.1665795894e-2F;
  power = power * rest + 1.6666665459e-1F;
  power = power * rest + 5.0000001201e-1F;
  power = power * rest * rest + rest + 1.0F;
  int32_t exponent;
  std::memcpy(&exponent, &biased, sizeof exponent);
  exponent = static_cast<int32_t>(static_cast<uint32_t>(exponent - 0x4B400000 + 127) << 23);
  float scale;
  std::memcpy(&scale, &exponent, sizeof scale);
  return x < -87.0F ? 0.0F : power * scale;
}

// Never takes e to a positive power, which could be infinite.
inline float SigmoidOf(float x) {
  const float small = Exp(-std::fabs(x));
  return (x < 0.0F ? small : 1.0F) / (1.0F + small);
}

inline float TanhOf(float x) {
  const float small = Exp(-2.0F * std::fabs(x));
  return std::copysign((1.0F - small) / (1.0F + small), x);
}

SLM_MULTIVERSION
void Sigmoid(const float* input, float* output, int64_t count) {
  for (int64_t at = 0; at < count; ++at) output[at] = SigmoidOf(input[at]);
}

SLM_MULTIVERSION
void Tanh(const float* input, float* output, int64_t count) {
  for (int64_t at = 0; at < count; ++at) output[at] = TanhOf(input[at]);
}

SLM_MULTIVERSION
void Square(const float* input, float* output, int64_t count) {
  for (int64_t at = 0; at < count; ++at) output[at] = input[at] * input[at];
}

SLM_MULTIVERSION
void ReciprocalSquareRoot(const float* input, float* output, int64_t count) {
  for (int64_t at = 0; at < count; ++at) output[at] = 1.0F / std::sqrt(input[at]);
}

void Gelu(const float* input, float* output, int64_t count) {
  for (int64_t at = 0; at < count; ++at) {
    output[at] = 0.5F * input[at] * (1.0F + std::erf(input[at] * 0.70710678F));
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

// Always inlined: on its own it would be compiled for the oldest CPU only.
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

}  // namespace

void Apply(Unary kind, const float* input, float* output, int64_t count) {
  switch (kind) {
    case Unary::kSigmoid:
      return Sigmoid(input, output, count);
    case Unary::kSquare:
      return Square(input, output, count);
    case Unary::kReciprocalSquareRoot:
      return ReciprocalSquareRoot(input, output, count);
    case Unary::kGelu:
      return Gelu(input, output, count);
    case Unary::kTanh:
      return Tanh(input, output, count);
  }
}

SLM_MULTIVERSION
void Apply(Binary kind, const Operand& left, const Operand& right, float* output, int64_t rows, int64_t outer,
           int64_t inner) {
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

SLM_MULTIVERSION
void WeightedSums(const float* input, const float* weights, float bias, float* output, int64_t rows,
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

void CopyColumns(const float* input, int64_t input_stride, float* output, int64_t output_stride, int64_t rows,
                 int64_t width) {
  for (int64_t row = 0; row < rows; ++row, input += input_stride, output += output_stride) {
    // A call of memcpy costs more than a short row.
    if (width < 8) {
      for (int64_t column = 0; column < width; ++column) output[column] = input[column];
    } else {
      std::memcpy(output, input, static_cast<size_t>(width) * sizeof(float));
    }
  }
}

}  // namespace slm
