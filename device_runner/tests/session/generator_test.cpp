#include "session/generator.h"

#include "tests/check.h"
#include "tests/fake_engine.h"

namespace {

using slm::test::FakeEngine;
using Tokens = std::vector<int64_t>;

const Tokens kPrompt = {7, 8, 9, 10, 11};

Tokens Expected(Tokens tokens, int count) {
  const auto fed = static_cast<std::ptrdiff_t>(tokens.size());
  for (int i = 0; i < count; ++i) tokens.push_back(FakeEngine::NextToken(tokens));
  return {tokens.begin() + fed, tokens.end()};
}

struct Collected final : slm::TokenSink {
  slm::Status Take(int64_t token, int64_t ns) override {
    CHECK(ns >= 0);
    tokens.push_back(token);
    if (stop != nullptr && tokens.size() == stop_after) stop->Request();
    return {};
  }

  Tokens tokens;
  slm::StopSource* stop = nullptr;
  size_t stop_after = 0;
};

struct Loaded {
  FakeEngine engine;
  slm::Session session{engine, Options()};

  Loaded() { CHECK(session.Load().ok()); }
  static slm::SessionOptions Options() {
    slm::SessionOptions options;
    options.prefill_chunk = 3;
    return options;
  }
};

slm::Status Generate(slm::Session& session, const Tokens& prompt, int64_t count, slm::TokenSink& sink,
                     slm::StopToken stop = {}) {
  slm::Generator text(session, stop);
  if (slm::Status status = text.Reserve(20, "the test"); !status.ok()) return status;
  slm::GenerationOptions options;
  options.maximum_tokens = count;
  return text.Generate(prompt, options, sink);
}

TEST(TextsFollowEachOtherInOneSession) {
  Loaded loaded;
  for (const Tokens& prompt : {kPrompt, Tokens{3}, kPrompt}) {
    Collected collected;
    CHECK(Generate(loaded.session, prompt, 4, collected).ok());
    CHECK(collected.tokens == Expected(prompt, 4));
  }
}

TEST(SessionsFollowEachOtherInOneProcess) {
  for (int session = 0; session < 2; ++session) {
    Loaded loaded;
    Collected collected;
    CHECK(Generate(loaded.session, kPrompt, 4, collected).ok());
    CHECK(collected.tokens == Expected(kPrompt, 4));
  }
}

TEST(SessionsStandBesideEachOther) {
  Loaded one;
  Loaded other;
  slm::Generator first(one.session);
  slm::Generator second(other.session);
  CHECK(first.Reserve(20, "the test").ok() && second.Reserve(20, "the test").ok());
  int64_t token = 0;
  CHECK(first.Feed(kPrompt).ok() && second.Feed(Tokens{3}).ok());
  CHECK(first.Greedy(token).ok() && token == FakeEngine::NextToken(kPrompt));
  CHECK(second.Greedy(token).ok() && token == FakeEngine::NextToken({3}));
}

TEST(StoppingInTheMiddleLeavesASessionThatGoesOn) {
  Loaded loaded;
  slm::StopSource stop;
  Collected collected;
  collected.stop = &stop;
  collected.stop_after = 2;
  CHECK(Generate(loaded.session, kPrompt, 10, collected, stop).kind() == slm::ErrorKind::kStopped);
  CHECK(collected.tokens == Expected(kPrompt, 2));
  Collected whole;
  CHECK(Generate(loaded.session, kPrompt, 4, whole).ok());
  CHECK(whole.tokens == Expected(kPrompt, 4));
}

TEST(StoppingEndsAPrefillBetweenTwoChunks) {
  Loaded loaded;
  slm::StopSource stop;
  slm::Generator text(loaded.session, stop);
  CHECK(text.Reserve(20, "the test").ok());
  CHECK(text.Feed(kPrompt).ok());
  stop.Request();
  CHECK(text.Feed(kPrompt).kind() == slm::ErrorKind::kStopped);
  CHECK(text.position() == 5);
}

TEST(RewindingGoesOnFromThere) {
  Loaded loaded;
  slm::Generator text(loaded.session);
  CHECK(text.Reserve(20, "the test").ok());
  CHECK(text.Feed(kPrompt).ok());
  CHECK(text.Rewind(2).ok());
  CHECK(text.position() == 2);
  CHECK(text.Feed(Tokens{50}).ok());
  int64_t token = 0;
  CHECK(text.Greedy(token).ok());
  CHECK(token == FakeEngine::NextToken({7, 8, 50}));
  CHECK(text.Rewind(4).kind() == slm::ErrorKind::kUsage);
  CHECK(text.Rewind(-1).kind() == slm::ErrorKind::kUsage);
  CHECK(text.position() == 3);
}

TEST(StatesOfFixedSizeAreMadeAgainFromTheLastCheckpoint) {
  Loaded loaded;
  loaded.engine.keeps_a_fixed_state = true;
  slm::Generator text(loaded.session);
  CHECK(text.Reserve(20, "the test").ok());
  CHECK(text.Feed(kPrompt).ok());
  loaded.engine.calls.clear();
  // Without one, from the beginning, in chunks.
  CHECK(text.Rewind(4).ok());
  CHECK(text.position() == 4 && loaded.engine.cache == Tokens({7, 8, 9, 10}));
  CHECK(loaded.engine.calls == std::vector<size_t>({3, 1}));
  CHECK(text.Checkpoint().ok());
  CHECK(text.Feed(Tokens{50, 51, 52}).ok());
  loaded.engine.calls.clear();
  CHECK(text.Rewind(6).ok());
  CHECK(loaded.engine.cache == Tokens({7, 8, 9, 10, 50, 51}));
  CHECK(loaded.engine.calls == std::vector<size_t>({2}));
  // Before it; then it is gone, as another text may follow.
  CHECK(text.Rewind(2).ok());
  CHECK(text.Feed(Tokens{60, 61, 62, 63}).ok());
  loaded.engine.calls.clear();
  CHECK(text.Rewind(5).ok());
  CHECK(loaded.engine.cache == Tokens({7, 8, 60, 61, 62}));
  CHECK(loaded.engine.calls == std::vector<size_t>({3, 2}));
}

TEST(StoppingWhileStatesAreMadeAgainLeavesTheTextWhereItGot) {
  Loaded loaded;
  loaded.engine.keeps_a_fixed_state = true;
  slm::StopSource stop;
  slm::Generator text(loaded.session, stop);
  CHECK(text.Reserve(20, "the test").ok());
  CHECK(text.Feed(kPrompt).ok());
  stop.Request();
  CHECK(text.Rewind(4).kind() == slm::ErrorKind::kStopped);
  CHECK(text.position() == 0 && loaded.engine.cache.empty());
}

TEST(OneTextAtATime) {
  Loaded loaded;
  {
    slm::Generator first(loaded.session);
    CHECK(first.Reserve(20, "the test").ok());
    slm::Generator second(loaded.session);
    CHECK(second.Reserve(20, "the test").kind() == slm::ErrorKind::kUsage);
    CHECK(first.Feed(kPrompt).ok());
  }
  slm::Generator next(loaded.session);
  CHECK(next.Reserve(20, "the test").ok());
  CHECK(next.position() == 0);
}

TEST(ASinkThatFailsEndsTheGeneration) {
  struct Full final : slm::TokenSink {
    slm::Status Take(int64_t, int64_t) override { return {slm::ErrorKind::kOutput, "full"}; }
  };
  Loaded loaded;
  Full full;
  CHECK(Generate(loaded.session, kPrompt, 4, full).kind() == slm::ErrorKind::kOutput);
  CHECK(loaded.engine.calls == std::vector<size_t>{3, 2});
}

TEST(SettingsAreCalledWhatTheProgramCallsThem) {
  FakeEngine engine;
  slm::SessionOptions options;
  options.context_length = 101;
  slm::Session plain(engine, options);
  CHECK(plain.Load().message().starts_with("context_length 101 exceeds"));
  options.names.context_length = "--context";
  slm::Session flagged(engine, options);
  CHECK(flagged.Load().message().starts_with("--context 101 exceeds"));
}

}  // namespace
