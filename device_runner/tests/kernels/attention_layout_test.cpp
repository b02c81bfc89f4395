// Keys that lie between those of other heads, and a bias in the place of a window: what ExecuTorch's caches
// and masks look like. The same problem in the plain layout says what is right.
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "kernels/attention/attention.h"
#include "kernels/attention/decode_attention.h"
#include "kernels/kernel_set.h"
#include "tests/check.h"

namespace slm::kernels {
namespace {

constexpr int64_t kHeadDim = 48;
constexpr int64_t kPast = 90;
constexpr int64_t kTokens = 8;
constexpr int64_t kLength = kPast + kTokens;
constexpr int64_t kWindow = 37;
constexpr int64_t kInterleaved = 3;

size_t Size(int64_t count) { return static_cast<size_t>(count); }

std::vector<float> RandomFloats(int64_t count, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> floats(Size(count));
  for (float& value : floats) value = normal(random);
  return floats;
}

// Every position's row, followed by numbers that nobody may read.
std::vector<float> Interleave(const std::vector<float>& rows) {
  std::vector<float> spread(rows.size() * Size(kInterleaved), NAN);
  for (int64_t position = 0; position < kLength; ++position) {
    for (int64_t at = 0; at < kHeadDim; ++at) {
      spread[Size(position * kInterleaved * kHeadDim + at)] = rows[Size(position * kHeadDim + at)];
    }
  }
  return spread;
}

std::vector<float> WindowAsBias(int64_t stride) {
  std::vector<float> bias(Size(kTokens * stride), NAN);
  for (int64_t token = 0; token < kTokens; ++token) {
    for (int64_t key = 0; key < kLength; ++key) {
      const int64_t distance = kPast + token - key;
      bias[Size(token * stride + key)] = distance >= 0 && distance < kWindow ? 0.0F : -1e9F;
    }
  }
  return bias;
}

std::vector<float> Attended(const KernelSet& set, AttentionBlock block) {
  std::vector<float> workspace(Size(kAttentionWorkspaceRows * kHeadDim), NAN);
  std::vector<float> output(Size(block.rows * kHeadDim), NAN);
  block.workspace = workspace.data();
  block.output = output.data();
  set.attend(block);
  return output;
}

TEST(StridesAndBiasesEqualThePlainLayoutWithAWindow) {
  std::mt19937 random(1);
  for (const int64_t heads : {1, 2, 3}) {
    const int64_t rows = (kTokens * heads + kAttentionRows - 1) / kAttentionRows * kAttentionRows;
    const std::vector<float> queries = RandomFloats(rows * kHeadDim, random);
    const std::vector<float> keys = RandomFloats(kLength * kHeadDim, random);
    const std::vector<float> values = RandomFloats(kLength * kHeadDim, random);
    AttentionBlock plain;
    plain.rows = rows;
    plain.rows_per_position = heads;
    plain.first_position = kPast;
    plain.last_position = kLength - 1;
    plain.head_dim = kHeadDim;
    plain.window = kWindow;
    plain.queries = queries.data();
    plain.keys = keys.data();
    plain.values = values.data();

    const std::vector<float> spread_keys = Interleave(keys);
    const std::vector<float> spread_values = Interleave(values);
    const std::vector<float> bias = WindowAsBias(kLength + 5);
    AttentionBlock spread = plain;
    spread.window = 0;
    // Without the bias every row would see everything.
    spread.first_position = spread.last_position;
    spread.keys = spread_keys.data();
    spread.values = spread_values.data();
    spread.stride = kInterleaved * kHeadDim;
    spread.bias = bias.data();
    spread.bias_rows = kTokens;
    spread.bias_stride = kLength + 5;
    for (const KernelSet* set : AvailableKernels()) {
      const std::vector<float> expected = Attended(*set, plain);
      const std::vector<float> actual = Attended(*set, spread);
      for (size_t at = 0; at < Size(kTokens * heads * kHeadDim); ++at)
        CHECK(std::fabs(actual[at] - expected[at]) <= 2e-6F);
    }
  }
}

std::vector<float> AttendedInParts(const KernelSet& set, const DecodeAttention& step, int64_t threads) {
  const int64_t per_head = PartsPerHead(step, threads);
  std::vector<float> results(Size(PartsFloats(step, per_head)), NAN);
  std::vector<AttentionPart> parts(Size(step.kv_heads * per_head));
  CutIntoParts(step, per_head, results.data(), parts.data());
  for (const AttentionPart& part : parts) set.attend_part(part);
  std::vector<float> output(Size(step.heads * step.head_dim), NAN);
  MergeHeads(step, per_head, parts.data(), output.data());
  return output;
}

// KV heads whose rows lie side by side, as in ExecuTorch's cache, against each KV head on its own.
TEST(OnePositionAttendsInterleavedHeadsAlikeWithAnyNumberOfThreads) {
  constexpr int64_t kGroup = 3;
  std::mt19937 random(5);
  const int64_t row = kInterleaved * kHeadDim;
  const std::vector<float> queries = RandomFloats(kGroup * row, random);
  const std::vector<float> keys = RandomFloats(400 * row, random);
  const std::vector<float> values = RandomFloats(400 * row, random);
  for (const KernelSet* set : AvailableKernels()) {
    for (const auto& [first, end] : {std::pair<int64_t, int64_t>{0, 1}, {0, 65}, {17, 130}, {0, 400}}) {
      DecodeAttention step;
      step.heads = kGroup * kInterleaved;
      step.kv_heads = kInterleaved;
      step.head_dim = kHeadDim;
      step.first_key = first;
      step.end_key = end;
      step.queries = queries.data();
      step.keys = keys.data();
      step.values = values.data();
      step.stride = row;
      step.head_stride = kHeadDim;
      std::vector<float> expected;
      for (int64_t head = 0; head < kInterleaved; ++head) {
        DecodeAttention alone = step;
        alone.heads = kGroup;
        alone.kv_heads = 1;
        alone.queries += head * kGroup * kHeadDim;
        alone.keys += head * kHeadDim;
        alone.values += head * kHeadDim;
        const std::vector<float> part = AttendedInParts(*set, alone, 1);
        expected.insert(expected.end(), part.begin(), part.end());
      }
      for (const int64_t threads : {1, 2, 4, 8}) {
        const std::vector<float> output = AttendedInParts(*set, step, threads);
        for (size_t at = 0; at < output.size(); ++at) CHECK(std::fabs(output[at] - expected[at]) < 1e-5F);
      }
    }
  }
}

TEST(PartsDivideEvenlyAmongThreadsAndHaveEnoughKeys) {
  DecodeAttention step;
  for (step.kv_heads = 1; step.kv_heads <= 9; ++step.kv_heads) {
    for (const int64_t threads : {2, 3, 4, 8}) {
      step.end_key = 4096;
      CHECK(step.kv_heads * PartsPerHead(step, threads) % threads == 0);
      step.end_key = 100;
      CHECK(PartsPerHead(step, threads) == 1);
    }
    CHECK(PartsPerHead(step, 1) == 1);
  }
}

}  // namespace
}  // namespace slm::kernels
