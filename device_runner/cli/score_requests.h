// The file that mode `score` reads: one request per line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/status.h"

namespace slm {

struct ScoreRequest {
  enum class Kind { kScore, kContinue };

  Kind kind = Kind::kScore;
  // Given by whoever asks; goes into the answer.
  int64_t id = 0;
  std::vector<int64_t> tokens;
  // kScore: index of the first token that is scored, and all after it.
  int64_t first = 0;
  // kContinue: most tokens to generate, those that end it, and several in a row that do.
  int64_t maximum_tokens = 0;
  std::vector<int64_t> stop_tokens;
  std::vector<std::vector<int64_t>> stop_sequences;

  // Positions of the KV cache that it needs.
  int64_t positions() const;
};

// Lines, with words separated by spaces:
//   score ID KEEP FIRST TOKEN...
//   continue ID KEEP MAXIMUM STOPS TOKEN...
// KEEP tokens are those that the request before begins with; the line holds the rest. STOPS is a list with
// commas, of ids and of ids joined by "+", or "-". kUsage says which line is wrong, and how.
Status ReadScoreRequests(const std::string& path, std::vector<ScoreRequest>& requests);

}  // namespace slm
