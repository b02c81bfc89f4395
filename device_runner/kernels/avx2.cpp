// AVX2 without a dot product: vpmaddubsw multiplies unsigned with signed bytes and adds pairs in 16 bits.
// Eight-bit weights would overflow these, so their nibbles are multiplied apart.
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
// Eight rows of weights, half a tile, in one register.
constexpr int kLanes = 8;
constexpr int kHalves = 2;
constexpr int64_t kHalfBytes = kWordsBytes / kHalves;
// Registers of weights that share a register of activations: the same nibbles of both halves of a tile (4
// bits) or both nibbles of one half (8 bits).
constexpr int kOperands = 2;
// Rows of activations that share an unpacked word of weights: their sums in 16 bits fill half of the
// registers. Of two, three, four, six and eight rows, four were the fastest.
constexpr int kRowsAtOnce = 4;
constexpr int64_t kLineBytes = 64;
// How far ahead of their use weights are asked for. Measured: nearer comes late, and a whole tile ahead is
// slower.
constexpr int64_t kBytesAhead = 8192;

bool IsAvailable() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

inline __m256i Broadcast(const int8_t* bytes) {
  int32_t word;
  std::memcpy(&word, bytes, sizeof word);
  return _mm256_set1_epi32(word);
}

inline __m256i Load(const std::byte* words) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(words));
}

inline __m256i LowNibbles(__m256i words) { return _mm256_and_si256(words, _mm256_set1_epi8(0xF)); }
inline __m256i HighNibbles(__m256i words) { return LowNibbles(_mm256_srli_epi16(words, 4)); }

// What the four columns of a block's dot product number `dot` are multiplied with.
template <int kBits>
inline void LoadOperands(const std::byte* block, int dot, __m256i (&weights)[kOperands]) {
  if constexpr (kBits == 4) {
    const std::byte* words = block + dot / 2 * kWordsBytes;
    const __m256i halves[] = {Load(words), Load(words + kHalfBytes)};
    weights[0] = dot % 2 == 0 ? LowNibbles(halves[0]) : HighNibbles(halves[0]);
    weights[1] = dot % 2 == 0 ? LowNibbles(halves[1]) : HighNibbles(halves[1]);
  } else {
    const __m256i words = Load(block + dot * kWordsBytes);
    weights[0] = LowNibbles(words);
    weights[1] = HighNibbles(words);
  }
}

// Sums of one block: a lane adds at most 16 products of at most 15 * 127, which fits 16 bits.
template <int kBits, int kDots, int kRows>
inline void DotBlock(const std::byte* block, const int8_t* bytes, int64_t row_bytes,
                     __m256i (&pairs)[kRows][kOperands]) {
#pragma GCC unroll 8
  for (int dot = 0; dot < kDots; ++dot) {
    __m256i weights[kOperands];
    LoadOperands<kBits>(block, dot, weights);
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      const __m256i activations = Broadcast(bytes + row * row_bytes + 4 * dot);
#pragma GCC unroll 2
      for (int operand = 0; operand < kOperands; ++operand) {
        const __m256i products = _mm256_maddubs_epi16(weights[operand], activations);
        __m256i& sum = pairs[row][operand];
        sum = dot == 0 ? products : _mm256_add_epi16(sum, products);
        // Keeps the compiler from adding up in another order, which takes more registers than there are.
        if constexpr (kRows > 1) asm("" : "+x"(sum));
      }
    }
  }
}

// Adds (start + sum of products) * scale of the weights * scale of the activations for one block.
template <int kBits, int kDots, int kRows>
inline void AddBlock(const std::byte* block, const float* weight_scales, const int8_t* bytes,
                     int64_t row_bytes, const int32_t* initial_sums, const float* scales, int64_t blocks,
                     __m256 (&sums)[kRows][kHalves]) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i pairs[kRows][kOperands];
  if constexpr (kBits == 4) DotBlock<kBits, kDots, kRows>(block, bytes, row_bytes, pairs);
#pragma GCC unroll 2
  for (int half = 0; half < kHalves; ++half) {
    if constexpr (kBits == 8)
      DotBlock<kBits, kDots, kRows>(block + half * kHalfBytes, bytes, row_bytes, pairs);
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      __m256i total;
      if constexpr (kBits == 4) {
        total = _mm256_madd_epi16(pairs[row][half], ones);
      } else {
        total = _mm256_add_epi32(_mm256_madd_epi16(pairs[row][0], ones),
                                 _mm256_madd_epi16(pairs[row][1], _mm256_set1_epi16(16)));
      }
      total = _mm256_add_epi32(total, _mm256_set1_epi32(initial_sums[row * blocks]));
      const __m256 scaled =
          _mm256_mul_ps(_mm256_cvtepi32_ps(total), _mm256_load_ps(weight_scales + half * kLanes));
      sums[row][half] = _mm256_fmadd_ps(scaled, _mm256_set1_ps(scales[row * blocks]), sums[row][half]);
    }
  }
}

