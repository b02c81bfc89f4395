#include "engines/onnxruntime/node_facts.h"

#include "kernels/attention/sequence_attention.h"

namespace slm::own {
namespace {

// The operator's word for activations quantized to bytes.
constexpr int64_t kInt8AccuracyLevel = 4;
// Of a dimension; products of two stay within 64 bits.
constexpr int64_t kMaximumSize = int64_t{1} << 28;
// No decoder has more heads: products of them stay far from the ends of 64 bits.
constexpr int64_t kMaximumHeads = 1 << 16;

bool IsSize(int64_t size) { return size > 0 && size <= kMaximumSize; }

}  // namespace

kernels::WeightLayout LayoutOf(const NodeFacts& node) {
  return {node.Integer("N", 0), node.Integer("K", 0), static_cast<int>(node.Integer("bits", 4)),
          node.Integer("block_size", 0), false};
}

std::string_view MatMulNotCovered(const NodeFacts& node) {
  if (node.Integer("accuracy_level", 0) != kInt8AccuracyLevel) return "float activations";
  const kernels::WeightLayout layout = LayoutOf(node);
  const bool plain = node.Integer("weight_prepacked", 0) == 0 && !node.IsGiven(kGroupIndex);
  const bool sized = IsSize(layout.rows) && IsSize(layout.columns) && IsSize(layout.group_columns);
  return plain && sized && kernels::IsSupported(layout) ? "" : "this layout of weights";
}

bool ReadsOtherCache(const NodeFacts& node) { return node.outputs() == kPresentKey; }

std::string_view AttentionNotCovered(const NodeFacts& node) {
  const int64_t heads = node.Integer("num_heads", 0);
  const int64_t kv_heads = node.Integer("kv_num_heads", 0);
  if (kv_heads < 1 || heads < 1 || heads > kMaximumHeads || heads % kv_heads != 0 ||
      heads / kv_heads > kernels::kMaximumAttentionRows) {
    return "these heads";
  }
  if (node.IsGiven(kPositions) || node.IsGiven(kAttentionBias) || node.IsGiven(kSink))
    return "position_ids, attention_bias or head_sink";
  if (node.IsGiven(kKey) != node.IsGiven(kValue) || !node.IsGiven(kPastKey) || !node.IsGiven(kPastValue))
    return "a node without a KV cache";
  const bool rotary = node.Integer("do_rotary", 0) != 0;
  if (rotary && !(node.IsGiven(kCosines) && node.IsGiven(kSines))) return "a missing table";
  const bool is_reading = ReadsOtherCache(node);
  if (node.inputs() > kAttentionInputs || (!is_reading && node.outputs() != kAttentionOutputs))
    return "more tensors";
  if (is_reading && !node.IsGiven(kKey)) return "packed keys without a KV cache to write";
  if (node.Integer("rotary_interleaved", 0) != 0 || node.Integer("smooth_softmax", 0) > 0 ||
      node.Integer("qk_output", 0) != 0) {
    return "rotary_interleaved, smooth_softmax or qk_output";
  }
  if (node.HasText("k_quant_type") || node.HasText("v_quant_type")) return "a quantized cache";
  return "";
}

}  // namespace slm::own
