// AVX-512 with VNNI: vpdpbusd multiplies four unsigned weights of each of sixteen rows with the same
// four signed activations and adds up in 32 bits.
#include <immintrin.h>

#include "kernels/attention/portable_attention.h"
#include "kernels/attention/portable_decode.h"
#include "kernels/elementwise/portable_elementwise.h"
#include "kernels/matmul/portable_matmul.h"
#include "kernels/peak/multiply_add.h"
#include "kernels/sets.h"

namespace slm::kernels {
namespace {

constexpr int64_t kWordsBytes = kTileRows * int64_t{sizeof(uint32_t)};
// Rows of activations per pass over a tile: sums, a block of weights and temporaries fill the 32 registers.
constexpr int kRowsAtOnce = 8;
// Activations of this many rows stay in a core's second-level cache while the weights pass by.
constexpr int64_t kRowsPerSweep = 256;
// Tiles that one row of activations passes over together: they share the loads of the row.
constexpr int kTilesAtOnce = 2;

bool IsAvailable() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

inline __m512i Broadcast(const int8_t* bytes) {
  int32_t word;
  std::memcpy(&word, bytes, sizeof word);
  return _mm512_set1_epi32(word);
}

// The operands of kDots dot products over four columns each: one block of weights.
template <int kBits, int kDots>
inline const std::byte* LoadBlock(const std::byte* stream, __m512i (&weights)[kDots]) {
  constexpr int kDotsPerLoad = 8 / kBits;
  const __m512i low_nibbles = _mm512_set1_epi8(0xF);
#pragma GCC unroll 8
  for (int dot = 0; dot < kDots; dot += kDotsPerLoad) {
    const __m512i words = _mm512_load_si512(stream);
    stream += kWordsBytes;
    if constexpr (kBits == 4) {
      weights[dot] = _mm512_and_si512(words, low_nibbles);
      weights[dot + 1] = _mm512_and_si512(_mm512_srli_epi32(words, 4), low_nibbles);
    } else {
      weights[dot] = words;
    }
  }
  return stream;
}

template <int kRows>
inline void StoreRows(const Product& product, int64_t tile, int64_t row, const __m512 (&sums)[kRows]) {
  const int64_t first = tile * kTileRows;
  const int64_t left = product.layout.rows - first;
  const auto columns = static_cast<__mmask16>(left < kTileRows ? (1U << left) - 1U : 0xFFFFU);
  const __m512 bias =
      product.bias != nullptr ? _mm512_maskz_loadu_ps(columns, product.bias + first) : _mm512_setzero_ps();
#pragma GCC unroll 8
  for (int index = 0; index < kRows; ++index) {
    float* output = product.output + (row + index) * product.layout.rows + first;
    _mm512_mask_storeu_ps(output, columns, _mm512_add_ps(sums[index], bias));
  }
}

template <int kBits, int kDots, bool kZeros, int kRows>
void MultiplyTile(const Product& product, const Loop& loop, const QuantizedRows& rows, int64_t tile,
                  int64_t row) {
  const std::byte* stream = product.weights + tile * loop.tile_bytes;
  const int8_t* activations = rows.values + row * loop.padded_columns;
  const float* scales = rows.scales + row * loop.blocks;
  const int32_t* initial_sums = rows.initial_sums + row * loop.blocks;
  const float* block_sums = kZeros ? rows.sums + row * loop.blocks : nullptr;
  __m512 sums[kRows];
#pragma GCC unroll 8
  for (__m512& sum : sums) sum = _mm512_setzero_ps();

  for (int64_t block = 0; block < loop.blocks;) {
    const __m512 weight_scale = _mm512_load_ps(stream);
    const __m512 minus_zero = kZeros ? _mm512_load_ps(stream + kWordsBytes) : _mm512_setzero_ps();
    stream += (kZeros ? 2 : 1) * kWordsBytes;
    const int64_t group_end = block + loop.blocks_per_group;
    for (; block < group_end && block < loop.blocks; ++block) {
      __m512i weights[kDots];
      stream = LoadBlock<kBits, kDots>(stream, weights);
#pragma GCC unroll 8
      for (int index = 0; index < kRows; ++index) {
        const int8_t* bytes = activations + index * loop.padded_columns + block * kDots * 4;
        const int64_t at = index * loop.blocks + block;
        __m512i total = _mm512_set1_epi32(initial_sums[at]);
#pragma GCC unroll 8
        for (int dot = 0; dot < kDots; ++dot) {
          total = _mm512_dpbusd_epi32(total, weights[dot], Broadcast(bytes + 4 * dot));
        }
        const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(total), weight_scale);
        sums[index] = _mm512_fmadd_ps(scaled, _mm512_set1_ps(scales[at]), sums[index]);
        if constexpr (kZeros) {
          sums[index] = _mm512_fmadd_ps(minus_zero, _mm512_set1_ps(block_sums[at]), sums[index]);
        }
      }
    }
  }
  StoreRows<kRows>(product, tile, row, sums);
}

// One block of one row of activations with kTiles tiles. Alternating dot products are two chains that need
// not wait for each other. High nibbles stay where they are in their bytes, times 16, which is taken off the
// exact sum.
template <int kBits, int kDots, int kTiles>
inline void DotBlock(const std::byte* const (&streams)[kTiles], int64_t offset, const int8_t* bytes,
                     int32_t start, __m512i (&totals)[kTiles]) {
  const __m512i low_nibbles = _mm512_set1_epi8(0xF);
  const __m512i high_nibbles = _mm512_set1_epi8(static_cast<char>(0xF0));
  __m512i odd_totals[kTiles];
#pragma GCC unroll 4
  for (int tile = 0; tile < kTiles; ++tile) {
    totals[tile] = _mm512_set1_epi32(start);
    odd_totals[tile] = _mm512_setzero_si512();
  }
#pragma GCC unroll 4
  for (int pair = 0; pair < kDots / 2; ++pair) {
    const __m512i even = Broadcast(bytes + 8 * pair);
    const __m512i odd = Broadcast(bytes + 8 * pair + 4);
#pragma GCC unroll 4
    for (int tile = 0; tile < kTiles; ++tile) {
      const std::byte* from = streams[tile] + offset + pair * (kBits / 4) * kWordsBytes;
      const __m512i words = _mm512_load_si512(from);
      if constexpr (kBits == 4) {
        totals[tile] = _mm512_dpbusd_epi32(totals[tile], _mm512_and_si512(words, low_nibbles), even);
        odd_totals[tile] = _mm512_dpbusd_epi32(odd_totals[tile], _mm512_and_si512(words, high_nibbles), odd);
      } else {
        totals[tile] = _mm512_dpbusd_epi32(totals[tile], words, even);
        odd_totals[tile] = _mm512_dpbusd_epi32(odd_totals[tile], _mm512_load_si512(from + kWordsBytes), odd);
      }
    }
  }
#pragma GCC unroll 4
  for (int tile = 0; tile < kTiles; ++tile) {
    if constexpr (kBits == 4) odd_totals[tile] = _mm512_srai_epi32(odd_totals[tile], 4);
    totals[tile] = _mm512_add_epi32(totals[tile], odd_totals[tile]);
  }
}

// One row of activations with kTiles tiles.
template <int kBits, int kDots, bool kZeros, int kTiles>
void MultiplyRow(const Product& product, const Loop& loop, const QuantizedRows& rows, int64_t tile,
                 int64_t row) {
  constexpr int64_t kHeadBytes = (kZeros ? 2 : 1) * kWordsBytes;
  constexpr int64_t kBlockBytes = kDots * kBits / 8 * kWordsBytes;
  const int8_t* activations = rows.values + row * loop.padded_columns;
  const float* scales = rows.scales + row * loop.blocks;
  const int32_t* initial_sums = rows.initial_sums + row * loop.blocks;
  const float* block_sums = kZeros ? rows.sums + row * loop.blocks : nullptr;
  const std::byte* streams[kTiles];
  __m512 sums[kTiles];
  __m512 weight_scales[kTiles];
#pragma GCC unroll 4
  for (int index = 0; index < kTiles; ++index) {
    streams[index] = product.weights + (tile + index) * loop.tile_bytes;
    sums[index] = _mm512_setzero_ps();
    weight_scales[index] = _mm512_setzero_ps();
  }
  int64_t offset = 0;
  const int64_t ahead = kTiles * loop.tile_bytes;
  int64_t left_in_group = 0;
  int64_t group_head = 0;
  for (int64_t block = 0; block < loop.blocks; ++block, --left_in_group) {
    const int64_t head = offset;
    if (left_in_group == 0) {
      group_head = offset;
      left_in_group = loop.blocks_per_group;
      offset += kHeadBytes;
#pragma GCC unroll 4
      for (int index = 0; index < kTiles; ++index)
        weight_scales[index] = _mm512_load_ps(streams[index] + head);
    }
    // Into the second-level cache, the tiles that come after these: the hardware stops at page ends. Past the
    // last tile lie the next product's weights, or nothing, which does no harm.
    for (int index = 0; index < kTiles; ++index) {
      for (int64_t line = head; line < offset + kBlockBytes; line += kWordsBytes) {
        _mm_prefetch(reinterpret_cast<const char*>(streams[index] + ahead + line), _MM_HINT_T1);
      }
    }
    __m512i totals[kTiles];
    DotBlock<kBits, kDots, kTiles>(streams, offset, activations, initial_sums[block], totals);
    offset += kBlockBytes;
    activations += kDots * 4;
    const __m512 scale = _mm512_set1_ps(scales[block]);
#pragma GCC unroll 4
    for (int index = 0; index < kTiles; ++index) {
      const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(totals[index]), weight_scales[index]);
      sums[index] = _mm512_fmadd_ps(scaled, scale, sums[index]);
      if constexpr (kZeros) {
        const __m512 minus_zero = _mm512_load_ps(streams[index] + group_head + kWordsBytes);
        sums[index] = _mm512_fmadd_ps(minus_zero, _mm512_set1_ps(block_sums[block]), sums[index]);
      }
    }
  }
#pragma GCC unroll 4
  for (int index = 0; index < kTiles; ++index) {
    const __m512 sum[1] = {sums[index]};
    StoreRows<1>(product, tile + index, row, sum);
  }
}

