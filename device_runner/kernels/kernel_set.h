// The kernels of one instruction set, and the choice among those that this CPU can run.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/attention/attention.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/weights.h"

namespace slm::kernels {

// Activations as signed bytes with one scale per block: value = scale * byte. Columns of four-bit
// weights are reordered within each step like the weights, and blocks are padded with zeros.
struct QuantizedRows {
  int64_t rows = 0;
  // [rows][padded_columns]
  int8_t* values = nullptr;
  // [rows][blocks]
  float* scales = nullptr;
  // [rows][blocks]: what the integer sum of a block begins with, `initial_sum_factor` * the sum of its bytes.
  int32_t* initial_sums = nullptr;
  // [rows][blocks]: the sum of the block's quantized activations; only for weights with zero points.
  float* sums = nullptr;
};

// One product: output[row][column] = sum over k of activations[row][k] * weights[column][k] + bias[column].
struct Product {
  WeightLayout layout;
  // From Pack.
  const std::byte* weights = nullptr;
  // [layout.rows], or null.
  const float* bias = nullptr;
  // [rows][layout.rows]
  float* output = nullptr;
};

struct KernelSet {
  const char* name;
  bool (*is_available)();
  // Rounds [rows][columns] to the nearest byte: scale = largest magnitude of the block / 127.
  void (*quantize)(const WeightLayout& layout, const float* activations, const QuantizedRows& rows);
  // Computes the output columns of tiles [first_tile, last_tile).
  void (*multiply)(const Product& product, const QuantizedRows& rows, int64_t first_tile, int64_t last_tile);
  void (*attend)(const AttentionBlock& block);
  void (*attend_part)(const AttentionPart& part);
  void (*apply_unary)(Unary kind, const float* input, float* output, int64_t count);
  // output is [rows][outer][inner] without gaps. At least one operand has an inner stride of 1.
  void (*apply_binary)(Binary kind, const Operand& left, const Operand& right, float* output, int64_t rows,
                       int64_t outer, int64_t inner);
  // output[row] = sum over k of input[row][k] * weights[k] + bias
  void (*weighted_sums)(const float* input, const float* weights, float bias, float* output, int64_t rows,
                        int64_t columns);
  // values[i] = values[i] * 0.5 + 1, `times` over, in registers: for measuring how fast that can be. As many
  // of the kPeakValues as the set's registers take; returns the number of multiplications and additions.
  int64_t (*multiply_add)(float* values, int64_t times);
};

constexpr int64_t kPeakValues = 192;

// Every set that this CPU can run, the fastest first; the portable one is always the last.
std::span<const KernelSet* const> AvailableKernels();
// The fastest of them.
inline const KernelSet& FastestKernels() { return *AvailableKernels().front(); }

}  // namespace slm::kernels
