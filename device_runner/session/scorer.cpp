#include "session/scorer.h"

#include <algorithm>
#include <cmath>

namespace slm {
namespace {

Status NoNumber() { return {ErrorKind::kRunFailed, "the logits hold no number"}; }

// Adds one token's log-probability.
Status Judge(std::span<const float> logits, int64_t token, Scored& scored) {
  const int64_t likeliest = ArgMax(logits);
  if (likeliest < 0) return NoNumber();
  const double largest = logits[static_cast<size_t>(likeliest)];
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  // One NaN or an infinite logit is enough to make the sum none.
  if (!std::isfinite(sum)) return NoNumber();
  scored.log_probabilities.push_back(logits[static_cast<size_t>(token)] - largest - std::log(sum));
  scored.greedy = scored.greedy && token == likeliest;
  return {};
}

// Finding the largest passes over what is no number, and nobody would see the fault. Without a branch the
// compiler takes several at a time.
bool HoldsNan(std::span<const float> logits) {
  bool found = false;
  for (const float logit : logits) found |= std::isnan(logit);
  return found;
}

// Takes a stop sequence off the end, if there is one.
bool CutSequence(std::span<const std::vector<int64_t>> sequences, std::vector<int64_t>& continuation) {
  for (const std::vector<int64_t>& sequence : sequences) {
    if (sequence.size() <= continuation.size() &&
        std::equal(sequence.rbegin(), sequence.rend(), continuation.rbegin())) {
      continuation.resize(continuation.size() - sequence.size());
      return true;
    }
  }
  return false;
}

}  // namespace

Status Scorer::StandAfter(std::span<const int64_t> context) {
  const auto length = static_cast<int64_t>(context.size());
  if (std::equal(context.begin(), context.end(), context_.begin(), context_.end())) {
    return text_.Rewind(length);
  }
  const std::span<const int64_t> fed = text_.fed();
  const auto parting = std::mismatch(context.begin(), context.end(), fed.begin(), fed.end()).first;
  // The last token is fed in any case: it brings the logits.
  const auto kept = std::min<int64_t>(parting - context.begin(), length - 1);
  context_.clear();
  if (Status status = text_.Rewind(kept); !status.ok()) return status;
  if (Status status = text_.Feed(context.subspan(static_cast<size_t>(kept))); !status.ok()) return status;
  if (Status status = text_.Checkpoint(); !status.ok()) return status;
  row_.assign(text_.logits().begin(), text_.logits().end());
  context_.assign(context.begin(), context.end());
  return {};
}

Status Scorer::Score(std::span<const int64_t> tokens, size_t first, Scored& scored) {
  scored = {};
  if (Status status = StandAfter(tokens.first(first)); !status.ok()) return status;
  std::span<const float> logits = row_;
  for (size_t index = first;; ++index) {
    if (Status status = Judge(logits, tokens[index], scored); !status.ok()) return status;
    if (index + 1 == tokens.size()) return {};
    if (Status status = text_.Feed(tokens.subspan(index, 1)); !status.ok()) return status;
    logits = text_.logits();
  }
}

Status Scorer::Continue(std::span<const int64_t> prompt, int64_t maximum, const Stops& stops,
                        std::vector<int64_t>& continuation) {
  continuation.clear();
  if (Status status = StandAfter(prompt); !status.ok()) return status;
  std::span<const float> logits = row_;
  for (int64_t count = 0; count < maximum; ++count) {
    if (count > 0) {
      if (Status status = text_.Feed({&continuation.back(), 1}); !status.ok()) return status;
      logits = text_.logits();
    }
    const int64_t token = ArgMax(logits);
    if (token < 0 || HoldsNan(logits)) return NoNumber();
    if (std::find(stops.tokens.begin(), stops.tokens.end(), token) != stops.tokens.end()) return {};
    continuation.push_back(token);
    if (CutSequence(stops.sequences, continuation)) return {};
  }
  return {};
}

}  // namespace slm