template <int kBits, int kDots, bool kZeros>
void MultiplyTiles(const Product& product, const QuantizedRows& rows, int64_t first_tile, int64_t last_tile) {
  const Loop loop(product.layout);
  if (rows.rows == 1) {
    int64_t tile = first_tile;
    for (; tile + kTilesAtOnce <= last_tile; tile += kTilesAtOnce) {
      MultiplyRow<kBits, kDots, kZeros, kTilesAtOnce>(product, loop, rows, tile, 0);
    }
    for (; tile < last_tile; ++tile) MultiplyRow<kBits, kDots, kZeros, 1>(product, loop, rows, tile, 0);
    return;
  }
  for (int64_t sweep = 0; sweep < rows.rows; sweep += kRowsPerSweep) {
    const int64_t end = sweep + kRowsPerSweep < rows.rows ? sweep + kRowsPerSweep : rows.rows;
    for (int64_t tile = first_tile; tile < last_tile; ++tile) {
      int64_t row = sweep;
      for (; row + kRowsAtOnce <= end; row += kRowsAtOnce) {
        MultiplyTile<kBits, kDots, kZeros, kRowsAtOnce>(product, loop, rows, tile, row);
      }
      for (; row + 3 <= end; row += 3) MultiplyTile<kBits, kDots, kZeros, 3>(product, loop, rows, tile, row);
      for (; row < end; ++row) MultiplyRow<kBits, kDots, kZeros, 1>(product, loop, rows, tile, row);
    }
  }
}

