// Choosing the next token.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace slm {

// Index of the largest logit, the lowest one among equals; -1 when none is a number above -inf.
int64_t ArgMax(std::span<const float> logits);

struct SamplingOptions {
  // 0 is greedy.
  double temperature = 0;
  // 0 keeps every token.
  int64_t top_k = 0;
  // Smallest set of most likely tokens whose probabilities sum to this; 1 keeps every token.
  double top_p = 1;
  int64_t seed = 0;
};

// Greedy or sampled choice; the same seed and logits give the same tokens.
class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options)
      : options_(options), random_(static_cast<uint64_t>(options.seed)) {}

  // Index of the chosen token; -1 when no logit is a number above -inf.
  int64_t Choose(std::span<const float> logits);

 private:
  using Candidate = std::pair<double, int64_t>;

  // Sorts as many as are needed.
  const Candidate& Likeliest(size_t rank);

  SamplingOptions options_;
  std::mt19937_64 random_;
  // (logit, index), later (weight, index); kept to be reused. The likeliest `sorted_` of them come first, in
  // their order.
  std::vector<Candidate> candidates_;
  size_t sorted_ = 0;
};

}  // namespace slm
