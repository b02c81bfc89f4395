// Softmax(queries * keys) * values in one pass over the keys (the online softmax of Milakov and
// Gimelshein, as in FlashAttention), in the compilers' generic vectors: one source for every
// instruction set, compiled once in each one's file.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/attention/attention.h"
#include "kernels/vectors.h"

namespace slm::kernels {
namespace {

// As many registers per row of sums as four rows leave room for.
#if defined(__AVX2__) && !defined(__AVX512F__)
constexpr int kVectorsAtOnce = 2;
#else
constexpr int kVectorsAtOnce = 4;
#endif

constexpr int kRows = static_cast<int>(kAttentionRows);
// Keys per step: their scores for one group of rows stay in registers, transposed keys in the first-level
// cache.
constexpr int64_t kKeys = kAttentionWorkspaceRows;
// Stands for minus infinity, without the NaN of subtracting it from itself.
constexpr float kMasked = -1e30F;

inline float Sum(Floats vector) {
  float lanes[kLanesPerVector];
  Store(lanes, vector);
  for (int64_t width = kLanesPerVector / 2; width > 0; width /= 2) {
    for (int64_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}

inline float Largest(Floats vector) {
  float lanes[kLanesPerVector];
  Store(lanes, vector);
  for (int64_t width = kLanesPerVector / 2; width > 0; width /= 2) {
    for (int64_t lane = 0; lane < width; ++lane) {
      lanes[lane] = lanes[lane] > lanes[lane + width] ? lanes[lane] : lanes[lane + width];
    }
  }
  return lanes[0];
}

inline Floats SoftCap(Floats scores, float softcap) {
  // tanh(x) = 1 - 2 / (e^2x + 1); beyond 10 it is 1 to the last bit.
  Floats doubled = scores * (2.0F / softcap);
  doubled = doubled > Splat(20.0F) ? Splat(20.0F) : doubled;
  return softcap * (1.0F - 2.0F / (Exp(doubled) + 1.0F));
}

// sums[row][columns] += left[row][count] * right[count][columns] for kVectors registers of columns
template <int kVectors>
inline void MultiplyAdd(const float* left, int64_t left_stride, const float* right, int64_t right_stride,
                        int64_t count, float* sums, int64_t sums_stride) {
  Floats totals[kRows][kVectors];
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 4
    for (int vector = 0; vector < kVectors; ++vector) {
      totals[row][vector] = Load(sums + row * sums_stride + vector * kLanesPerVector);
    }
  }
  for (int64_t index = 0; index < count; ++index) {
    const float* from = right + index * right_stride;
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      const Floats factor = Splat(left[row * left_stride + index]);
#pragma GCC unroll 4
      for (int vector = 0; vector < kVectors; ++vector) {
        totals[row][vector] += factor * Load(from + vector * kLanesPerVector);
      }
    }
  }
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 4
    for (int vector = 0; vector < kVectors; ++vector) {
      Store(sums + row * sums_stride + vector * kLanesPerVector, totals[row][vector]);
    }
  }
}

// The same for any number of columns that fills registers.
inline void MultiplyAddColumns(const float* left, int64_t left_stride, const float* right,
                               int64_t right_stride, int64_t count, int64_t columns, float* sums,
                               int64_t sums_stride) {
  constexpr int64_t kColumnsAtOnce = kVectorsAtOnce * kLanesPerVector;
  int64_t at = 0;
  for (; at + kColumnsAtOnce <= columns; at += kColumnsAtOnce) {
    MultiplyAdd<kVectorsAtOnce>(left, left_stride, right + at, right_stride, count, sums + at, sums_stride);
  }
  for (; at < columns; at += kLanesPerVector) {
    MultiplyAdd<1>(left, left_stride, right + at, right_stride, count, sums + at, sums_stride);
  }
}

// What one group of rows has seen so far.
struct Running {
  float largest[kRows];
  float sum[kRows];
};

inline int64_t Stride(const AttentionBlock& block) {
  return block.stride > 0 ? block.stride : block.head_dim;
}

// scores[row][key] for keys that are not transposed: cheaper when only one group of rows needs them.
inline void DirectScores(const AttentionBlock& block, const float* queries, int64_t first_key, int64_t count,
                         float* scores) {
  for (int64_t key = 0; key < count; ++key) {
    const float* from = block.keys + (first_key + key) * Stride(block);
    Floats products[kRows] = {};
    for (int64_t at = 0; at < block.head_dim; at += kLanesPerVector) {
      const Floats part = Load(from + at);
#pragma GCC unroll 4
      for (int row = 0; row < kRows; ++row) products[row] += part * Load(queries + row * block.head_dim + at);
    }
    for (int row = 0; row < kRows; ++row) scores[row * kKeys + key] = Sum(products[row]);
  }
}

inline void TransposeKeys(const AttentionBlock& block, int64_t first_key, int64_t count, float* transposed) {
  for (int64_t key = 0; key < count; ++key) {
    const float* from = block.keys + (first_key + key) * Stride(block);
    for (int64_t at = 0; at < block.head_dim; ++at) transposed[at * kKeys + key] = from[at];
  }
}

// Turns the scores of one row into weights and returns what sums so far must be multiplied with.
inline float Normalize(const AttentionBlock& block, int64_t position, int64_t first_key, int64_t count,
                       float* scores, float& largest, float& sum) {
  const int64_t visible_end = position + 1 - first_key;
  const int64_t end = visible_end < count ? visible_end : count;
  const int64_t oldest = block.window > 0 ? position + 1 - block.window - first_key : 0;
  Floats highest = Splat(kMasked);
  for (int64_t at = 0; at < kKeys; at += kLanesPerVector) {
    Floats part = Load(scores + at);
    if (block.softcap > 0.0F) part = SoftCap(part, block.softcap);
    if (at < oldest || at + kLanesPerVector > end) {
      for (int64_t lane = 0; lane < kLanesPerVector; ++lane) {
        if (at + lane < oldest || at + lane >= end) part[lane] = kMasked;
      }
    }
    highest = highest > part ? highest : part;
    Store(scores + at, part);
  }
  const float before = largest;
  const float here = Largest(highest);
  largest = before > here ? before : here;
  // Nothing visible yet: weights of zero instead of e^0.
  const float reference = largest <= kMasked ? 0.0F : largest;
  Floats total = {};
  for (int64_t at = 0; at < kKeys; at += kLanesPerVector) {
    const Floats weights = Exp(Load(scores + at) - reference);
    total += weights;
    Store(scores + at, weights);
  }
  const float correction = Exp(Splat(before - reference))[0];
  sum = sum * correction + Sum(total);
  return correction;
}

inline int64_t PositionOf(const AttentionBlock& block, int64_t row) {
  const int64_t position = block.first_position + row / block.rows_per_position;
  return position < block.last_position ? position : block.last_position;
}

inline void AddBias(const AttentionBlock& block, int64_t row, int64_t first_key, int64_t count,
                    float* scores) {
  const int64_t asked = row / block.rows_per_position;
  const int64_t bias_row = asked < block.bias_rows ? asked : block.bias_rows - 1;
  const float* bias = block.bias + bias_row * block.bias_stride + first_key;
  for (int64_t key = 0; key < count; ++key) scores[key] += bias[key];
}

inline void AttendRows(const AttentionBlock& block, int64_t first_row, int64_t first_key, int64_t count,
                       const float* transposed, Running& running) {
  alignas(64) float scores[kRows * kKeys] = {};
  const float* queries = block.queries + first_row * block.head_dim;
  float* output = block.output + first_row * block.head_dim;
  if (transposed == nullptr) {
    DirectScores(block, queries, first_key, count, scores);
  } else {
    MultiplyAddColumns(queries, block.head_dim, transposed, kKeys, block.head_dim, kKeys, scores, kKeys);
  }
  for (int64_t row = 0; row < kRows; ++row) {
    if (block.bias != nullptr) AddBias(block, first_row + row, first_key, count, scores + row * kKeys);
    const float correction = Normalize(block, PositionOf(block, first_row + row), first_key, count,
                                       scores + row * kKeys, running.largest[row], running.sum[row]);
    if (correction == 1.0F) continue;
    for (int64_t at = 0; at < block.head_dim; ++at) output[row * block.head_dim + at] *= correction;
  }
  MultiplyAddColumns(scores, kKeys, block.values + first_key * Stride(block), Stride(block), count,
                     block.head_dim, output, block.head_dim);
}

inline void Attend(const AttentionBlock& block) {
  const int64_t groups = block.rows / kRows;
  const bool transpose = groups > 1;
  float* transposed = block.workspace;
  std::memset(block.output, 0, static_cast<size_t>(block.rows * block.head_dim) * sizeof(float));
  if (transpose) std::memset(transposed, 0, static_cast<size_t>(kKeys * block.head_dim) * sizeof(float));
  Running running[kMaximumAttentionRows / kAttentionRows];
  for (int64_t group = 0; group < groups; ++group) {
    for (int row = 0; row < kRows; ++row) {
      running[group].largest[row] = kMasked;
      running[group].sum[row] = 0.0F;
    }
  }
  int64_t oldest = 0;
  if (block.window > 0 && block.first_position + 1 > block.window)
    oldest = block.first_position + 1 - block.window;
  for (int64_t first_key = oldest / kKeys * kKeys; first_key <= block.last_position; first_key += kKeys) {
    const int64_t left = block.last_position + 1 - first_key;
    const int64_t count = left < kKeys ? left : kKeys;
    if (transpose) TransposeKeys(block, first_key, count, transposed);
    for (int64_t group = 0; group < groups; ++group) {
      // The last row of the group is the first to see these keys.
      if (PositionOf(block, group * kRows + kRows - 1) < first_key) continue;
      AttendRows(block, group * kRows, first_key, count, transpose ? transposed : nullptr, running[group]);
    }
  }
  for (int64_t row = 0; row < block.rows; ++row) {
    const float factor = 1.0F / running[row / kRows].sum[row % kRows];
    for (int64_t at = 0; at < block.head_dim; ++at) block.output[row * block.head_dim + at] *= factor;
  }
}

}  // namespace
}  // namespace slm::kernels