void Multiply(const Product& product, const QuantizedRows& rows, int64_t first_tile, int64_t last_tile) {
  const WeightLayout& layout = product.layout;
  const bool short_blocks = layout.block_columns() == 16;
  using Function = void (*)(const Product&, const QuantizedRows&, int64_t, int64_t);
  Function multiply;
  if (layout.bits == 4 && short_blocks) {
    multiply = layout.has_zeros ? MultiplyTiles<4, 4, true> : MultiplyTiles<4, 4, false>;
  } else if (layout.bits == 4) {
    multiply = layout.has_zeros ? MultiplyTiles<4, 8, true> : MultiplyTiles<4, 8, false>;
  } else if (short_blocks) {
    multiply = layout.has_zeros ? MultiplyTiles<8, 4, true> : MultiplyTiles<8, 4, false>;
  } else {
    multiply = layout.has_zeros ? MultiplyTiles<8, 8, true> : MultiplyTiles<8, 8, false>;
  }
  multiply(product, rows, first_tile, last_tile);
}

void Quantize(const WeightLayout& layout, const float* activations, const QuantizedRows& rows) {
  QuantizeRows(layout, activations, layout.has_zeros ? 0 : -layout.middle(), rows);
}

}  // namespace

const KernelSet kAvx512Vnni{"avx512vnni", IsAvailable, Quantize,    Multiply,     Attend,
                            AttendPart,   ApplyUnary,  ApplyBinary, WeightedSums, MultiplyAdd};

}  // namespace slm::kernels
