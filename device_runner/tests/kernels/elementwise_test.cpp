// Elementwise operators of every kernel set against double. An ulp of a result is at most 2^-23 of it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "../check.h"
#include "kernels/kernel_set.h"

namespace slm::kernels {
namespace {

constexpr double kUlp = 1.0 / (1 << 23);
// Around the widths of all registers, and beyond.
constexpr int64_t kCounts[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 1000};

std::vector<float> RandomFloats(int64_t count, float deviation, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, deviation);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

void CheckUnary(Unary kind, float deviation, const std::function<double(double)>& expected,
                const std::function<double(double, double)>& bound, bool positive = false) {
  for (const KernelSet* set : AvailableKernels()) {
    for (const int64_t count : kCounts) {
      std::vector<float> input = RandomFloats(count, deviation, static_cast<uint32_t>(count));
      if (positive) {
        for (float& value : input) value = std::fabs(value) + 1e-6F;
      }
      // One more, which must stay as it is.
      std::vector<float> output(input.size() + 1, -77.0F);
      set->apply_unary(kind, input.data(), output.data(), count);
      CHECK(output.back() == -77.0F);
      for (size_t at = 0; at < input.size(); ++at) {
        const auto x = static_cast<double>(input[at]);
        const double error = std::fabs(static_cast<double>(output[at]) - expected(x));
        const bool close = error <= bound(x, expected(x));
        CHECK(close);
        if (!close) std::fprintf(stderr, "%s: f(%.9g) is off by %g\n", set->name, x, error);
      }
    }
  }
}

double SigmoidOf(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// e^x is good to 2 ulp, and a sum and a quotient are rounded once each. Below -87 it is flushed to zero.
TEST(SigmoidMatchesDouble) {
  for (const float deviation : {0.1F, 3.0F, 60.0F}) {
    CheckUnary(Unary::kSigmoid, deviation, SigmoidOf, [](double, double y) { return 4 * kUlp * y + 2e-38; });
  }
}

// (1 - e) / (1 + e): near zero e, and so its error, stays near one. The bound is absolute therefore.
TEST(TanhMatchesDouble) {
  for (const float deviation : {0.01F, 1.0F, 30.0F}) {
    CheckUnary(
        Unary::kTanh, deviation, [](double x) { return std::tanh(x); },
        [](double, double) { return 3 * kUlp; });
  }
}

// 1 + erf cancels on the left, where what is left of its ulps is multiplied with x / 2.
TEST(GeluMatchesDouble) {
  for (const float deviation : {0.01F, 1.0F, 5.0F}) {
    CheckUnary(
        Unary::kGelu, deviation, [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); },
        [](double x, double) { return 2 * kUlp * std::fabs(x); });
  }
}

TEST(SquareIsRoundedOnce) {
  CheckUnary(
      Unary::kSquare, 10.0F, [](double x) { return static_cast<double>(static_cast<float>(x * x)); },
      [](double, double) { return 0.0; });
}

// A root and a quotient, half an ulp each.
TEST(ReciprocalSquareRootMatchesDouble) {
  for (const float deviation : {1e-3F, 1.0F, 1e4F}) {
    CheckUnary(
        Unary::kReciprocalSquareRoot, deviation, [](double x) { return 1.0 / std::sqrt(x); },
        [](double, double y) { return 1.01 * kUlp * y; }, true);
  }
}

TEST(TheEndsOfTheRangeAreMet) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> input{kInfinity, -kInfinity, 0.0F, -0.0F, 1e30F, -1e30F, NAN};
  for (const KernelSet* set : AvailableKernels()) {
    std::vector<float> output(input.size());
    set->apply_unary(Unary::kSigmoid, input.data(), output.data(), 7);
    CHECK(std::vector<float>(output.begin(), output.end() - 1) ==
          std::vector<float>{1.0F, 0.0F, 0.5F, 0.5F, 1.0F, 0.0F});
    CHECK(std::isnan(output[6]));
    set->apply_unary(Unary::kTanh, input.data(), output.data(), 7);
    CHECK(std::vector<float>(output.begin(), output.end() - 1) ==
          std::vector<float>{1.0F, -1.0F, 0.0F, 0.0F, 1.0F, -1.0F});
    CHECK(std::signbit(output[3]));
    CHECK(std::isnan(output[6]));
  }
}

// Each is one operation, so a double rounded to float is the exact answer.
float Exact(Binary kind, float left, float right) {
  const auto a = static_cast<double>(left);
  const auto b = static_cast<double>(right);
  switch (kind) {
    case Binary::kAdd:
      return static_cast<float>(a + b);
    case Binary::kSubtract:
      return static_cast<float>(a - b);
    case Binary::kMultiply:
      return static_cast<float>(a * b);
    case Binary::kDivide:
      return static_cast<float>(a / b);
    case Binary::kMaximum:
      return std::max(left, right);
  }
  return NAN;
}

struct Layout {
  int64_t row_stride;
  int64_t outer_stride;
  int64_t inner_stride;
};

TEST(BinaryOperatorsAreRoundedOnceForEveryLayout) {
  constexpr int64_t kRows = 3;
  constexpr int64_t kOuter = 4;
  for (const int64_t inner : {1, 5, 16, 37}) {
    const std::vector<float> left = RandomFloats(kRows * kOuter * inner, 2.0F, 1);
    const std::vector<float> right = RandomFloats(kRows * kOuter * inner, 2.0F, 2);
    // All elements; one row for all; one per row; one per inner row; a scalar.
    const Layout layouts[] = {
        {kOuter * inner, inner, 1}, {0, 0, 1}, {inner, 0, 1}, {kOuter, 1, 0}, {0, 0, 0}};
    for (const Layout& a : layouts) {
      for (const Layout& b : layouts) {
        if (a.inner_stride + b.inner_stride == 0) continue;
        for (const KernelSet* set : AvailableKernels()) {
          for (const Binary kind :
               {Binary::kAdd, Binary::kSubtract, Binary::kMultiply, Binary::kDivide, Binary::kMaximum}) {
            std::vector<float> output(left.size());
            set->apply_binary(kind, {left.data(), a.row_stride, a.outer_stride, a.inner_stride},
                              {right.data(), b.row_stride, b.outer_stride, b.inner_stride}, output.data(),
                              kRows, kOuter, inner);
            bool same = true;
            for (int64_t at = 0; at < kRows * kOuter * inner; ++at) {
              const auto element = [&](const std::vector<float>& from, const Layout& layout) {
                const int64_t row = at / (kOuter * inner);
                return from[static_cast<size_t>(row * layout.row_stride +
                                                at / inner % kOuter * layout.outer_stride +
                                                at % inner * layout.inner_stride)];
              };
              same &= output[static_cast<size_t>(at)] == Exact(kind, element(left, a), element(right, b));
            }
            CHECK(same);
          }
        }
      }
    }
  }
}

// Sixteen sums side by side, then four additions and the bias: each adds half an ulp of what was added up.
TEST(WeightedSumsMatchDouble) {
  constexpr int64_t kRows = 3;
  constexpr float kBias = 0.25F;
  for (const int64_t columns : kCounts) {
    const std::vector<float> input = RandomFloats(kRows * columns, 1.0F, 3);
    const std::vector<float> weights = RandomFloats(columns, 1.0F, 4);
    for (const KernelSet* set : AvailableKernels()) {
      std::vector<float> output(kRows);
      set->weighted_sums(input.data(), weights.data(), kBias, output.data(), kRows, columns);
      for (int64_t row = 0; row < kRows; ++row) {
        double sum = kBias;
        double magnitude = kBias;
        for (int64_t column = 0; column < columns; ++column) {
          const double term = static_cast<double>(input[static_cast<size_t>(row * columns + column)]) *
                              static_cast<double>(weights[static_cast<size_t>(column)]);
          sum += term;
          magnitude += std::fabs(term);
        }
        const double additions = static_cast<double>(columns / 16 + 1 + 1 + 4 + 1);
        CHECK(std::fabs(static_cast<double>(output[static_cast<size_t>(row)]) - sum) <=
              additions * kUlp / 2 * magnitude);
      }
    }
  }
}

}  // namespace
// What stands beyond a set's registers is not touched, and the number of operations is that of the others.
TEST(MultiplyAddsAreCounted) {
  constexpr int64_t kTimes = 3;
  for (const KernelSet* set : AvailableKernels()) {
    std::vector<float> values(static_cast<size_t>(kPeakValues), 8.0F);
    const int64_t done = set->multiply_add(values.data(), kTimes);
    const auto touched = std::count(values.begin(), values.end(), ((8.0F * 0.5F + 1) * 0.5F + 1) * 0.5F + 1);
    CHECK(touched > 0 && touched + std::count(values.begin(), values.end(), 8.0F) == kPeakValues);
    CHECK(done == 2 * kTimes * touched);
  }
}

}  // namespace slm::kernels
