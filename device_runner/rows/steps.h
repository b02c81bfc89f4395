// What a row program consists of, and the memory that its steps read and write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "kernels/kernel_set.h"

namespace slm::rows {

// Where a value lies: a constant, an argument of the call, or the workspace.
struct Place {
  enum class Kind { kNowhere, kConstant, kArgument, kWorkspace };
  Kind kind = Kind::kNowhere;
  const float* constant = nullptr;
  uint32_t position = 0;
  // In floats per row of a block.
  int64_t offset = 0;
  // Floats per row.
  int64_t width = 0;
};

// Distances between the elements of an operand, 0 where it repeats.
struct Strides {
  int64_t row = 0;
  int64_t outer = 0;
  int64_t inner = 0;
};

// Values are named by their index; `width` is in floats per row.
struct UnaryStep {
  kernels::Unary kind = kernels::Unary::kSquare;
  uint32_t input = 0;
  uint32_t output = 0;
  int64_t width = 0;
};

struct BinaryStep {
  kernels::Binary kind = kernels::Binary::kAdd;
  uint32_t left = 0;
  uint32_t right = 0;
  uint32_t output = 0;
  Strides left_strides;
  Strides right_strides;
  // A row of the output is [outer][inner].
  int64_t outer = 1;
  int64_t inner = 1;
};

// A product with a single row of float weights.
struct WeightedSumsStep {
  uint32_t input = 0;
  // A constant.
  uint32_t weights = 0;
  uint32_t output = 0;
  float bias = 0.0F;
  int64_t columns = 0;
  int64_t sums_per_row = 1;
};

// Copies columns of each of the parts of a row.
struct CopyStep {
  uint32_t input = 0;
  uint32_t output = 0;
  int64_t input_start = 0;
  int64_t input_stride = 0;
  int64_t output_start = 0;
  int64_t output_stride = 0;
  int64_t parts = 1;
  int64_t columns = 0;
};

struct Matrix {
  kernels::WeightLayout layout;
  const std::byte* packed = nullptr;
  std::vector<float> bias;
  uint32_t output = 0;
};

// Products of one input, which is quantized once for all.
struct ProductsStep {
  uint32_t input = 0;
  std::vector<Matrix> matrices;
  // Rows of the products per row of the program.
  int64_t rows_per_row = 1;
};

using Step = std::variant<UnaryStep, BinaryStep, WeightedSumsStep, CopyStep, ProductsStep>;

// The values that a step reads.
std::vector<uint32_t> InputsOf(const Step& step);

// The values that it writes.
std::vector<uint32_t> OutputsOf(const Step& step);

// What one thread needs to run a block of rows.
struct Workspace {
  std::vector<float> values;
  std::vector<int8_t> bytes;
  std::vector<float> scales;
  std::vector<int32_t> initial_sums;
  std::vector<float> sums;
};

// A block of rows on its way through the steps.
struct Block {
  std::span<const Place> places;
  std::span<float* const> arguments;
  int64_t first = 0;
  int64_t rows = 0;
  // Rows that the workspace is laid out for.
  int64_t capacity = 0;
  Workspace* workspace = nullptr;

  float* At(uint32_t value) const;
};

// All but products, which may be shared among threads (program.h).
void Run(const kernels::KernelSet& kernels, const Block& block, const UnaryStep& step);
void Run(const kernels::KernelSet& kernels, const Block& block, const BinaryStep& step);
void Run(const kernels::KernelSet& kernels, const Block& block, const WeightedSumsStep& step);
void Run(const kernels::KernelSet& kernels, const Block& block, const CopyStep& step);

}  // namespace slm::rows
