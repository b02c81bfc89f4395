// A linear recurrence over a text, one state for each head: gated delta rule (arXiv 2412.06464), and what is
// said in its terms.
#pragma once

#include <cstdint>

#include "kernels/parallel_for.h"

namespace slm::kernels {

// All operands are contiguous, heads first. For each token of a head, with its key k, value v, decay d and
// beta b: state = d * state, then state += k (b * (v - state^T k))^T; the output is state^T query.
struct Recurrence {
  int64_t tokens = 0;
  int64_t heads = 0;
  // Queries that read the state of one head.
  int64_t queries_per_head = 1;
  // Rows of a state, as long as keys and queries.
  int64_t columns = 0;
  // Columns of a state, as long as values.
  int64_t width = 0;
  // Each row fades by itself: decays are [heads, tokens, columns] instead of [heads, tokens].
  bool row_decays = false;
  // [heads * queries_per_head, tokens, columns]
  const float* queries = nullptr;
  // [heads, tokens, columns]
  const float* keys = nullptr;
  // [heads, tokens, width]
  const float* values = nullptr;
  const float* decays = nullptr;
  // [heads, tokens]
  const float* betas = nullptr;
  // [heads, columns, width], of the tokens before and then of all.
  float* states = nullptr;
  // [heads * queries_per_head, tokens, width]
  float* output = nullptr;
};

void Recur(const Recurrence& call, ParallelFor& threads);

}  // namespace slm::kernels
