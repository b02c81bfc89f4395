// Attention of one block of query rows over the keys and values of one KV head, in float.
#pragma once

#include <cstdint>
#include <span>

namespace slm::kernels {

// Rows of queries are worked on in fours; callers pad the last four.
inline constexpr int64_t kAttentionRows = 4;
inline constexpr int64_t kMaximumAttentionRows = 192;
// Head sizes are multiples of this.
inline constexpr int64_t kAttentionLanes = 16;

struct AttentionBlock {
  // A multiple of kAttentionRows, kMaximumAttentionRows at most. Row r is at position min(first_position + r
  // / rows_per_position, last_position): heads that share keys lie side by side.
  int64_t rows = 0;
  int64_t rows_per_position = 1;
  int64_t first_position = 0;
  int64_t last_position = 0;
  int64_t head_dim = 0;
  // Most keys that a row sees, its own position included; 0 for all.
  int64_t window = 0;
  // Scores become softcap * tanh(score / softcap); 0 leaves them.
  float softcap = 0.0F;
  // [rows][head_dim], already multiplied with the scale of the scores.
  const float* queries = nullptr;
  // [positions][head_dim], with `stride` elements from one position to the next; 0 for head_dim.
  const float* keys = nullptr;
  const float* values = nullptr;
  int64_t stride = 0;
  // [bias_rows][bias_stride], added to the scores of all keys from the first on; null for none. Row r reads
  // min(r / rows_per_position, bias_rows - 1).
  const float* bias = nullptr;
  int64_t bias_rows = 0;
  int64_t bias_stride = 0;
  // [kAttentionWorkspaceRows][head_dim]
  float* workspace = nullptr;
  // [rows][head_dim]
  float* output = nullptr;
};

// Transposed keys.
inline constexpr int64_t kAttentionWorkspaceRows = 64;

// Attention of one position over some of the keys it sees. Parts of the same rows are put together by
// MergeParts.
struct AttentionPart {
  // Query heads that share the keys.
  int64_t rows = 0;
  int64_t head_dim = 0;
  // Keys [first_key, end_key), at least one.
  int64_t first_key = 0;
  int64_t end_key = 0;
  // As in AttentionBlock.
  float softcap = 0.0F;
  // [rows][head_dim], already multiplied with the scale of the scores.
  const float* queries = nullptr;
  // As in AttentionBlock.
  const float* keys = nullptr;
  const float* values = nullptr;
  int64_t stride = 0;
  // [rows]: the largest score, and the sum of e^(score - largest).
  float* largest = nullptr;
  float* sums = nullptr;
  // [rows][head_dim]: the sum of e^(score - largest) * value.
  float* output = nullptr;
};

// Writes the attention over the keys of all parts, which are of the same rows, to output[rows][head_dim].
void MergeParts(std::span<const AttentionPart> parts, float* output);

}  // namespace slm::kernels
