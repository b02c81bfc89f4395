// Token ids that come from outside a model: synthetic ones and files of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/status.h"

namespace slm {

// The first `count` ids of a fixed pseudo-random sequence over [0, vocab_size).
//
// Knuth's MMIX generator from state 1: state = state * 6364136223846793005 + 1442695040888963407,
// id = (state >> 33) mod vocab_size. A longer sequence starts with the shorter one.
std::vector<int64_t> SyntheticTokens(int64_t count, int64_t vocab_size);

// Whitespace-separated ids.
Status ReadTokenFile(const std::string& path, std::vector<int64_t>& tokens);

// Every id must name a row of the embedding; engines read out of bounds otherwise. `source` is what
// the message says they come from.
Status CheckTokens(const std::vector<int64_t>& tokens, int64_t vocab_size, const std::string& source);

}  // namespace slm
