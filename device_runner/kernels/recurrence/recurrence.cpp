#include "kernels/recurrence/recurrence.h"

#include <algorithm>
#include <vector>

namespace slm::kernels {
namespace {

// Grows once per thread and is kept, so that decoding allocates nothing.
float* Scratch(int64_t size) {
  thread_local std::vector<float> scratch;
  if (scratch.size() < static_cast<size_t>(size)) scratch.resize(static_cast<size_t>(size));
  return scratch.data();
}

void Step(const Recurrence& call, int64_t head, int64_t token, float* added) {
  const int64_t width = call.width;
  const int64_t at = head * call.tokens + token;
  const float* key = call.keys + at * call.columns;
  const float* value = call.values + at * width;
  float* state = call.states + head * call.columns * width;
  std::fill(added, added + width, 0.0F);
  for (int64_t row = 0; row < call.columns; ++row) {
    const float decay = call.row_decays ? call.decays[at * call.columns + row] : call.decays[at];
    float* kept = state + row * width;
    for (int64_t column = 0; column < width; ++column) {
      kept[column] *= decay;
      added[column] += key[row] * kept[column];
    }
  }
  for (int64_t column = 0; column < width; ++column) {
    added[column] = (value[column] - added[column]) * call.betas[at];
  }
  for (int64_t row = 0; row < call.columns; ++row) {
    float* kept = state + row * width;
    for (int64_t column = 0; column < width; ++column) kept[column] += key[row] * added[column];
  }
  for (int64_t reader = 0; reader < call.queries_per_head; ++reader) {
    const int64_t place = (head * call.queries_per_head + reader) * call.tokens + token;
    const float* query = call.queries + place * call.columns;
    float* output = call.output + place * width;
    std::fill(output, output + width, 0.0F);
    for (int64_t row = 0; row < call.columns; ++row) {
      const float* kept = state + row * width;
      for (int64_t column = 0; column < width; ++column) output[column] += query[row] * kept[column];
    }
  }
}

}  // namespace

void Recur(const Recurrence& call, ParallelFor& threads) {
  // Some recurrences have a head for each channel: several make a task.
  const int64_t tasks = std::min<int64_t>(call.heads, int64_t{4} * threads.threads());
  threads.Run(tasks, [&](int64_t task) {
    float* added = Scratch(call.width);
    for (int64_t head = call.heads * task / tasks; head < call.heads * (task + 1) / tasks; ++head) {
      for (int64_t token = 0; token < call.tokens; ++token) Step(call, head, token, added);
    }
  });
}

}  // namespace slm::kernels
