// Every kernel set against sums in double over the same integers.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernel_set.h"
#include "tests/check.h"

namespace slm::kernels {
namespace {

enum class Zeros { kNone, kMiddle, kInteger, kFloat };

struct Shape {
  int64_t rows;
  int64_t columns;
  int64_t group;
};

struct Free {
  void operator()(std::byte* memory) const { std::free(memory); }
};

// A random matrix, as the operator holds it and packed.
struct Matrix {
  Matrix(const Shape& shape, int bits, Zeros zeros, std::mt19937& random) {
    layout = {shape.rows, shape.columns, bits, shape.group, false};
    const int64_t groups = layout.groups();
    std::uniform_int_distribution<int> byte(0, 255);
    std::uniform_real_distribution<float> scale(-0.1F, 0.1F);
    values.resize(static_cast<size_t>(shape.rows * groups * shape.group * bits / 8));
    for (uint8_t& value : values) value = static_cast<uint8_t>(byte(random));
    scales.resize(static_cast<size_t>(shape.rows * groups));
    for (float& value : scales) value = scale(random);
    OperatorWeights weights{values.data(), scales.data(), nullptr, nullptr};
    if (zeros == Zeros::kFloat) {
      for (size_t index = 0; index < scales.size(); ++index) float_zeros.push_back(scale(random) * 60.0F);
      weights.float_zeros = float_zeros.data();
    } else if (zeros != Zeros::kNone) {
      integer_zeros.resize(static_cast<size_t>(shape.rows * ((groups * bits + 7) / 8)),
                           bits == 4 ? 0x88 : 0x80);
      if (zeros == Zeros::kInteger) {
        for (uint8_t& value : integer_zeros) value = static_cast<uint8_t>(byte(random));
      }
      weights.integer_zeros = integer_zeros.data();
    }
    layout.has_zeros = NeedsZeros(layout, weights);
    packed.reset(static_cast<std::byte*>(std::aligned_alloc(64, static_cast<size_t>(layout.bytes()))));
    Pack(layout, weights, packed.get());
  }

  double Weight(int64_t row, int64_t column) const {
    const int64_t group = row * layout.groups() + column / layout.group_columns;
    const int64_t at = group * layout.group_columns + column % layout.group_columns;
    double value = values[static_cast<size_t>(layout.bits == 8 ? at : at / 2)];
    if (layout.bits == 4) value = at % 2 == 0 ? static_cast<int>(value) & 0xF : static_cast<int>(value) >> 4;
    return (value - ZeroPoint(row, group)) * static_cast<double>(scales[static_cast<size_t>(group)]);
  }

  double ZeroPoint(int64_t row, int64_t group) const {
    if (!float_zeros.empty()) return static_cast<double>(float_zeros[static_cast<size_t>(group)]);
    if (integer_zeros.empty()) return layout.middle();
    const int64_t in_row = group - row * layout.groups();
    const int64_t row_bytes = (layout.groups() * layout.bits + 7) / 8;
    const int byte = integer_zeros[static_cast<size_t>(row * row_bytes + in_row * layout.bits / 8)];
    if (layout.bits == 8) return byte;
    return in_row % 2 == 0 ? byte & 0xF : byte >> 4;
  }

