// What a node asks for, and whether the runner's kernels cover that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernels/matmul/weights.h"

namespace slm::own {

// Told by the engine while it makes the node's kernel, or by the model's file before the engine reads it.
class NodeFacts {
 public:
  virtual ~NodeFacts() = default;
  // An attribute's value; `otherwise` where the node leaves it out.
  virtual int64_t Integer(const char* attribute, int64_t otherwise) const = 0;
  virtual bool HasText(const char* attribute) const = 0;
  virtual bool IsGiven(size_t input) const = 0;
  virtual size_t inputs() const = 0;
  virtual size_t outputs() const = 0;
};

// Inputs of com.microsoft::MatMulNBits.
enum MatMulInput : size_t {
  kActivations,
  kQuantized,
  kScales,
  kZeroPoints,
  kGroupIndex,
  kMatMulBias,
  kMatMulInputs
};

// Inputs and outputs of com.microsoft::GroupQueryAttention.
enum AttentionInput : size_t {
  kQuery,
  kKey,
  kValue,
  kPastKey,
  kPastValue,
  kLastPosition,
  kTotalLength,
  kCosines,
  kSines,
  kPositions,
  kAttentionBias,
  kSink,
  kAttentionInputs
};
enum AttentionOutput : size_t { kAttended, kPresentKey, kPresentValue, kAttentionOutputs };

// How the node's weights are laid out, as its attributes say.
kernels::WeightLayout LayoutOf(const NodeFacts& node);

// What of the node the kernels do not cover; empty where they cover it.
std::string_view MatMulNotCovered(const NodeFacts& node);
std::string_view AttentionNotCovered(const NodeFacts& node);

// Whether an attention appends nothing: it reads what another node has written.
bool ReadsOtherCache(const NodeFacts& node);

}  // namespace slm::own
