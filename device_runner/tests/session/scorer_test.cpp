#include "session/scorer.h"

#include <cmath>

#include "tests/check.h"
#include "tests/fake_engine.h"

namespace {

using slm::test::FakeEngine;
using Tokens = std::vector<int64_t>;

const Tokens kContext = {7, 8, 9, 10, 11};
// One logit is 1, the others 0.
const double kLikeliest = 1 - std::log(std::exp(1.0) + FakeEngine::kVocab - 1);
const double kOther = -std::log(std::exp(1.0) + FakeEngine::kVocab - 1);

Tokens With(Tokens tokens, const Tokens& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
  return tokens;
}

bool Near(double one, double other) { return std::abs(one - other) < 1e-6; }

struct Loaded {
  FakeEngine engine;
  slm::Session session{engine, {}};
  slm::Generator text{session};
  slm::Scorer scorer{text};

  Loaded() { CHECK(session.Load().ok() && text.Reserve(40, "the test").ok()); }
  slm::Scored Score(const Tokens& tokens, size_t first) {
    slm::Scored scored;
    CHECK(scorer.Score(tokens, first, scored).ok());
    return scored;
  }
};

TEST(LogProbabilitiesAreThoseOfEachTokenAfterAllBeforeIt) {
  Loaded loaded;
  const int64_t likely = FakeEngine::NextToken(kContext);
  const slm::Scored scored = loaded.Score(With(kContext, {likely, 3}), 5);
  CHECK(scored.log_probabilities.size() == 2);
  CHECK(Near(scored.log_probabilities[0], kLikeliest));
  CHECK(Near(scored.log_probabilities[1], kOther));
  CHECK(!scored.greedy);
  CHECK(loaded.Score(With(kContext, {likely}), 5).greedy);
}

TEST(ChoicesOfOneContextFeedItOnce) {
  Loaded loaded;
  loaded.Score(With(kContext, {1, 2, 3}), 5);
  CHECK(loaded.engine.calls == std::vector<size_t>({5, 1, 1}));
  loaded.engine.calls.clear();
  // Of one token: nothing is fed at all.
  loaded.Score(With(kContext, {4}), 5);
  loaded.Score(With(kContext, {5}), 5);
  CHECK(loaded.engine.calls.empty());
  const slm::Scored scored = loaded.Score(With(kContext, {6, FakeEngine::NextToken(With(kContext, {6}))}), 5);
  CHECK(loaded.engine.calls == std::vector<size_t>({1}));
  CHECK(Near(scored.log_probabilities[1], kLikeliest));
}

TEST(TextsThatBeginAlikeShareWhatWasFed) {
  Loaded loaded;
  loaded.Score(With(kContext, {1, 2}), 5);
  loaded.engine.calls.clear();
  const Tokens other = {7, 8, 9, 60, 61};
  const slm::Scored scored = loaded.Score(With(other, {FakeEngine::NextToken(other)}), 5);
  CHECK(scored.greedy);
  CHECK(loaded.engine.calls == std::vector<size_t>({2}));
  // A context that is the beginning of what was fed needs its last token again, for the logits.
  loaded.engine.calls.clear();
  CHECK(loaded.Score({7, 8, 9, FakeEngine::NextToken({7, 8, 9})}, 3).greedy);
  CHECK(loaded.engine.calls == std::vector<size_t>({1}));
}

TEST(StatesOfFixedSizeAreTakenUpAtTheContext) {
  Loaded loaded;
  loaded.engine.keeps_a_fixed_state = true;
  loaded.Score(With(kContext, {1, 2, 3}), 5);
  loaded.engine.calls.clear();
  const Tokens choice = With(kContext, {6});
  CHECK(loaded.Score(With(choice, {FakeEngine::NextToken(choice)}), 5).log_probabilities.size() == 2);
  CHECK(loaded.engine.calls == std::vector<size_t>({1}));
  CHECK(loaded.engine.cache == choice);
  const Tokens other = {7, 8, 60};
  CHECK(loaded.Score(With(other, {FakeEngine::NextToken(other)}), 3).greedy);
  CHECK(loaded.engine.cache == other);
}

TEST(AnswersDoNotDependOnWhatWasAskedBefore) {
  const std::vector<std::pair<Tokens, size_t>> asked = {{{1, 2, 3, 4}, 2}, {{1, 2, 3, 4}, 3}, {{1, 2, 5}, 2},
                                                        {{1, 9}, 1},       {{1, 2, 3, 4}, 2}, {{2, 2}, 1}};
  Loaded together;
  for (const auto& [tokens, first] : asked) {
    Loaded alone;
    CHECK(together.Score(tokens, first).log_probabilities == alone.Score(tokens, first).log_probabilities);
  }
}

TEST(ContinuesGreedilyUpToAStopToken) {
  Loaded loaded;
  Tokens expected = kContext;
  for (int count = 0; count < 4; ++count) expected.push_back(FakeEngine::NextToken(expected));
  const Tokens wanted(expected.begin() + 5, expected.end());
  Tokens continuation;
  CHECK(loaded.scorer.Continue(kContext, 4, {}, continuation).ok());
  CHECK(continuation == wanted);
  Tokens stopped;
  const Tokens stop = {wanted[2]};
  CHECK(loaded.scorer.Continue(kContext, 4, {stop, {}}, stopped).ok());
  CHECK(stopped == Tokens({wanted[0], wanted[1]}));
}

TEST(SeveralTokensInARowEndAContinuation) {
  Loaded loaded;
  Tokens text = kContext;
  for (int count = 0; count < 4; ++count) text.push_back(FakeEngine::NextToken(text));
  const Tokens wanted(text.begin() + 5, text.end());
  const std::vector<Tokens> stops = {{99, wanted[1]}, {wanted[1], wanted[2]}};
  Tokens stopped;
  CHECK(loaded.scorer.Continue(kContext, 4, {{}, stops}, stopped).ok());
  CHECK(stopped == Tokens({wanted[0]}));
  // The prompt is no part of it.
  const std::vector<Tokens> across = {{kContext.back(), wanted[0]}};
  CHECK(loaded.scorer.Continue(kContext, 4, {{}, across}, stopped).ok());
  CHECK(stopped == wanted);
}

TEST(LogitsThatAreNoNumbersAreAnError) {
  Loaded loaded;
  loaded.engine.nothing_but_nan = true;
  slm::Scored scored;
  CHECK(loaded.scorer.Score(kContext, 4, scored).kind() == slm::ErrorKind::kRunFailed);
  Tokens continuation;
  CHECK(loaded.scorer.Continue(kContext, 4, {}, continuation).kind() == slm::ErrorKind::kRunFailed);
}

TEST(OneLogitThatIsNoNumberIsAnError) {
  // After the context, and after the second token of a continuation.
  for (const size_t length : {kContext.size(), kContext.size() + 2}) {
    Loaded loaded;
    loaded.engine.nan_at_length = length;
    slm::Scored scored;
    const Tokens whole = With(kContext, {1, 2, 3});
    CHECK(loaded.scorer.Score(whole, kContext.size(), scored).kind() == slm::ErrorKind::kRunFailed);
    Tokens continuation;
    CHECK(loaded.scorer.Continue(kContext, 4, {}, continuation).kind() == slm::ErrorKind::kRunFailed);
    // What ends before is not touched by it.
    CHECK(loaded.scorer.Continue(Tokens(kContext.begin(), kContext.begin() + 3), 1, {}, continuation).ok());
  }
}

}  // namespace
