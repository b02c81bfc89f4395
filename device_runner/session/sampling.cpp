#include "session/sampling.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace slm {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();
// Eight floats that the compiler maps to whatever registers the target has.
using Lanes = float __attribute__((vector_size(32)));
constexpr size_t kLanes = sizeof(Lanes) / sizeof(float);
constexpr size_t kSortedAtFirst = 64;

float Largest(std::span<const float> values) {
  // Four independent chains hide the latency of the comparison.
  constexpr size_t kChains = 4;
  Lanes chains[kChains];
  for (Lanes& chain : chains) chain = Lanes{} + kNothing;
  size_t index = 0;
  for (; index + kChains * kLanes <= values.size(); index += kChains * kLanes) {
    for (size_t chain = 0; chain < kChains; ++chain) {
      Lanes next;
      std::memcpy(&next, values.data() + index + chain * kLanes, sizeof(next));
      chains[chain] = next > chains[chain] ? next : chains[chain];
    }
  }
  float largest = kNothing;
  for (; index < values.size(); ++index) largest = values[index] > largest ? values[index] : largest;
  for (const Lanes& chain : chains) {
    for (size_t lane = 0; lane < kLanes; ++lane) largest = chain[lane] > largest ? chain[lane] : largest;
  }
  return largest;
}

bool Likelier(const std::pair<double, int64_t>& left, const std::pair<double, int64_t>& right) {
  return left.first != right.first ? left.first > right.first : left.second < right.second;
}

}  // namespace

int64_t ArgMax(std::span<const float> logits) {
  const float largest = Largest(logits);
  if (largest == kNothing) return -1;
  return std::find(logits.begin(), logits.end(), largest) - logits.begin();
}

int64_t Sampler::Choose(std::span<const float> logits) {
  const int64_t best = ArgMax(logits);
  if (options_.temperature == 0 || best < 0) return best;
  const double largest = logits[static_cast<size_t>(best)];
  // Beside it nothing else has a probability.
  if (largest == -static_cast<double>(kNothing)) return best;

  candidates_.clear();
  for (size_t index = 0; index < logits.size(); ++index) {
    if (logits[index] > kNothing) candidates_.emplace_back(logits[index], static_cast<int64_t>(index));
  }
  if (options_.top_k > 0 && static_cast<size_t>(options_.top_k) < candidates_.size()) {
    const auto cut = candidates_.begin() + static_cast<std::ptrdiff_t>(options_.top_k);
    std::nth_element(candidates_.begin(), cut, candidates_.end(), Likelier);
    candidates_.erase(cut, candidates_.end());
  }
  double total = 0;
  for (auto& [value, index] : candidates_) {
    value = std::exp((value - largest) / options_.temperature);
    total += value;
  }
  sorted_ = 0;
  size_t count = candidates_.size();
  double kept = total;
  if (options_.top_p < 1) {
    count = 0;
    kept = 0;
    while (count < candidates_.size() && (count == 0 || kept < options_.top_p * total)) {
      kept += Likeliest(count++).first;
    }
  }
  double drawn = std::uniform_real_distribution<double>(0, kept)(random_);
  for (size_t candidate = 0; candidate < count; ++candidate) {
    drawn -= Likeliest(candidate).first;
    if (drawn < 0) return candidates_[candidate].second;
  }
  return Likeliest(count - 1).second;
}

// Few are looked at, and a vocabulary takes longer to sort than a small model to run.
const Sampler::Candidate& Sampler::Likeliest(size_t rank) {
  const auto at = [&](size_t index) { return candidates_.begin() + static_cast<std::ptrdiff_t>(index); };
  while (sorted_ <= rank) {
    const size_t until = std::min(candidates_.size(), std::max(kSortedAtFirst, 4 * sorted_));
    if (until < candidates_.size()) {
      std::nth_element(at(sorted_), at(until), candidates_.end(), Likelier);
    }
    std::sort(at(sorted_), at(until), Likelier);
    sorted_ = until;
  }
  return candidates_[rank];
}

}  // namespace slm
