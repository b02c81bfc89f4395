// Attention of a call's tokens over all keys they see, every head of it, cut for an engine's threads.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/attention/attention.h"
#include "kernels/kernel_set.h"
#include "kernels/parallel_for.h"

namespace slm::kernels {

// A reference to something that writes the query of one token's head: [head_dim], already multiplied with the
// scale of the scores. It must outlive the call that it is passed to.
class QueryRef {
 public:
  template <typename Body>
  QueryRef(const Body& body)
      : body_(&body), call_([](const void* from, int64_t token, int64_t head, float* query) {
          (*static_cast<const Body*>(from))(token, head, query);
        }) {}

  void operator()(int64_t token, int64_t head, float* query) const { call_(body_, token, head, query); }

 private:
  const void* body_;
  void (*call_)(const void*, int64_t, int64_t, float*);
};

struct SequenceAttention {
  int64_t tokens = 0;
  // Keys that exist; the last `tokens` of them are the call's own.
  int64_t length = 0;
  // Query heads h * heads / kv_heads and on share the keys of KV head h, kMaximumAttentionRows at most.
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  // Whether a token sees no keys behind its own.
  bool causal = true;
  // As in AttentionBlock.
  int64_t window = 0;
  float softcap = 0.0F;
  const float* keys = nullptr;
  const float* values = nullptr;
  // Elements from one position to the next, and from one KV head to the next.
  int64_t stride = 0;
  int64_t head_stride = 0;
  // [tokens][bias_stride], added to the scores; null for none. Keys below kHiddenBias are not seen.
  const float* bias = nullptr;
  int64_t bias_stride = 0;
  // [tokens][heads][head_dim]
  float* output = nullptr;

  int64_t past() const { return length - tokens; }
};

// No score is this low.
inline constexpr float kHiddenBias = -1e8F;

// What decoding works in; kept from call to call, so that it allocates nothing.
struct AttentionScratch {
  std::vector<float> floats;
  std::vector<AttentionPart> parts;
};

// Heads of any size; those that are no multiple of kAttentionLanes are copied.
void Attend(const KernelSet& set, ParallelFor& threads, const SequenceAttention& call, QueryRef query,
            AttentionScratch& scratch);

}  // namespace slm::kernels
