// Kernels in plain C++. Every instruction set's file includes this and gets its own copy, compiled and
// vectorized for it; the unnamed namespace keeps the linker from using one copy for all.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/kernel_set.h"

namespace slm::kernels {
namespace {

// Adding 1.5 * 2^23 rounds a small float to the nearest even integer and leaves it in the low bits.
constexpr float kRoundingBias = 12582912.0F;
constexpr int32_t kRoundingBiasBits = 0x4B400000;

inline int32_t Bits(float value) {
  int32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float FromBits(int32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Where column `column` of a step of eight lies: 0, 2, 4, 6, 1, 3, 5, 7.
inline int64_t NibblePosition(int64_t column) { return column / 2 + 4 * (column % 2); }

// Returns the sum of the bytes and sets `scale`. Magnitudes are compared as integers, which orders
// non-negative floats alike and needs no relaxed float rules to be vectorized. Unsigned sums, because what is
// not a number becomes some integer or other, and those may overflow.
inline int32_t QuantizeBlock(const float* values, int64_t columns, int8_t* bytes, float& scale) {
  int32_t largest_bits = 0;
  for (int64_t column = 0; column < columns; ++column) {
    const int32_t magnitude = Bits(values[column]) & 0x7FFFFFFF;
    largest_bits = magnitude > largest_bits ? magnitude : largest_bits;
  }
  const float largest = FromBits(largest_bits);
  scale = largest / 127.0F;
  const float inverse = largest > 0.0F ? 127.0F / largest : 0.0F;
  uint32_t sum = 0;
  for (int64_t column = 0; column < columns; ++column) {
    const uint32_t rounded = static_cast<uint32_t>(Bits(values[column] * inverse + kRoundingBias)) -
                             static_cast<uint32_t>(kRoundingBiasBits);
    bytes[column] = static_cast<int8_t>(rounded);
    sum += rounded;
  }
  return static_cast<int32_t>(sum);
}

template <int64_t kBlock>
void QuantizeRow(const float* activations, int64_t columns, int bits, int32_t initial_sum_factor,
                 bool with_sums, int8_t* values, float* scales, int32_t* initial_sums, float* sums) {
  float padded[kBlock];
  int8_t bytes[kBlock];
  for (int64_t first = 0; first < columns; first += kBlock) {
    const float* block = activations + first;
    if (columns - first < kBlock) {
      std::memset(padded, 0, sizeof padded);
      std::memcpy(padded, block, static_cast<size_t>(columns - first) * sizeof(float));
      block = padded;
    }
    float scale;
    const int32_t sum = QuantizeBlock(block, kBlock, bytes, scale);
    if (bits == 4) {
      for (int64_t step = 0; step < kBlock; step += 8) {
        for (int64_t column = 0; column < 8; ++column) {
          values[step + NibblePosition(column)] = bytes[step + column];
        }
      }
    } else {
      std::memcpy(values, bytes, sizeof bytes);
    }
    values += kBlock;
    *scales++ = scale;
    *initial_sums++ =
        static_cast<int32_t>(static_cast<uint32_t>(initial_sum_factor) * static_cast<uint32_t>(sum));
    if (with_sums) *sums++ = scale * static_cast<float>(sum);
  }
}

inline void QuantizeRows(const WeightLayout& layout, const float* activations, int32_t initial_sum_factor,
                         const QuantizedRows& rows) {
  const int64_t blocks = layout.blocks();
  const int64_t padded_columns = layout.padded_columns();
  const auto quantize_row = layout.block_columns() == 16 ? QuantizeRow<16> : QuantizeRow<32>;
  for (int64_t row = 0; row < rows.rows; ++row) {
    float* sums = layout.has_zeros ? rows.sums + row * blocks : nullptr;
    quantize_row(activations + row * layout.columns, layout.columns, layout.bits, initial_sum_factor,
                 layout.has_zeros, rows.values + row * padded_columns, rows.scales + row * blocks,
                 rows.initial_sums + row * blocks, sums);
  }
}

// Sets out what the loops of every kernel need from a layout.
struct Loop {
  explicit Loop(const WeightLayout& layout)
      : blocks(layout.blocks()),
        blocks_per_group(layout.blocks_per_group()),
        steps(layout.steps_per_block()),
        padded_columns(layout.padded_columns()),
        head_floats(layout.group_head_bytes() / int64_t{sizeof(float)}),
        tile_bytes(layout.tile_bytes()) {}

  int64_t blocks;
  int64_t blocks_per_group;
  int64_t steps;
  int64_t padded_columns;
  int64_t head_floats;
  int64_t tile_bytes;
};

// Adds the bias to one row of a tile and writes the columns that exist.
inline void StoreTileRow(const Product& product, int64_t tile, int64_t row, const float* sums) {
  const int64_t first = tile * kTileRows;
  const int64_t left = product.layout.rows - first;
  const int64_t count = left < kTileRows ? left : kTileRows;
  float* output = product.output + row * product.layout.rows + first;
  for (int64_t column = 0; column < count; ++column) {
    output[column] = sums[column] + (product.bias != nullptr ? product.bias[first + column] : 0.0F);
  }
}

// The weights of one step: kColumns columns of sixteen rows, as numbers from 0.
template <int kBits>
inline int32_t WeightOf(uint32_t word, int column) {
  if constexpr (kBits == 8) return static_cast<int32_t>((word >> (8 * column)) & 0xFF);
  return static_cast<int32_t>((word >> (8 * (column % 4) + 4 * (column / 4))) & 0xF);
}

template <int kBits>
void MultiplyTilePortable(const Product& product, const Loop& loop, const QuantizedRows& rows, int64_t tile,
                          int64_t row) {
  constexpr int kStepColumns = 32 / kBits;
  const std::byte* stream = product.weights + tile * loop.tile_bytes;
  const int8_t* activations = rows.values + row * loop.padded_columns;
  float sums[kTileRows] = {};
  for (int64_t block = 0; block < loop.blocks;) {
    const auto* head = reinterpret_cast<const float*>(stream);
    const auto* words = reinterpret_cast<const uint32_t*>(head + loop.head_floats);
    for (int64_t last = block + loop.blocks_per_group; block < last && block < loop.blocks; ++block) {
      const int64_t at = row * loop.blocks + block;
      int32_t totals[kTileRows];
      for (int32_t& total : totals) total = rows.initial_sums[at];
      for (int64_t step = 0; step < loop.steps; ++step, words += kTileRows, activations += kStepColumns) {
        for (int64_t lane = 0; lane < kTileRows; ++lane) {
          for (int column = 0; column < kStepColumns; ++column) {
            totals[lane] += WeightOf<kBits>(words[lane], column) * activations[column];
          }
        }
      }
      for (int64_t lane = 0; lane < kTileRows; ++lane) {
        sums[lane] += static_cast<float>(totals[lane]) * head[lane] * rows.scales[at];
        if (product.layout.has_zeros) sums[lane] += head[kTileRows + lane] * rows.sums[at];
      }
    }
    stream = reinterpret_cast<const std::byte*>(words);
  }
  StoreTileRow(product, tile, row, sums);
}

}  // namespace
}  // namespace slm::kernels
