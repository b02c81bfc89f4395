// ARMv8.2 with the dot product extension: sdot multiplies four signed weights of each of four rows with
// four signed activations and adds up in 32 bits.
#include <arm_neon.h>
#include <sys/auxv.h>

#include "kernels/attention/portable_attention.h"
#include "kernels/attention/portable_decode.h"
#include "kernels/elementwise/portable_elementwise.h"
#include "kernels/matmul/portable_matmul.h"
#include "kernels/peak/multiply_add.h"
#include "kernels/sets.h"

namespace slm::kernels {
namespace {

constexpr int64_t kWordsBytes = kTileRows * int64_t{sizeof(uint32_t)};
constexpr int64_t kLanes = 4;
constexpr int kQuarters = 4;
// A register of activations is enough for four dot products.
constexpr int64_t kRegisterBytes = 16;
constexpr int kRowsAtOnce = 4;
// HWCAP_ASIMDDP of Linux, by value: old headers lack the name.
constexpr unsigned long kDotProductCapability = 1UL << 20;

bool IsAvailable() { return (getauxval(AT_HWCAP) & kDotProductCapability) != 0; }

// Weights of four rows for four dot products. Eight-bit ones are moved from [0, 255] to [-128, 127].
template <int kBits>
inline void LoadWeights(const uint8_t* words, int8x16_t (&weights)[4]) {
  if constexpr (kBits == 4) {
    for (int load = 0; load < 2; ++load) {
      const uint8x16_t word = vld1q_u8(words + load * kWordsBytes);
      weights[2 * load] = vreinterpretq_s8_u8(vandq_u8(word, vdupq_n_u8(0xF)));
      weights[2 * load + 1] = vreinterpretq_s8_u8(vshrq_n_u8(word, 4));
    }
  } else {
    for (int load = 0; load < 4; ++load) {
      weights[load] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(words + load * kWordsBytes), vdupq_n_u8(0x80)));
    }
  }
}

template <int kBits, int kRows>
void MultiplyTile(const Product& product, const Loop& loop, const QuantizedRows& rows, int64_t tile,
                  int64_t row) {
  constexpr int64_t kLoadsPerVector = kBits == 4 ? 2 : 4;
  const std::byte* stream = product.weights + tile * loop.tile_bytes;
  const int8_t* activations = rows.values + row * loop.padded_columns;
  const int64_t block_bytes = loop.steps * (32 / kBits);
  float32x4_t sums[kRows][kQuarters] = {};
  for (int64_t block = 0; block < loop.blocks;) {
    const auto* head = reinterpret_cast<const float*>(stream);
    const auto* words = reinterpret_cast<const uint8_t*>(head + loop.head_floats);
    for (int64_t end = block + loop.blocks_per_group; block < end && block < loop.blocks; ++block) {
      for (int quarter = 0; quarter < kQuarters; ++quarter) {
        int32x4_t totals[kRows];
        for (int index = 0; index < kRows; ++index) {
          totals[index] = vdupq_n_s32(rows.initial_sums[(row + index) * loop.blocks + block]);
        }
        const uint8_t* source = words + quarter * kRegisterBytes;
        for (int64_t at = 0; at < block_bytes;
             at += kRegisterBytes, source += kLoadsPerVector * kWordsBytes) {
          int8x16_t weights[4];
          LoadWeights<kBits>(source, weights);
          for (int index = 0; index < kRows; ++index) {
            const int8x16_t bytes =
                vld1q_s8(activations + index * loop.padded_columns + block * block_bytes + at);
            totals[index] = vdotq_laneq_s32(totals[index], weights[0], bytes, 0);
            totals[index] = vdotq_laneq_s32(totals[index], weights[1], bytes, 1);
            totals[index] = vdotq_laneq_s32(totals[index], weights[2], bytes, 2);
            totals[index] = vdotq_laneq_s32(totals[index], weights[3], bytes, 3);
          }
        }
        const float32x4_t weight_scale = vld1q_f32(head + quarter * kLanes);
        for (int index = 0; index < kRows; ++index) {
          const int64_t at = (row + index) * loop.blocks + block;
          const float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(totals[index]), weight_scale);
          sums[index][quarter] = vfmaq_n_f32(sums[index][quarter], scaled, rows.scales[at]);
          if (product.layout.has_zeros) {
            const float32x4_t minus_zero = vld1q_f32(head + kTileRows + quarter * kLanes);
            sums[index][quarter] = vfmaq_n_f32(sums[index][quarter], minus_zero, rows.sums[at]);
          }
        }
      }
      words += loop.steps * kWordsBytes;
    }
    stream = reinterpret_cast<const std::byte*>(words);
  }
  for (int index = 0; index < kRows; ++index) {
    float stored[kTileRows];
    for (int quarter = 0; quarter < kQuarters; ++quarter)
      vst1q_f32(stored + quarter * kLanes, sums[index][quarter]);
    StoreTileRow(product, tile, row + index, stored);
  }
}

template <int kBits>
void MultiplyTiles(const Product& product, const QuantizedRows& rows, int64_t first_tile, int64_t last_tile) {
  const Loop loop(product.layout);
  for (int64_t tile = first_tile; tile < last_tile; ++tile) {
    int64_t row = 0;
    for (; row + kRowsAtOnce <= rows.rows; row += kRowsAtOnce) {
      MultiplyTile<kBits, kRowsAtOnce>(product, loop, rows, tile, row);
    }
    for (; row < rows.rows; ++row) MultiplyTile<kBits, 1>(product, loop, rows, tile, row);
  }
}

void Multiply(const Product& product, const QuantizedRows& rows, int64_t first_tile, int64_t last_tile) {
  (product.layout.bits == 4 ? MultiplyTiles<4> : MultiplyTiles<8>)(product, rows, first_tile, last_tile);
}

void Quantize(const WeightLayout& layout, const float* activations, const QuantizedRows& rows) {
  // What LoadWeights takes off eight-bit weights.
  const int moved_by = layout.bits == 8 ? layout.middle() : 0;
  QuantizeRows(layout, activations, moved_by - (layout.has_zeros ? 0 : layout.middle()), rows);
}

}  // namespace

const KernelSet kNeonDotProduct{"neon-dotprod", IsAvailable, Quantize,    Multiply,     Attend,
                                AttendPart,     ApplyUnary,  ApplyBinary, WeightedSums, MultiplyAdd};

}  // namespace slm::kernels
