// Attention of one position over a range of its keys: what a decode step consists of. One pass with an
// online softmax like portable_attention.h, but every row of keys and values is loaded once for all query
// heads that share it, and keys are not transposed. Memory bounds it, so it also prefetches rows.
#pragma once

#include <utility>

#include "kernels/attention/portable_attention.h"

namespace slm::kernels {
namespace {

// Keys whose scores are summed up at the same time: as many sums as the registers hold besides their
// operands.
#if defined(__AVX2__) && !defined(__AVX512F__)
constexpr int kKeysAtOnce = 2;
#else
constexpr int kKeysAtOnce = 4;
#endif

constexpr int kVectorLanes = static_cast<int>(kLanesPerVector);
constexpr int64_t kLineFloats = 16;

// Into the second-level cache: a step's keys and values need not fit the first.
inline void PrefetchRow(const float* row, int64_t head_dim) {
  for (int64_t at = 0; at < head_dim; at += kLineFloats) __builtin_prefetch(row + at, 0, 2);
}

// Sums of neighbours: of the first operand in the lower half, of the second in the upper half.
template <int... kIndex>
inline Floats AddPairs(Floats first, Floats second, std::integer_sequence<int, kIndex...>) {
  return __builtin_shufflevector(first, second, (2 * kIndex)...) +
         __builtin_shufflevector(first, second, (2 * kIndex + 1)...);
}

// Lane i of the result is the sum over the lanes of vectors[i].
template <int kCount = kVectorLanes>
inline Floats AddLanes(const Floats* vectors) {
  if constexpr (kCount == 1) {
    return vectors[0];
  } else {
    return AddPairs(AddLanes<kCount / 2>(vectors), AddLanes<kCount / 2>(vectors + kCount / 2),
                    std::make_integer_sequence<int, kVectorLanes>{});
  }
}

template <int kWidth, int... kIndex>
inline Floats Swapped(Floats vector, std::integer_sequence<int, kIndex...>) {
  return __builtin_shufflevector(vector, vector, (kIndex ^ kWidth)...);
}

// The largest lane, in every lane.
template <int kWidth = kVectorLanes / 2>
inline Floats LargestEverywhere(Floats vector) {
  if constexpr (kWidth == 0) {
    return vector;
  } else {
    const Floats other = Swapped<kWidth>(vector, std::make_integer_sequence<int, kVectorLanes>{});
    return LargestEverywhere<kWidth / 2>(vector > other ? vector : other);
  }
}

inline int64_t Stride(const AttentionPart& part) { return part.stride > 0 ? part.stride : part.head_dim; }

// scores[row][key] for kVectorLanes keys; those from `count` on repeat the last one.
template <int kCount>
inline void LaneScores(const AttentionPart& part, const float* queries, int64_t first_key, int64_t count,
                       float* scores) {
  const int64_t dim = part.head_dim;
  Floats products[kCount][kVectorLanes];
  for (int lane = 0; lane < kVectorLanes; lane += kKeysAtOnce) {
    const float* keys[kKeysAtOnce];
#pragma GCC unroll 4
    for (int key = 0; key < kKeysAtOnce; ++key) {
      const int64_t index = first_key + (lane + key < count ? lane + key : count - 1);
      keys[key] = part.keys + index * Stride(part);
      // Values are needed once the scores of the whole step are known.
      PrefetchRow(part.values + index * Stride(part), dim);
    }
    Floats sums[kCount][kKeysAtOnce] = {};
    for (int64_t at = 0; at < dim; at += kLanesPerVector) {
#pragma GCC unroll 4
      for (int row = 0; row < kCount; ++row) {
        const Floats query = Load(queries + row * dim + at);
#pragma GCC unroll 4
        for (int key = 0; key < kKeysAtOnce; ++key) sums[row][key] += query * Load(keys[key] + at);
      }
    }
#pragma GCC unroll 4
    for (int row = 0; row < kCount; ++row) {
#pragma GCC unroll 4
      for (int key = 0; key < kKeysAtOnce; ++key) products[row][lane + key] = sums[row][key];
    }
  }
#pragma GCC unroll 4
  for (int row = 0; row < kCount; ++row) Store(scores + row * kKeys, AddLanes(products[row]));
}

// Turns scores into weights and returns what sums so far must be multiplied with. `largest` has it in every
// lane.
inline float Weigh(float softcap, int64_t count, float* scores, Floats& largest, Floats& sum) {
  const int64_t end = (count + kLanesPerVector - 1) / kLanesPerVector * kLanesPerVector;
  for (int64_t at = count; at < end; ++at) scores[at] = kMasked;
  Floats highest = Splat(kMasked);
  for (int64_t at = 0; at < end; at += kLanesPerVector) {
    Floats lanes = Load(scores + at);
    if (softcap > 0.0F) {
      lanes = lanes > Splat(kMasked) ? SoftCap(lanes, softcap) : lanes;
      Store(scores + at, lanes);
    }
    highest = highest > lanes ? highest : lanes;
  }
  const Floats before = largest;
  highest = LargestEverywhere(highest);
  largest = before > highest ? before : highest;
  const Floats correction = Exp(before - largest);
  sum *= correction;
  for (int64_t at = 0; at < end; at += kLanesPerVector) {
    const Floats weights = Exp(Load(scores + at) - largest);
    sum += weights;
    Store(scores + at, weights);
  }
  return correction[0];
}

// output[row][columns] = output * corrections[row] + sum over keys of weights[row][key] *
// values[key][columns]
template <int kCount, int kVectors>
inline void AddValues(const AttentionPart& part, const float* weights, const float* corrections,
                      const float* values, const float* next_keys, int64_t count, float* output) {
  Floats totals[kCount][kVectors];
#pragma GCC unroll 4
  for (int row = 0; row < kCount; ++row) {
#pragma GCC unroll 4
    for (int vector = 0; vector < kVectors; ++vector) {
      totals[row][vector] = corrections[row] * Load(output + row * part.head_dim + vector * kLanesPerVector);
    }
  }
  for (int64_t key = 0; key < count; ++key, values += Stride(part)) {
    if (next_keys != nullptr) PrefetchRow(next_keys + key * Stride(part), part.head_dim);
#pragma GCC unroll 4
    for (int row = 0; row < kCount; ++row) {
      const Floats weight = Splat(weights[row * kKeys + key]);
#pragma GCC unroll 4
      for (int vector = 0; vector < kVectors; ++vector) {
        totals[row][vector] += weight * Load(values + vector * kLanesPerVector);
      }
    }
  }
#pragma GCC unroll 4
  for (int row = 0; row < kCount; ++row) {
#pragma GCC unroll 4
    for (int vector = 0; vector < kVectors; ++vector) {
      Store(output + row * part.head_dim + vector * kLanesPerVector, totals[row][vector]);
    }
  }
}

// kCount rows from the first on, over all keys of the part.
template <int kCount>
void AttendPartRows(const AttentionPart& part, int64_t first_row) {
  constexpr int64_t kColumnsAtOnce = kVectorsAtOnce * kLanesPerVector;
  const float* queries = part.queries + first_row * part.head_dim;
  float* output = part.output + first_row * part.head_dim;
  std::memset(output, 0, static_cast<size_t>(kCount * part.head_dim) * sizeof(float));
  Floats largest[kCount];
  Floats sums[kCount] = {};
  for (Floats& value : largest) value = Splat(kMasked);
  alignas(64) float scores[kCount * kKeys];
  for (int64_t first_key = part.first_key; first_key < part.end_key; first_key += kKeys) {
    const int64_t left = part.end_key - first_key;
    const int64_t count = left < kKeys ? left : kKeys;
    for (int64_t at = 0; at < count; at += kLanesPerVector) {
      const int64_t lanes = count - at < kLanesPerVector ? count - at : kLanesPerVector;
      LaneScores<kCount>(part, queries, first_key + at, lanes, scores + at);
    }
    float corrections[kCount];
    for (int row = 0; row < kCount; ++row) {
      corrections[row] = Weigh(part.softcap, count, scores + row * kKeys, largest[row], sums[row]);
    }
    const float* values = part.values + first_key * Stride(part);
    const float* next_keys = left > kKeys ? part.keys + (first_key + kKeys) * Stride(part) : nullptr;
    int64_t column = 0;
    for (; column + kColumnsAtOnce <= part.head_dim; column += kColumnsAtOnce) {
      AddValues<kCount, kVectorsAtOnce>(part, scores, corrections, values + column, next_keys, count,
                                        output + column);
      next_keys = nullptr;
    }
    for (; column < part.head_dim; column += kLanesPerVector) {
      AddValues<kCount, 1>(part, scores, corrections, values + column, next_keys, count, output + column);
      next_keys = nullptr;
    }
  }
  for (int row = 0; row < kCount; ++row) {
    part.largest[first_row + row] = largest[row][0];
    part.sums[first_row + row] = Sum(sums[row]);
  }
}

inline void AttendPart(const AttentionPart& part) {
  int64_t row = 0;
  for (; row + 4 <= part.rows; row += 4) AttendPartRows<4>(part, row);
  switch (part.rows - row) {
    case 3:
      return AttendPartRows<3>(part, row);
    case 2:
      return AttendPartRows<2>(part, row);
    case 1:
      return AttendPartRows<1>(part, row);
    default:
      return;
  }
}

}  // namespace
}  // namespace slm::kernels
