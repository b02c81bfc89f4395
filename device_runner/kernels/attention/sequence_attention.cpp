#include "kernels/attention/sequence_attention.h"

#include <algorithm>
#include <utility>

#include "kernels/attention/decode_attention.h"

namespace slm::kernels {
namespace {

template <typename Element>
Element* Resized(std::vector<Element>& buffer, int64_t size) {
  if (buffer.size() < static_cast<size_t>(size)) buffer.resize(static_cast<size_t>(size));
  return buffer.data();
}

// Keys [first, last] that the bias leaves to at least one of the tokens; all of them when it leaves none.
std::pair<int64_t, int64_t> SeenByBias(const SequenceAttention& call, int64_t first_token,
                                       int64_t last_token) {
  int64_t first = call.length;
  int64_t last = -1;
  for (int64_t token = first_token; token < last_token; ++token) {
    const float* row = call.bias + token * call.bias_stride;
    const auto visible = [](float bias) { return bias > kHiddenBias; };
    const int64_t from = std::find_if(row, row + std::min(first, call.length), visible) - row;
    first = std::min(first, from);
    int64_t to = call.length - 1;
    while (to > last && !visible(row[to])) --to;
    last = std::max(last, to);
  }
  return last < first ? std::pair<int64_t, int64_t>{0, call.length - 1} : std::pair{first, last};
}

// The kernels take head sizes in whole vectors; other sizes are padded with zeros, which add nothing.
int64_t PaddedDim(const SequenceAttention& call) {
  return (call.head_dim + kAttentionLanes - 1) / kAttentionLanes * kAttentionLanes;
}

std::vector<float> Padded(const SequenceAttention& call, const float* rows, int64_t count) {
  const int64_t dim = PaddedDim(call);
  std::vector<float> padded(static_cast<size_t>(count * dim));
  for (int64_t key = 0; key < count; ++key) {
    const float* row = rows + key * call.stride;
    std::copy(row, row + call.head_dim, padded.begin() + key * dim);
  }
  return padded;
}

// Tokens [first_token, last_token) of the heads that share a KV head.
void AttendBlock(const KernelSet& set, const SequenceAttention& call, QueryRef query, int64_t kv_head,
                 int64_t first_token, int64_t last_token) {
  const int64_t group = call.heads / call.kv_heads;
  const int64_t dim = PaddedDim(call);
  const int64_t used_rows = (last_token - first_token) * group;
  const int64_t rows = (used_rows + kAttentionRows - 1) / kAttentionRows * kAttentionRows;
  std::vector<float> buffer(static_cast<size_t>((2 * rows + kAttentionWorkspaceRows) * dim));
  float* queries = buffer.data();
  for (int64_t row = 0; row < used_rows; ++row) {
    query(first_token + row / group, kv_head * group + row % group, queries + row * dim);
  }
  std::pair<int64_t, int64_t> seen{0, call.causal ? call.past() + last_token - 1 : call.length - 1};
  if (call.bias != nullptr) seen = SeenByBias(call, first_token, last_token);
  const auto [first_key, last_key] = seen;

  AttentionBlock block;
  block.rows = rows;
  block.rows_per_position = group;
  block.last_position = last_key - first_key;
  block.first_position = call.causal ? call.past() + first_token : block.last_position;
  block.head_dim = dim;
  block.window = call.window;
  block.softcap = call.softcap;
  block.queries = queries;
  block.output = queries + rows * dim;
  block.workspace = block.output + rows * dim;
  block.keys = call.keys + first_key * call.stride + kv_head * call.head_stride;
  block.values = call.values + first_key * call.stride + kv_head * call.head_stride;
  block.stride = call.stride;
  std::vector<float> keys;
  std::vector<float> values;
  if (dim != call.head_dim) {
    keys = Padded(call, block.keys, last_key - first_key + 1);
    values = Padded(call, block.values, last_key - first_key + 1);
    block.keys = keys.data();
    block.values = values.data();
    block.stride = dim;
  }
  if (call.bias != nullptr) {
    block.bias = call.bias + first_token * call.bias_stride + first_key;
    block.bias_rows = last_token - first_token;
    block.bias_stride = call.bias_stride;
  }
  set.attend(block);
  for (int64_t row = 0; row < used_rows; ++row) {
    const int64_t token = first_token + row / group;
    const int64_t head = kv_head * group + row % group;
    const float* attended = block.output + row * dim;
    std::copy(attended, attended + call.head_dim, call.output + (token * call.heads + head) * call.head_dim);
  }
}

void AttendBlocks(const KernelSet& set, ParallelFor& threads, const SequenceAttention& call, QueryRef query) {
  const int64_t group = call.heads / call.kv_heads;
  const int64_t tokens_per_block = std::min(call.tokens, std::max<int64_t>(kMaximumAttentionRows / group, 1));
  const int64_t blocks = (call.tokens + tokens_per_block - 1) / tokens_per_block;
  threads.Run(call.kv_heads * blocks, [&](int64_t task) {
    // The longest blocks first, so that no thread is left with one at the end.
    const int64_t first = (blocks - 1 - task / call.kv_heads) * tokens_per_block;
    AttendBlock(set, call, query, task % call.kv_heads, first,
                std::min(first + tokens_per_block, call.tokens));
  });
}

// One token whose keys [first_key, last_key] need no bias: the keys are cut into parts, so that few KV heads
// keep many threads busy.
void AttendPosition(const KernelSet& set, ParallelFor& threads, const SequenceAttention& call, QueryRef query,
                    AttentionScratch& scratch, int64_t first_key, int64_t last_key) {
  DecodeAttention step;
  step.heads = call.heads;
  step.kv_heads = call.kv_heads;
  step.head_dim = call.head_dim;
  step.first_key = first_key;
  step.end_key = last_key + 1;
  step.softcap = call.softcap;
  step.keys = call.keys;
  step.values = call.values;
  step.stride = call.stride;
  step.head_stride = call.head_stride;
  const int64_t per_head = PartsPerHead(step, threads.threads());
  const int64_t query_floats = call.heads * call.head_dim;
  float* queries = Resized(scratch.floats, query_floats + PartsFloats(step, per_head));
  for (int64_t head = 0; head < call.heads; ++head) query(0, head, queries + head * call.head_dim);
  step.queries = queries;
  const int64_t tasks = call.kv_heads * per_head;
  AttentionPart* parts = Resized(scratch.parts, tasks);
  CutIntoParts(step, per_head, queries + query_floats, parts);
  threads.Run(tasks, [&](int64_t task) { set.attend_part(parts[task]); });
  MergeHeads(step, per_head, parts, call.output);
}

bool IsZero(const float* bias, int64_t first, int64_t last) {
  return std::all_of(bias + first, bias + last + 1, [](float value) { return value == 0.0F; });
}

}  // namespace

void Attend(const KernelSet& set, ParallelFor& threads, const SequenceAttention& call, QueryRef query,
            AttentionScratch& scratch) {
  if (call.tokens == 1 && call.head_dim % kAttentionLanes == 0) {
    std::pair<int64_t, int64_t> seen{call.window > 0 ? std::max<int64_t>(call.length - call.window, 0) : 0,
                                     call.length - 1};
    if (call.bias != nullptr) seen = SeenByBias(call, 0, 1);
    // That all keys of a range count alike is what a window's bias comes down to for one token.
    if (call.bias == nullptr || IsZero(call.bias, seen.first, seen.second))
      return AttendPosition(set, threads, call, query, scratch, seen.first, seen.second);
  }
  AttendBlocks(set, threads, call, query);
}

}  // namespace slm::kernels
