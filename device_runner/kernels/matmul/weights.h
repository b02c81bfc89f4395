// Quantized weights in the order in which the kernels read them.
//
// Sixteen output rows make a tile. A tile is one stream of memory, read front to back once per use:
//
//   for every group of columns that shares a scale
//     float scale[16]                      one per row
//     float minus_zero[16]                 -scale * zero point; absent where weights are symmetric
//     for every step of 8 (4 bits) or 4 (8 bits) columns of the group
//       uint32 columns[16]                 one word per row
//
// A word of four-bit weights holds columns 0, 2, 4, 6 of its step in the low nibbles of its bytes and
// 1, 3, 5, 7 in the high ones: the order of the ONNX operator, so packing moves whole words, and the
// activations are put into this order instead. Masking the low and the high nibbles of one 64-byte
// load then gives two operands of a four-way dot product.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slm::kernels {

inline constexpr int64_t kTileRows = 16;
// Activations get one scale per block of this many columns, or per group of weights if that is smaller.
inline constexpr int64_t kMaximumBlockColumns = 32;

struct WeightLayout {
  int64_t rows = 0;
  int64_t columns = 0;
  int bits = 0;
  int64_t group_columns = 0;
  // False: every zero point is the middle of the range, 2^(bits - 1).
  bool has_zeros = false;

  // Not inline: the kernels are compiled for instruction sets that the rest of the program must not use.
  int64_t tiles() const;
  int64_t groups() const;
  int64_t block_columns() const;
  int64_t blocks_per_group() const;
  // Blocks that hold columns; the last group of a padded matrix keeps only those.
  int64_t blocks() const;
  int64_t padded_columns() const;
  int64_t step_columns() const;
  int64_t steps_per_block() const;
  int64_t group_head_bytes() const;
  int64_t tile_bytes() const;
  int64_t bytes() const;
  // The zero point of symmetric weights.
  int middle() const;
};

// The inputs of com.microsoft::MatMulNBits. At most one kind of zero points is given.
struct OperatorWeights {
  // [rows][groups][group_columns * bits / 8]
  const uint8_t* values = nullptr;
  // [rows][groups]
  const float* scales = nullptr;
  // [rows][groups * bits / 8, rounded up]
  const uint8_t* integer_zeros = nullptr;
  // [rows][groups]
  const float* float_zeros = nullptr;
};

// Whether kernels exist for the layout: 4 or 8 bits, groups of 16 columns or a power of two above.
bool IsSupported(const WeightLayout& layout);

// Whether zero points are given that differ from the middle of the range.
bool NeedsZeros(const WeightLayout& layout, const OperatorWeights& weights);

// Fills packed[layout.bytes()], which is aligned to 64 bytes. Rows beyond the last are zero.
void Pack(const WeightLayout& layout, const OperatorWeights& weights, std::byte* packed);

}  // namespace slm::kernels
