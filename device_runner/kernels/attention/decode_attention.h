// Attention of one position, all its heads, in parts that threads share evenly.
#pragma once

#include <cstdint>

#include "kernels/attention/attention.h"

namespace slm::kernels {

struct DecodeAttention {
  // Query heads h * heads / kv_heads and on share the keys of KV head h.
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  // Keys [first_key, end_key), at least one.
  int64_t first_key = 0;
  int64_t end_key = 0;
  // As in AttentionBlock.
  float softcap = 0.0F;
  // [heads][head_dim], already multiplied with the scale of the scores.
  const float* queries = nullptr;
  const float* keys = nullptr;
  const float* values = nullptr;
  // Elements from one position to the next, and from one KV head to the next.
  int64_t stride = 0;
  int64_t head_stride = 0;
};

// Into how many parts the keys of each KV head are cut: heads alone rarely divide evenly among threads.
int64_t PartsPerHead(const DecodeAttention& step, int64_t threads);

// Floats that the parts of all heads need for their results.
int64_t PartsFloats(const DecodeAttention& step, int64_t per_head);

// Writes kv_heads * per_head parts, head by head, for attend_part.
void CutIntoParts(const DecodeAttention& step, int64_t per_head, float* results, AttentionPart* parts);

// Writes output[heads][head_dim] once all parts are done.
void MergeHeads(const DecodeAttention& step, int64_t per_head, const AttentionPart* parts, float* output);

}  // namespace slm::kernels