  WeightLayout layout;
  std::vector<uint8_t> values;
  std::vector<float> scales;
  std::vector<uint8_t> integer_zeros;
  std::vector<float> float_zeros;
  std::unique_ptr<std::byte, Free> packed;
};

std::vector<float> RandomFloats(int64_t count, std::mt19937& random) {
  std::normal_distribution<float> normal(0.0F, 1.0F);
  std::vector<float> floats(static_cast<size_t>(count));
  for (float& value : floats) value = normal(random);
  return floats;
}

// The activations that the bytes of the block stand for, by the rule in kernel_set.h.
std::vector<double> Dequantized(const WeightLayout& layout, const std::vector<float>& activations) {
  std::vector<double> result;
  for (size_t first = 0; first < activations.size();) {
    const auto in_row = static_cast<int64_t>(first) % layout.columns;
    const auto count = static_cast<size_t>(std::min(layout.block_columns(), layout.columns - in_row));
    float largest = 0.0F;
    for (size_t index = first; index < first + count; ++index)
      largest = std::max(largest, std::fabs(activations[index]));
    const float inverse = largest > 0.0F ? 127.0F / largest : 0.0F;
    for (size_t index = first; index < first + count; ++index) {
      result.push_back(static_cast<double>(largest / 127.0F) *
                       static_cast<double>(std::nearbyint(activations[index] * inverse)));
    }
    first += count;
  }
  return result;
}

// Sums in float of `columns` products: each rounding adds at most 2^-24 of the sum of magnitudes, and a
// zero point's share is formed apart from the rest. Measured errors are below a quarter of this.
constexpr double kTolerance = 2e-6;

bool Matches(const Matrix& matrix, const std::vector<double>& activations, const std::vector<float>& bias,
             const std::vector<float>& output) {
  const WeightLayout& layout = matrix.layout;
  std::vector<double> weights(static_cast<size_t>(layout.rows * layout.columns));
  for (int64_t row = 0; row < layout.rows; ++row) {
    for (int64_t column = 0; column < layout.columns; ++column) {
      weights[static_cast<size_t>(row * layout.columns + column)] = matrix.Weight(row, column);
    }
  }
  const int64_t middle = layout.middle();
  for (size_t index = 0; index < output.size(); ++index) {
    const auto row = static_cast<int64_t>(index) % layout.rows;
    const double* a = activations.data() + static_cast<int64_t>(index) / layout.rows * layout.columns;
    const double* w = weights.data() + row * layout.columns;
    double sum = bias.empty() ? 0.0 : static_cast<double>(bias[static_cast<size_t>(row)]);
    double magnitude = std::fabs(sum);
    for (int64_t column = 0; column < layout.columns; ++column) {
      sum += a[column] * w[column];
      const size_t group = static_cast<size_t>(row * layout.groups() + column / layout.group_columns);
      const double range =
          2.0 * static_cast<double>(middle) * std::fabs(static_cast<double>(matrix.scales[group]));
      magnitude += std::fabs(a[column]) * range;
    }
    if (!(std::fabs(static_cast<double>(output[index]) - sum) <= kTolerance * magnitude)) {
      std::fprintf(stderr, "output %zu: %g, expected %g (sum of magnitudes %g)\n", index,
                   static_cast<double>(output[index]), sum, magnitude);
      return false;
    }
  }
  return true;
}

std::vector<float> RunQuantized(const KernelSet& set, const Matrix& matrix, int64_t rows,
                                const std::vector<float>& activations, const std::vector<float>& bias) {
  const WeightLayout& layout = matrix.layout;
  std::vector<int8_t> bytes(static_cast<size_t>(rows * layout.padded_columns()));
  std::vector<float> scales(static_cast<size_t>(rows * layout.blocks()));
  std::vector<float> sums(scales.size());
  std::vector<int32_t> initial_sums(scales.size());
  const QuantizedRows quantized{rows, bytes.data(), scales.data(), initial_sums.data(), sums.data()};
  set.quantize(layout, activations.data(), quantized);
  std::vector<float> output(static_cast<size_t>(rows * layout.rows), NAN);
  const Product product{layout, matrix.packed.get(), bias.empty() ? nullptr : bias.data(), output.data()};
  const int64_t half = layout.tiles() / 2;
  set.multiply(product, quantized, 0, half);
  set.multiply(product, quantized, half, layout.tiles());
  return output;
}

void CheckShape(const Shape& shape, int64_t rows, int bits, Zeros zeros) {
  std::mt19937 random(static_cast<uint32_t>(shape.columns * 31 + rows));
  const Matrix matrix(shape, bits, zeros, random);
  const std::vector<float> activations = RandomFloats(rows * shape.columns, random);
  const std::vector<double> quantized = Dequantized(matrix.layout, activations);
  for (const KernelSet* set : AvailableKernels()) {
    for (const std::vector<float>& bias : {std::vector<float>(), RandomFloats(shape.rows, random)}) {
      const bool matches =
          Matches(matrix, quantized, bias, RunQuantized(*set, matrix, rows, activations, bias));
      CHECK(matches);
      if (!matches) {
        std::fprintf(stderr, "%s: N %ld K %ld group %ld, M %ld, %d bits, zeros %d\n", set->name,
                     static_cast<long>(shape.rows), static_cast<long>(shape.columns),
                     static_cast<long>(shape.group), static_cast<long>(rows), bits, static_cast<int>(zeros));
      }
    }
  }
}

// Widths that do and do not fill tiles, blocks and groups; the last ones are one group per row.
const Shape kShapes[] = {{16, 32, 32},   {1, 16, 16},   {33, 48, 16},   {50, 64, 64},
                         {17, 576, 128}, {40, 100, 32}, {31, 37, 16},   {16, 576, 64},
                         {48, 320, 256}, {19, 70, 64},  {24, 576, 1024}};
// Kernels take several rows at once: all remainders, and more than one full group.
const int64_t kRowCounts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 33};

TEST(FourBitProductsMatchADoubleReference) {
  for (const Shape& shape : kShapes) {
    for (const int64_t rows : kRowCounts) {
      for (const Zeros zeros : {Zeros::kNone, Zeros::kInteger, Zeros::kFloat})
        CheckShape(shape, rows, 4, zeros);
    }
  }
}

TEST(EightBitProductsMatchADoubleReference) {
  for (const Shape& shape : kShapes) {
    for (const int64_t rows : kRowCounts) {
      for (const Zeros zeros : {Zeros::kNone, Zeros::kInteger, Zeros::kFloat})
        CheckShape(shape, rows, 8, zeros);
    }
  }
}

void CheckRowsTogether(const Shape& shape, int bits, Zeros zeros) {
  constexpr int64_t kMaximumRows = 9;
  std::mt19937 random(static_cast<uint32_t>(shape.columns));
  const Matrix matrix(shape, bits, zeros, random);
  const std::vector<float> bias = RandomFloats(shape.rows, random);
  const std::vector<float> activations = RandomFloats(kMaximumRows * shape.columns, random);
  for (const KernelSet* set : AvailableKernels()) {
    std::vector<float> alone;
    for (int64_t rows = 1; rows <= kMaximumRows; ++rows) {
      const auto end = activations.begin() + rows * shape.columns;
      const std::vector<float> last = RunQuantized(*set, matrix, 1, {end - shape.columns, end}, bias);
      alone.insert(alone.end(), last.begin(), last.end());
      const std::vector<float> together = RunQuantized(*set, matrix, rows, {activations.begin(), end}, bias);
      const bool same = std::memcmp(together.data(), alone.data(), alone.size() * sizeof(float)) == 0;
      CHECK(same);
      if (!same) {
        std::fprintf(stderr, "%s: N %ld K %ld group %ld, M %ld, %d bits\n", set->name,
                     static_cast<long>(shape.rows), static_cast<long>(shape.columns),
                     static_cast<long>(shape.group), static_cast<long>(rows), bits);
      }
    }
  }
}

// What a prompt's token gets must not depend on how many others come with it.
TEST(RowsTogetherGiveTheBitsThatEachGivesAlone) {
  for (const Shape& shape : kShapes) {
    for (const int bits : {4, 8}) {
      for (const Zeros zeros : {Zeros::kNone, Zeros::kInteger}) CheckRowsTogether(shape, bits, zeros);
    }
  }
}

TEST(MoreRowsThanOneSweepMatch) { CheckShape({20, 64, 32}, 517, 4, Zeros::kNone); }

// With scales of one and activations whose largest is 127, every step of the sum is an integer.
TEST(IntegerPartsAreExactAtTheEndsOfTheRange) {
  constexpr int64_t kRows = 5;
  for (const int bits : {4, 8}) {
    std::mt19937 random(1);
    for (const uint8_t fill : {uint8_t{0}, uint8_t{0xFF}}) {
      Matrix matrix({16, 64, 32}, bits, Zeros::kNone, random);
      std::fill(matrix.values.begin(), matrix.values.end(), fill);
      std::fill(matrix.scales.begin(), matrix.scales.end(), 1.0F);
      Pack(matrix.layout, {matrix.values.data(), matrix.scales.data(), nullptr, nullptr},
           matrix.packed.get());
      for (const float activation : {127.0F, -127.0F}) {
        const std::vector<float> activations(kRows * 64, activation);
        const float expected = 64.0F * activation * static_cast<float>(matrix.Weight(0, 0));
        for (const KernelSet* set : AvailableKernels()) {
          const std::vector<float> output = RunQuantized(*set, matrix, kRows, activations, {});
          CHECK(std::all_of(output.begin(), output.end(), [&](float value) { return value == expected; }));
        }
      }
    }
  }
}

TEST(AllZeroActivationsGiveTheBias) {
  std::mt19937 random(2);
  const Matrix matrix({20, 64, 32}, 4, Zeros::kInteger, random);
  const std::vector<float> bias = RandomFloats(20, random);
  for (const KernelSet* set : AvailableKernels()) {
    CHECK(RunQuantized(*set, matrix, 1, std::vector<float>(64, 0.0F), bias) == bias);
  }
}

TEST(ZeroPointsInTheMiddleNeedNoCorrection) {
  std::mt19937 random(3);
  CHECK(!Matrix({20, 64, 32}, 4, Zeros::kMiddle, random).layout.has_zeros);
  CHECK(!Matrix({20, 64, 32}, 8, Zeros::kMiddle, random).layout.has_zeros);
  CHECK(Matrix({20, 64, 32}, 8, Zeros::kInteger, random).layout.has_zeros);
}

TEST(LayoutsWithoutKernelsAreTold) {
  CHECK(IsSupported({1, 1, 4, 16, false}));
  CHECK(!IsSupported({1, 64, 2, 32, false}));
  CHECK(!IsSupported({1, 64, 4, 8, false}));
  CHECK(!IsSupported({1, 64, 4, 48, false}));
}

TEST(ThePortableSetIsAlwaysThereAndLast) {
  CHECK(!AvailableKernels().empty());
  CHECK(std::string(AvailableKernels().back()->name) == "portable");
}

}  // namespace
}  // namespace slm::kernels
