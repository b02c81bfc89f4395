// What a real engine must be able to do as a library; one program per engine, run by the Python tests.
//   PROGRAM MODEL ENGINE_LIBRARY COUNT < tokens
// Prints one line of greedy tokens per text: twice in one session, stopped in the middle, taken up again by
// rewinding and from a checkpoint, and all of it once more in a second session of the same process.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "session/generator.h"

namespace slm::test {

inline void Require(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.message().c_str());
  std::exit(1);
}

// Prints tokens, and asks for the end after `stop_after` of them.
class PrintedTokens final : public TokenSink {
 public:
  explicit PrintedTokens(size_t stop_after = 0) : stop_after_(stop_after) {}
  ~PrintedTokens() override { std::printf("\n"); }

  Status Take(int64_t token, int64_t) override {
    std::printf("%lld ", static_cast<long long>(token));
    tokens.push_back(token);
    if (tokens.size() == stop_after_) stop.Request();
    return {};
  }

  std::vector<int64_t> tokens;
  StopSource stop;

 private:
  size_t stop_after_;
};

inline void WriteText(Session& session, const std::vector<int64_t>& prompt, int64_t count) {
  PrintedTokens sink;
  Generator text(session);
  Require(text.Reserve(static_cast<int64_t>(prompt.size()) + count, "the text"));
  GenerationOptions options;
  options.maximum_tokens = count;
  Require(text.Generate(prompt, options, sink));
}

inline void WriteStoppedText(Session& session, const std::vector<int64_t>& prompt, int64_t count) {
  PrintedTokens sink(2);
  Generator text(session, sink.stop);
  Require(text.Reserve(static_cast<int64_t>(prompt.size()) + count, "the text"));
  GenerationOptions options;
  options.maximum_tokens = count;
  if (text.Generate(prompt, options, sink).kind() != ErrorKind::kStopped) std::exit(3);
}

// The prompt's last token is fed, forgotten and fed again, the rest as ever.
inline void WriteRewoundText(Session& session, const std::vector<int64_t>& prompt, int64_t count) {
  PrintedTokens sink;
  Generator text(session);
  const auto fed = static_cast<int64_t>(prompt.size());
  Require(text.Reserve(fed + count, "the text"));
  Require(text.Feed(prompt));
  Require(text.Feed({prompt.data(), 1}));
  Require(text.Rewind(fed - 1));
  GenerationOptions options;
  options.maximum_tokens = count;
  Require(text.Generate({&prompt.back(), 1}, options, sink));
}

// The same by a checkpoint before the prompt's last token.
inline void WriteTextFromACheckpoint(Session& session, const std::vector<int64_t>& prompt, int64_t count) {
  PrintedTokens sink;
  Generator text(session);
  const auto fed = static_cast<int64_t>(prompt.size());
  Require(text.Reserve(fed + count, "the text"));
  Require(text.Feed({prompt.data(), prompt.size() - 1}));
  Require(text.Checkpoint());
  Require(text.Feed({prompt.data(), 2}));
  Require(text.Rewind(fed - 1));
  GenerationOptions options;
  options.maximum_tokens = count;
  Require(text.Generate({&prompt.back(), 1}, options, sink));
}

template <typename Engine>
int WriteTexts(int argc, char** argv) {
  if (argc != 4) return 2;
  const int64_t count = std::atoll(argv[3]);
  std::vector<int64_t> prompt;
  for (long long token = 0; std::scanf("%lld", &token) == 1;) prompt.push_back(token);
  SessionOptions options;
  options.model = argv[1];
  options.engine_library = argv[2];
  for (int session_index = 0; session_index < 2; ++session_index) {
    Engine engine;
    Session session(engine, options);
    Require(session.Load());
    WriteText(session, prompt, count);
    WriteText(session, prompt, count);
    WriteStoppedText(session, prompt, count);
    WriteRewoundText(session, prompt, count);
    WriteTextFromACheckpoint(session, prompt, count);
  }
  return 0;
}

}  // namespace slm::test
