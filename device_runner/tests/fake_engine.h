// An engine whose next token is known: (sum of all tokens in the cache + their number) mod vocab.
#pragma once

#include <chrono>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"

namespace slm::test {

class FakeEngine final : public Engine {
 public:
  static constexpr int64_t kVocab = 101;

  std::string_view name() const override { return "fake"; }
  std::string version() const override { return "1.2.3"; }
  int interface_version() const override { return 7; }
  Status Open(const EngineOptions& options) override {
    opened_with = options;
    return {};
  }
  std::vector<std::string> providers() const override { return {"FakeProvider"}; }
  Status Load(const EngineOptions&, Stopwatch& watch) override {
    if (failed_attempt_ms > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(failed_attempt_ms));
      watch.Restart();
    }
    return {};
  }
  const ModelFacts& model() const override { return facts; }
  Status Reserve(int64_t kv_length, int64_t max_tokens) override {
    reserved_positions = kv_length;
    reserved_tokens = max_tokens;
    cache.clear();
    checkpoint = -1;
    return {};
  }
  Status TouchStates() override {
    states_are_touched = true;
    return {};
  }
  int64_t RewindsTo(int64_t position) const override {
    if (!keeps_a_fixed_state || position == static_cast<int64_t>(cache.size())) return position;
    return checkpoint >= 0 && checkpoint <= position ? checkpoint : 0;
  }
  Status Rewind(int64_t position) override {
    if (RewindsTo(position) != position) return {ErrorKind::kRunFailed, "cannot go back there"};
    cache.resize(static_cast<size_t>(position));
    if (checkpoint > position) checkpoint = -1;
    ++rewinds;
    return {};
  }
  Status Checkpoint() override {
    checkpoint = static_cast<int64_t>(cache.size());
    return {};
  }
  Status Forward(std::span<const int64_t> tokens) override {
    if (forward_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(forward_ms));
    calls.push_back(tokens.size());
    if (fail_at_call > 0 && calls.size() == fail_at_call) return {ErrorKind::kRunFailed, "told to fail"};
    cache.insert(cache.end(), tokens.begin(), tokens.end());
    longest_cache = std::max(longest_cache, cache.size());
    row.assign(kVocab, nothing_but_nan ? __builtin_nanf("") : 0.0F);
    if (!nothing_but_nan) row[static_cast<size_t>(NextToken(cache))] = 1.0F;
    if (cache.size() == nan_at_length) row[0] = __builtin_nanf("");
    return {};
  }
  std::span<const float> logits() const override { return row; }

  static int64_t NextToken(const std::vector<int64_t>& tokens) {
    return std::accumulate(tokens.begin(), tokens.end(), static_cast<int64_t>(tokens.size())) % kVocab;
  }

  ModelFacts facts{
      .vocab_size = kVocab, .context_length = 100, .layers = 1, .states = {}, .inputs = {}, .outputs = {}};
  EngineOptions opened_with;
  int64_t reserved_positions = 0;
  int64_t reserved_tokens = 0;
  bool states_are_touched = false;
  int rewinds = 0;
  bool keeps_a_fixed_state = false;
  int64_t checkpoint = -1;
  int failed_attempt_ms = 0;
  int forward_ms = 0;
  size_t fail_at_call = 0;
  size_t longest_cache = 0;
  bool nothing_but_nan = false;
  // One logit is none after this many tokens.
  size_t nan_at_length = 0;
  std::vector<size_t> calls;
  std::vector<int64_t> cache;
  std::vector<float> row;
};

}  // namespace slm::test
