#include "session/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "tests/check.h"

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(ArgMaxAgreesWithTheStandardLibraryForEveryLength) {
  std::mt19937 random(3);
  // Few distinct values, so that ties are common: the first one wins.
  std::uniform_int_distribution<int> value(-4, 4);
  for (size_t length = 1; length < 300; ++length) {
    std::vector<float> logits(length);
    for (float& logit : logits) logit = static_cast<float>(value(random));
    CHECK(slm::ArgMax(logits) == std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
}

TEST(ArgMaxFindsAPeakAtEveryPosition) {
  std::vector<float> logits(133, -7.0F);
  for (size_t peak = 0; peak < logits.size(); ++peak) {
    logits[peak] = -6.5F;
    CHECK(slm::ArgMax(logits) == static_cast<int64_t>(peak));
    logits[peak] = -7.0F;
  }
}

TEST(ArgMaxPassesOverNan) {
  std::vector<float> logits(64, kNan);
  CHECK(slm::ArgMax(logits) == -1);
  logits[40] = -3.0F;
  CHECK(slm::ArgMax(logits) == 40);
  CHECK(slm::ArgMax(std::vector<float>(5, -kInfinity)) == -1);
  CHECK(slm::ArgMax({}) == -1);
}

TEST(TemperatureZeroIsGreedy) {
  slm::Sampler sampler({.temperature = 0, .top_k = 2, .top_p = 0.5, .seed = 9});
  for (int i = 0; i < 20; ++i) CHECK(sampler.Choose(std::vector<float>{0.1F, 0.3F, 0.2F}) == 1);
}

TEST(FrequenciesFollowTheSoftmax) {
  const std::vector<float> logits = {0.0F, std::log(2.0F), std::log(5.0F), -kInfinity};
  slm::Sampler sampler({.temperature = 1, .top_k = 0, .top_p = 1, .seed = 1});
  std::map<int64_t, int> counts;
  constexpr int kDraws = 40000;
  for (int i = 0; i < kDraws; ++i) ++counts[sampler.Choose(logits)];
  const double expected[] = {1.0 / 8, 2.0 / 8, 5.0 / 8};
  for (int token = 0; token < 3; ++token) {
    CHECK(std::abs(counts[token] / static_cast<double>(kDraws) - expected[token]) < 0.01);
  }
  CHECK(counts[3] == 0);
}

TEST(TopKAndTopPCutTheTail) {
  const std::vector<float> logits = {std::log(1.0F), std::log(2.0F), std::log(3.0F), std::log(4.0F)};
  slm::Sampler two({.temperature = 1, .top_k = 2, .top_p = 1, .seed = 1});
  // 0.4 alone is short of 0.45, so the next likeliest joins it.
  slm::Sampler half({.temperature = 1, .top_k = 0, .top_p = 0.45, .seed = 1});
  slm::Sampler one({.temperature = 1, .top_k = 0, .top_p = 0, .seed = 1});
  for (int i = 0; i < 200; ++i) {
    CHECK(two.Choose(logits) >= 2);
    CHECK(half.Choose(logits) >= 2);
    CHECK(one.Choose(logits) == 3);
  }
}

TEST(TheSameSeedGivesTheSameTokens) {
  const std::vector<float> logits(50, 0.0F);
  slm::Sampler first({.temperature = 1, .top_k = 0, .top_p = 1, .seed = 5});
  slm::Sampler second({.temperature = 1, .top_k = 0, .top_p = 1, .seed = 5});
  slm::Sampler other({.temperature = 1, .top_k = 0, .top_p = 1, .seed = 6});
  int differing = 0;
  for (int i = 0; i < 20; ++i) {
    const int64_t token = first.Choose(logits);
    CHECK(second.Choose(logits) == token);
    differing += other.Choose(logits) != token;
  }
  CHECK(differing > 0);
}

// What the sampler does, with everything sorted.
int64_t Drawn(const std::vector<float>& logits, const slm::SamplingOptions& options,
              std::mt19937_64& random) {
  std::vector<std::pair<double, int64_t>> all;
  for (size_t index = 0; index < logits.size(); ++index) {
    all.emplace_back(-logits[index], static_cast<int64_t>(index));
  }
  std::sort(all.begin(), all.end());
  if (options.top_k > 0) all.resize(std::min(all.size(), static_cast<size_t>(options.top_k)));
  double total = 0;
  const double best = all[0].first;
  for (auto& [value, index] : all) total += value = std::exp((best - value) / options.temperature);
  size_t count = 0;
  double kept = 0;
  while (count < all.size() && (count == 0 || options.top_p >= 1 || kept < options.top_p * total)) {
    kept += all[count++].first;
  }
  double drawn = std::uniform_real_distribution<double>(0, kept)(random);
  size_t chosen = 0;
  for (; chosen + 1 < count && (drawn -= all[chosen].first) >= 0; ++chosen) {
  }
  return all[chosen].second;
}

TEST(SortingOnlyWhatIsNeededChangesNoToken) {
  std::mt19937 random(11);
  std::normal_distribution<float> value(0, 1);
  for (const size_t vocabulary : {1, 3, 64, 65, 3000}) {
    for (const slm::SamplingOptions& options : std::vector<slm::SamplingOptions>{
             {1, 0, 1, 7}, {5, 0, 0.99, 7}, {0.3, 0, 0.5, 7}, {2, 40, 1, 7}, {2, 100, 0.9, 7}}) {
      slm::Sampler sampler(options);
      std::mt19937_64 own(7);
      for (int step = 0; step < 50; ++step) {
        std::vector<float> logits(vocabulary);
        // With ties.
        for (float& logit : logits) logit = std::round(value(random) * 64) / 16;
        CHECK(sampler.Choose(logits) == Drawn(logits, options, own));
      }
    }
  }
}

TEST(InfinityIsCertain) {
  slm::Sampler sampler({.temperature = 1, .top_k = 0, .top_p = 0.9, .seed = 1});
  for (int i = 0; i < 20; ++i) CHECK(sampler.Choose(std::vector<float>{1, kInfinity, 3}) == 1);
}

}  // namespace
