#include "kernels/attention/decode_attention.h"

#include <algorithm>
#include <numeric>

#include "kernels/task_sizes.h"

namespace slm::kernels {
namespace {

// Fewer keys are not worth a part of their own.
constexpr int64_t kMinimumPartKeys = 64;

int64_t GroupFloats(const DecodeAttention& step) { return step.heads / step.kv_heads * step.head_dim; }

// Largest scores and sums take a whole number of cache lines, which threads should not share.
int64_t PartFloats(const DecodeAttention& step) {
  const int64_t rows = 2 * step.heads / step.kv_heads;
  return GroupFloats(step) + (rows + kAttentionLanes - 1) / kAttentionLanes * kAttentionLanes;
}

}  // namespace

int64_t PartsPerHead(const DecodeAttention& step, int64_t threads) {
  if (threads == 1) return 1;
  const int64_t wanted = (threads * kTasksPerThread + step.kv_heads - 1) / step.kv_heads;
  // Rounded up to where the parts of all heads together divide evenly among the threads.
  const int64_t multiple = threads / std::gcd(threads, step.kv_heads);
  const int64_t keys = step.end_key - step.first_key;
  return std::clamp<int64_t>(keys / kMinimumPartKeys, 1, (wanted + multiple - 1) / multiple * multiple);
}

int64_t PartsFloats(const DecodeAttention& step, int64_t per_head) {
  return step.kv_heads * per_head * PartFloats(step);
}

void CutIntoParts(const DecodeAttention& step, int64_t per_head, float* results, AttentionPart* parts) {
  const int64_t rows = step.heads / step.kv_heads;
  const int64_t keys = step.end_key - step.first_key;
  for (int64_t head = 0; head < step.kv_heads; ++head) {
    for (int64_t index = 0; index < per_head; ++index, results += PartFloats(step), ++parts) {
      parts->rows = rows;
      parts->head_dim = step.head_dim;
      parts->first_key = step.first_key + keys * index / per_head;
      parts->end_key = step.first_key + keys * (index + 1) / per_head;
      parts->softcap = step.softcap;
      parts->queries = step.queries + head * GroupFloats(step);
      parts->keys = step.keys + head * step.head_stride;
      parts->values = step.values + head * step.head_stride;
      parts->stride = step.stride;
      parts->output = results;
      parts->largest = results + GroupFloats(step);
      parts->sums = parts->largest + rows;
    }
  }
}

void MergeHeads(const DecodeAttention& step, int64_t per_head, const AttentionPart* parts, float* output) {
  for (int64_t head = 0; head < step.kv_heads; ++head) {
    MergeParts({parts + head * per_head, static_cast<size_t>(per_head)}, output + head * GroupFloats(step));
  }
}

}  // namespace slm::kernels
