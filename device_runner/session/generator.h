// One text's state: what was fed so far, and what the model says comes next.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/stop.h"
#include "session/sampling.h"
#include "session/session.h"

namespace slm {

// Takes generated tokens, each as soon as it is known.
class TokenSink {
 public:
  TokenSink() = default;
  TokenSink(const TokenSink&) = delete;
  TokenSink& operator=(const TokenSink&) = delete;
  virtual ~TokenSink() = default;

  // `ns` is what the token took; the first one's holds the prefill. Not ok ends the generation.
  virtual Status Take(int64_t token, int64_t ns) = 0;
};

struct GenerationOptions {
  SamplingOptions sampling;
  int64_t maximum_tokens = 128;
  // These end the generation and are not handed on.
  std::vector<int64_t> stop_tokens;
};

// A session's engine holds one state, so a session has one generator at a time; the next one may come once
// that is gone.
class Generator {
 public:
  // The session is loaded; it and the token's source outlive the generator.
  explicit Generator(Session& session, StopToken stop = {});
  ~Generator();
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  // Makes room for this many positions and starts an empty text. `needed_for` says in words what needs them.
  Status Reserve(int64_t positions, const std::string& needed_for);
  // Appends tokens, in chunks; looks at the stop token before each.
  Status Feed(std::span<const int64_t> tokens);
  // From where on Rewind(position) feeds again; `position` itself where it need not.
  int64_t RewindsTo(int64_t position) const;
  // Forgets all but the first `position` tokens. logits() does not stay valid. Where the model keeps states
  // of fixed size, the tokens since the last checkpoint before `position`, or all of them, are fed once more.
  Status Rewind(int64_t position);
  // Makes rewinding to here, and to what comes after, quick; one per text, the last one counts.
  Status Checkpoint();
  // Feeds the prompt and generates until a stop token or the most tokens. The first token's time counts from
  // `started_ns` on the monotonic clock.
  Status Generate(std::span<const int64_t> prompt, const GenerationOptions& options, TokenSink& sink,
                  int64_t started_ns = MonotonicNs());

  // The likeliest token after what was fed.
  Status Greedy(int64_t& token) const;
  // The tokens fed so far, and how many.
  std::span<const int64_t> fed() const { return fed_; }
  int64_t position() const { return position_; }
  // Logits [vocab] after the last token fed.
  std::span<const float> logits() const { return engine_.logits(); }

 private:
  Session& session_;
  Engine& engine_;
  StopToken stop_;
  bool is_the_only_one_;
  int64_t position_ = 0;
  // All tokens up to there.
  std::vector<int64_t> fed_;
};

}  // namespace slm
