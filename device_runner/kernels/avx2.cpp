// AVX2 without a dot product: vpmaddubsw multiplies unsigned with signed bytes and adds pairs in 16 bits.
#include <immintrin.h>

#include "kernels/portable.h"
#include "kernels/portable_attention.h"
#include "kernels/portable_decode.h"
#include "kernels/sets.h"

namespace slm::kernels {
namespace {

constexpr int64_t kHalfBytes = 32;
constexpr int64_t kWordsBytes = kTileRows * int64_t{sizeof(uint32_t)};
// Eight rows of weights, half a tile, in one register.
constexpr int kLanes = 8;

bool IsAvailable() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

inline __m256i Broadcast(const int8_t* bytes) {
  int32_t word;
  std::memcpy(&word, bytes, sizeof word);
  return _mm256_set1_epi32(word);
}

// Sums of one block in 32 bits. Four bits: a lane adds 16 products of at most 15 * 127, which fits 16 bits.
inline __m256i DotFourBits(const std::byte* words, const int8_t* bytes, int64_t steps) {
  const __m256i low_nibbles = _mm256_set1_epi8(0xF);
  __m256i pairs = _mm256_setzero_si256();
  for (int64_t step = 0; step < steps; ++step, words += kWordsBytes, bytes += 8) {
    const __m256i word = _mm256_load_si256(reinterpret_cast<const __m256i*>(words));
    const __m256i low = _mm256_and_si256(word, low_nibbles);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi32(word, 4), low_nibbles);
    pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(low, Broadcast(bytes)));
    pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(high, Broadcast(bytes + 4)));
  }
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

// Eight bits would overflow 16, so even and odd bytes are widened first.
inline __m256i DotEightBits(const std::byte* words, const int8_t* bytes, int64_t steps) {
  const __m256i even_bytes = _mm256_set1_epi16(0xFF);
  __m256i total = _mm256_setzero_si256();
  for (int64_t step = 0; step < steps; ++step, words += kWordsBytes, bytes += 4) {
    const __m256i word = _mm256_load_si256(reinterpret_cast<const __m256i*>(words));
    const __m256i activations = Broadcast(bytes);
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(activations, 8), 8);
    const __m256i odd = _mm256_srai_epi16(activations, 8);
    total = _mm256_add_epi32(total, _mm256_madd_epi16(_mm256_and_si256(word, even_bytes), even));
    total = _mm256_add_epi32(total, _mm256_madd_epi16(_mm256_srli_epi16(word, 8), odd));
  }
  return total;
}

template <int kBits>
void MultiplyTile(const Product& product, const Loop& loop, const QuantizedRows& rows, int64_t tile,
                  int64_t row) {
  const std::byte* stream = product.weights + tile * loop.tile_bytes;
  const int8_t* activations = rows.values + row * loop.padded_columns;
  const int64_t block_columns = loop.steps * (32 / kBits);
  __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  for (int64_t block = 0; block < loop.blocks;) {
    const auto* head = reinterpret_cast<const float*>(stream);
    const std::byte* words = reinterpret_cast<const std::byte*>(head + loop.head_floats);
    for (int64_t end = block + loop.blocks_per_group; block < end && block < loop.blocks; ++block) {
      const int64_t at = row * loop.blocks + block;
      const __m256i start = _mm256_set1_epi32(rows.starts[at]);
      for (int half = 0; half < 2; ++half) {
        const std::byte* source = words + half * kHalfBytes;
        const int8_t* bytes = activations + block * block_columns;
        const __m256i dots =
            kBits == 4 ? DotFourBits(source, bytes, loop.steps) : DotEightBits(source, bytes, loop.steps);
        const __m256 total = _mm256_cvtepi32_ps(_mm256_add_epi32(dots, start));
        const __m256 scaled = _mm256_mul_ps(total, _mm256_load_ps(head + half * kLanes));
        sums[half] = _mm256_fmadd_ps(scaled, _mm256_set1_ps(rows.scales[at]), sums[half]);
        if (product.layout.has_zeros) {
          const __m256 minus_zero = _mm256_load_ps(head + kTileRows + half * kLanes);
          sums[half] = _mm256_fmadd_ps(minus_zero, _mm256_set1_ps(rows.sums[at]), sums[half]);
        }
      }
      words += loop.steps * kWordsBytes;
    }
    stream = words;
  }
  float stored[kTileRows];
  _mm256_storeu_ps(stored, sums[0]);
  _mm256_storeu_ps(stored + kLanes, sums[1]);
  StoreTileRow(product, tile, row, stored);
}

void Multiply(const Product& product, const QuantizedRows& rows, int64_t first_tile, int64_t last_tile) {
  const Loop loop(product.layout);
  const auto multiply = product.layout.bits == 4 ? MultiplyTile<4> : MultiplyTile<8>;
  for (int64_t tile = first_tile; tile < last_tile; ++tile) {
    for (int64_t row = 0; row < rows.rows; ++row) multiply(product, loop, rows, tile, row);
  }
}

void Quantize(const WeightLayout& layout, const float* activations, const QuantizedRows& rows) {
  QuantizeRows(layout, activations, layout.has_zeros ? 0 : -layout.middle(), rows);
}

}  // namespace

const KernelSet kAvx2{"avx2", IsAvailable, Quantize, Multiply, Attend, AttendPart};

}  // namespace slm::kernels