// Into the first-level cache, as many bytes as are read meanwhile: the hardware stops at page ends, and one
// row of activations would wait for memory. Past the last tile lie the next product's weights, or nothing,
// which does no harm.
template <int64_t kBytes>
inline void Prefetch(const std::byte* stream) {
#pragma GCC unroll 16
  for (int64_t line = 0; line < kBytes; line += kLineBytes) {
    _mm_prefetch(reinterpret_cast<const char*>(stream + kBytesAhead + line), _MM_HINT_T0);
  }
}

// On its own, not inlined: the loops around it would take registers that it needs.
template <int kBits, int kDots, bool kZeros, int kRows>
[[gnu::noinline]] void MultiplyTile(const Product& product, const Loop& loop, const QuantizedRows& rows,
                                    int64_t tile, int64_t first_row) {
  constexpr int64_t kHeadBytes = (kZeros ? 2 : 1) * kWordsBytes;
  constexpr int64_t kBlockBytes = kDots * kBits / 8 * kWordsBytes;
  const std::byte* stream = product.weights + tile * loop.tile_bytes;
  const int8_t* activations = rows.values + first_row * loop.padded_columns;
  // Later rows find the tile in the cache.
  const bool is_first = first_row == 0;
  __m256 sums[kRows][kHalves];
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) sums[row][0] = sums[row][1] = _mm256_setzero_ps();
  for (int64_t block = 0; block < loop.blocks;) {
    const auto* head = reinterpret_cast<const float*>(stream);
    stream += kHeadBytes;
    const int64_t group_end = block + loop.blocks_per_group;
    for (; block < group_end && block < loop.blocks; ++block) {
      if (is_first) Prefetch<kHeadBytes + kBlockBytes>(stream);
      const int64_t at = first_row * loop.blocks + block;
      AddBlock<kBits, kDots, kRows>(stream, head, activations + block * kDots * 4, loop.padded_columns,
                                    rows.initial_sums + at, rows.scales + at, loop.blocks, sums);
      if constexpr (kZeros) {
#pragma GCC unroll 4
        for (int row = 0; row < kRows; ++row) {
          const __m256 block_sum = _mm256_set1_ps(rows.sums[at + row * loop.blocks]);
#pragma GCC unroll 2
          for (int half = 0; half < kHalves; ++half) {
            const __m256 minus_zero = _mm256_load_ps(head + kTileRows + half * kLanes);
            sums[row][half] = _mm256_fmadd_ps(minus_zero, block_sum, sums[row][half]);
          }
        }
      }
      stream += kBlockBytes;
    }
  }
  float stored[kRows][kTileRows];
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) {
    _mm256_storeu_ps(stored[row], sums[row][0]);
    _mm256_storeu_ps(stored[row] + kLanes, sums[row][1]);
  }
#pragma GCC unroll 1
  for (int row = 0; row < kRows; ++row) StoreTileRow(product, tile, first_row + row, stored[row]);
}

// The rows from `row` on, kRows at once and then, for the rest, fewer.
template <int kBits, int kDots, bool kZeros, int kRows>
void MultiplyRows(const Product& product, const Loop& loop, const QuantizedRows& rows, int64_t tile,
                  int64_t row) {
  for (; row + kRows <= rows.rows; row += kRows)
    MultiplyTile<kBits, kDots, kZeros, kRows>(product, loop, rows, tile, row);
  if constexpr (kRows > 1) MultiplyRows<kBits, kDots, kZeros, kRows - 1>(product, loop, rows, tile, row);
}

template <int kBits, int kDots, bool kZeros>
void MultiplyTiles(const Product& product, const QuantizedRows& rows, int64_t first_tile, int64_t last_tile) {
  const Loop loop(product.layout);
  // Row groups inside: a tile stays in the first-level cache while all rows pass by.
  for (int64_t tile = first_tile; tile < last_tile; ++tile)
    MultiplyRows<kBits, kDots, kZeros, kRowsAtOnce>(product, loop, rows, tile, 0);
}

template <int kBits, int kDots>
void MultiplyBlocks(const Product& product, const QuantizedRows& rows, int64_t first_tile,
                    int64_t last_tile) {
  const auto multiply =
      product.layout.has_zeros ? MultiplyTiles<kBits, kDots, true> : MultiplyTiles<kBits, kDots, false>;
  multiply(product, rows, first_tile, last_tile);
}

void Multiply(const Product& product, const QuantizedRows& rows, int64_t first_tile, int64_t last_tile) {
  const bool short_blocks = product.layout.block_columns() == 16;
  const auto multiply = product.layout.bits == 4
                            ? (short_blocks ? MultiplyBlocks<4, 4> : MultiplyBlocks<4, 8>)
                            : (short_blocks ? MultiplyBlocks<8, 4> : MultiplyBlocks<8, 8>);
  multiply(product, rows, first_tile, last_tile);
}

void Quantize(const WeightLayout& layout, const float* activations, const QuantizedRows& rows) {
  QuantizeRows(layout, activations, layout.has_zeros ? 0 : -layout.middle(), rows);
}

}  // namespace

const KernelSet kAvx2{"avx2",     IsAvailable, Quantize,    Multiply,     Attend,
                      AttendPart, ApplyUnary,  ApplyBinary, WeightedSums, MultiplyAdd};

}  // namespace slm::kernels
