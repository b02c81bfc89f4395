// How likely a model finds what follows a text; texts that begin alike share what was fed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "session/generator.h"

namespace slm {

struct Scored {
  // Of each token, natural, given all tokens before it.
  std::vector<double> log_probabilities;
  // Whether each was the likeliest one.
  bool greedy = true;
};

// What ends a continuation, and is left out of it.
struct Stops {
  std::span<const int64_t> tokens;
  // Several tokens in a row.
  std::span<const std::vector<int64_t>> sequences;
};

class Scorer {
 public:
  // Room has been reserved for the longest text. Nobody else feeds the generator.
  explicit Scorer(Generator& text) : text_(text) {}

  // Scores tokens[first] and those after it; 1 <= first < tokens.size().
  Status Score(std::span<const int64_t> tokens, size_t first, Scored& scored);
  // Makes the greedy continuation of a prompt, up to `maximum` tokens or one of `stops`.
  Status Continue(std::span<const int64_t> prompt, int64_t maximum, const Stops& stops,
                  std::vector<int64_t>& continuation);

 private:
  // Goes where exactly `context` was fed; row_ holds the logits after it.
  Status StandAfter(std::span<const int64_t> context);

  Generator& text_;
  // The last context that continuations branched off, and the logits after it: continuations of one context
  // come one after the other.
  std::vector<int64_t> context_;
  std::vector<float> row_;
};

}  // namespace slm
