// Attention of every kernel set against a softmax in double.
#include "kernels/attention/attention.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/kernel_set.h"
#include "tests/check.h"

namespace slm::kernels {
namespace {

struct Problem {
  int64_t head_dim = 64;
  int64_t heads_per_kv_head = 3;
  int64_t past = 0;
  int64_t tokens = 1;
  int64_t window = 0;
  float softcap = 0.0F;
};

size_t Size(int64_t count) { return static_cast<size_t>(count); }

std::vector<float> RandomFloats(int64_t count, float deviation, std::mt19937& random) {
  std::normal_distribution<float> normal(0.0F, deviation);
  std::vector<float> floats(Size(count));
  for (float& value : floats) value = normal(random);
  return floats;
}

double Score(const Problem& problem, const float* query, const float* key) {
  double score = 0;
  for (int64_t at = 0; at < problem.head_dim; ++at)
    score += static_cast<double>(query[at]) * static_cast<double>(key[at]);
  const auto cap = static_cast<double>(problem.softcap);
  return cap > 0 ? cap * std::tanh(score / cap) : score;
}

std::vector<double> Expected(const Problem& problem, const float* query, const float* keys,
                             const float* values, int64_t position) {
  const int64_t oldest = problem.window > 0 ? std::max<int64_t>(position + 1 - problem.window, 0) : 0;
  std::vector<double> scores;
  for (int64_t key = oldest; key <= position; ++key)
    scores.push_back(Score(problem, query, keys + key * problem.head_dim));
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  std::vector<double> result(Size(problem.head_dim));
  for (int64_t key = oldest; key <= position; ++key) {
    const double weight = std::exp(scores[Size(key - oldest)] - largest);
    sum += weight;
    for (int64_t at = 0; at < problem.head_dim; ++at) {
      result[Size(at)] += weight * static_cast<double>(values[key * problem.head_dim + at]);
    }
  }
  for (double& value : result) value /= sum;
  return result;
}

// Outputs are means of values near 1, so this is some roundings of their own; and a rounding of a
// score, relative to the score, is one of the weight, relative to 1. Without fused multiply-add, 1.5e-7.
constexpr double kTolerance = 3e-6;
constexpr double kTolerancePerScore = 4e-7;

bool Matches(const KernelSet& set, const Problem& problem, float query_deviation) {
  std::mt19937 random(static_cast<uint32_t>(problem.past * 7 + problem.tokens));
  const int64_t used = problem.tokens * problem.heads_per_kv_head;
  const int64_t rows = (used + kAttentionRows - 1) / kAttentionRows * kAttentionRows;
  const int64_t length = problem.past + problem.tokens;
  const std::vector<float> queries = RandomFloats(rows * problem.head_dim, query_deviation, random);
  const std::vector<float> keys = RandomFloats(length * problem.head_dim, 1.0F, random);
  const std::vector<float> values = RandomFloats(length * problem.head_dim, 1.0F, random);
  std::vector<float> workspace(Size(kAttentionWorkspaceRows * problem.head_dim), NAN);
  std::vector<float> output(Size(rows * problem.head_dim), NAN);
  AttentionBlock block;
  block.rows = rows;
  block.rows_per_position = problem.heads_per_kv_head;
  block.first_position = problem.past;
  block.last_position = length - 1;
  block.head_dim = problem.head_dim;
  block.window = problem.window;
  block.softcap = problem.softcap;
  block.queries = queries.data();
  block.keys = keys.data();
  block.values = values.data();
  block.workspace = workspace.data();
  block.output = output.data();
  set.attend(block);
  double largest_score = 0;
  for (int64_t row = 0; row < used; ++row) {
    for (int64_t key = 0; key < length; ++key) {
      const double score =
          Score(problem, queries.data() + row * problem.head_dim, keys.data() + key * problem.head_dim);
      largest_score = std::max(largest_score, std::fabs(score));
    }
  }
  const double tolerance = kTolerance + kTolerancePerScore * largest_score;
  for (int64_t row = 0; row < used; ++row) {
    const std::vector<double> expected =
        Expected(problem, queries.data() + row * problem.head_dim, keys.data(), values.data(),
                 problem.past + row / problem.heads_per_kv_head);
    for (int64_t at = 0; at < problem.head_dim; ++at) {
      const double difference =
          static_cast<double>(output[Size(row * problem.head_dim + at)]) - expected[Size(at)];
      if (!(std::fabs(difference) <= tolerance)) {
        std::fprintf(stderr, "%s: head_dim %ld past %ld tokens %ld row %ld: off by %g\n", set.name,
                     static_cast<long>(problem.head_dim), static_cast<long>(problem.past),
                     static_cast<long>(problem.tokens), static_cast<long>(row), difference);
        return false;
      }
    }
  }
  return true;
}

TEST(AttentionMatchesADoubleReferenceAtEveryLength) {
  for (const KernelSet* set : AvailableKernels()) {
    for (const int64_t past : {0, 1, 15, 63, 64, 200}) {
      for (const int64_t tokens : {1, 2, 21, 64}) {
        CHECK(Matches(*set, {.past = past, .tokens = tokens}, 0.2F));
        CHECK(Matches(*set, {.past = past, .tokens = tokens, .window = 37, .softcap = 5.0F}, 0.2F));
      }
    }
  }
}

TEST(AttentionTakesEveryHeadSize) {
  for (const KernelSet* set : AvailableKernels()) {
    for (const int64_t head_dim : {16, 32, 80, 96, 128, 256}) {
      CHECK(Matches(*set, {.head_dim = head_dim, .heads_per_kv_head = 1, .past = 70, .tokens = 9}, 0.1F));
      CHECK(Matches(*set, {.head_dim = head_dim, .heads_per_kv_head = 4, .past = 70, .tokens = 1}, 0.1F));
    }
  }
}

// Scores of several hundred: all weight goes to one key, and no power may overflow.
TEST(AttentionSurvivesLargeScores) {
  for (const KernelSet* set : AvailableKernels()) CHECK(Matches(*set, {.past = 100, .tokens = 30}, 10.0F));
}

TEST(AttentionWithAWindowOfOneSeesItselfOnly) {
  for (const KernelSet* set : AvailableKernels())
    CHECK(Matches(*set, {.past = 128, .tokens = 30, .window = 1}, 0.2F));
}

// One token, its keys cut into `count` parts as evenly as they go.
bool MatchesInParts(const KernelSet& set, const Problem& problem, int64_t count, float query_deviation) {
  std::mt19937 random(static_cast<uint32_t>(problem.past * 7 + count));
  const int64_t rows = problem.heads_per_kv_head;
  const int64_t dim = problem.head_dim;
  const int64_t length = problem.past + 1;
  const std::vector<float> queries = RandomFloats(rows * dim, query_deviation, random);
  const std::vector<float> keys = RandomFloats(length * dim, 1.0F, random);
  const std::vector<float> values = RandomFloats(length * dim, 1.0F, random);
  const int64_t oldest = problem.window > 0 ? std::max<int64_t>(length - problem.window, 0) : 0;
  const int64_t part_floats = rows * (dim + 2);
  std::vector<float> results(Size(count * part_floats), NAN);
  std::vector<AttentionPart> parts;
  for (int64_t index = 0; index < count; ++index) {
    float* result = results.data() + index * part_floats;
    parts.push_back({.rows = rows,
                     .head_dim = dim,
                     .first_key = oldest + (length - oldest) * index / count,
                     .end_key = oldest + (length - oldest) * (index + 1) / count,
                     .softcap = problem.softcap,
                     .queries = queries.data(),
                     .keys = keys.data(),
                     .values = values.data(),
                     .largest = result + rows * dim,
                     .sums = result + rows * (dim + 1),
                     .output = result});
    set.attend_part(parts.back());
  }
  std::vector<float> output(Size(rows * dim), NAN);
  MergeParts(parts, output.data());
  for (int64_t row = 0; row < rows; ++row) {
    const float* query = queries.data() + row * dim;
    double largest_score = 0;
    for (int64_t key = 0; key < length; ++key) {
      largest_score = std::max(largest_score, std::fabs(Score(problem, query, keys.data() + key * dim)));
    }
    const std::vector<double> expected = Expected(problem, query, keys.data(), values.data(), problem.past);
    for (int64_t at = 0; at < dim; ++at) {
      const double difference = static_cast<double>(output[Size(row * dim + at)]) - expected[Size(at)];
      if (!(std::fabs(difference) <= kTolerance + kTolerancePerScore * largest_score)) {
        std::fprintf(stderr, "%s: head_dim %ld past %ld rows %ld parts %ld: off by %g\n", set.name,
                     static_cast<long>(dim), static_cast<long>(problem.past), static_cast<long>(rows),
                     static_cast<long>(count), difference);
        return false;
      }
    }
  }
  return true;
}

TEST(AttentionInPartsMatchesADoubleReferenceAtEveryLength) {
  for (const KernelSet* set : AvailableKernels()) {
    for (const int64_t past : {0, 1, 3, 15, 16, 63, 64, 200, 639}) {
      for (const int64_t count : {1, 2, 5}) {
        if (count > past + 1) continue;
        CHECK(MatchesInParts(*set, {.past = past}, count, 0.2F));
        CHECK(MatchesInParts(*set, {.past = past, .softcap = 5.0F}, count, 0.2F));
        CHECK(MatchesInParts(*set, {.past = past, .window = 37, .softcap = 5.0F}, count, 0.2F));
        CHECK(MatchesInParts(*set, {.past = past, .window = 129}, count, 0.2F));
      }
    }
  }
}

TEST(AttentionInPartsTakesEveryHeadSizeAndGroup) {
  for (const KernelSet* set : AvailableKernels()) {
    for (const int64_t head_dim : {16, 32, 80, 96, 128, 256}) {
      for (const int64_t rows : {1, 2, 3, 4, 7, 8}) {
        CHECK(MatchesInParts(*set, {.head_dim = head_dim, .heads_per_kv_head = rows, .past = 140}, 3, 0.1F));
      }
    }
  }
}

// The largest score of most parts is far below that of another: their share must vanish, not overflow.
TEST(AttentionInPartsSurvivesLargeScores) {
  for (const KernelSet* set : AvailableKernels()) CHECK(MatchesInParts(*set, {.past = 300}, 4, 10.0F));
}

}  // namespace
}  // namespace slm::kernels
