#include "session/generator.h"

#include <algorithm>

#include "engine/clock.h"

namespace slm {
namespace {

Status AsStatus(int64_t token) {
  return token < 0 ? Status(ErrorKind::kRunFailed, "the logits hold no number") : Status();
}

}  // namespace

Generator::Generator(Session& session, StopToken stop)
    : session_(session), engine_(session.engine()), stop_(stop), is_the_only_one_(!session.has_generator_) {
  session_.has_generator_ = true;
}

Generator::~Generator() {
  if (is_the_only_one_) session_.has_generator_ = false;
}

Status Generator::Reserve(int64_t positions, const std::string& needed_for) {
  if (!is_the_only_one_) return {ErrorKind::kUsage, "the session is busy with another text"};
  if (positions > session_.context_length()) {
    return {ErrorKind::kContextExceeded, needed_for + " need " + std::to_string(positions) +
                                             " positions, the context length is " +
                                             std::to_string(session_.context_length())};
  }
  const int64_t chunk = std::min(positions, session_.prefill_chunk());
  Status status = engine_.Reserve(positions, chunk);
  if (status.ok()) position_ = 0;
  fed_.clear();
  // Timed steps allocate nothing.
  fed_.reserve(static_cast<size_t>(positions));
  return status;
}

Status Generator::Feed(std::span<const int64_t> tokens) {
  while (!tokens.empty()) {
    if (Status status = stop_.Check(); !status.ok()) return status;
    const size_t length = std::min(tokens.size(), static_cast<size_t>(session_.prefill_chunk()));
    if (Status status = engine_.Forward(tokens.first(length)); !status.ok()) return status;
    position_ += static_cast<int64_t>(length);
    fed_.insert(fed_.end(), tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(length));
    tokens = tokens.subspan(length);
  }
  return {};
}

int64_t Generator::RewindsTo(int64_t position) const { return engine_.RewindsTo(position); }

Status Generator::Rewind(int64_t position) {
  if (position < 0 || position > position_) {
    return {ErrorKind::kUsage, "cannot rewind to " + std::to_string(position) + " of " +
                                   std::to_string(position_) + " positions"};
  }
  const int64_t back = engine_.RewindsTo(position);
  if (Status status = engine_.Rewind(back); !status.ok()) return status;
  position_ = back;
  const std::vector<int64_t> again(fed_.begin() + back, fed_.begin() + position);
  fed_.resize(static_cast<size_t>(back));
  return Feed(again);
}

Status Generator::Checkpoint() { return engine_.Checkpoint(); }

Status Generator::Greedy(int64_t& token) const {
  token = ArgMax(engine_.logits());
  return AsStatus(token);
}

Status Generator::Generate(std::span<const int64_t> prompt, const GenerationOptions& options, TokenSink& sink,
                           int64_t started_ns) {
  int64_t before = started_ns;
  Sampler sampler(options.sampling);
  if (Status status = Feed(prompt); !status.ok()) return status;
  for (int64_t count = 0;;) {
    const int64_t token = sampler.Choose(engine_.logits());
    if (Status status = AsStatus(token); !status.ok()) return status;
    const int64_t after = MonotonicNs();
    const auto& stops = options.stop_tokens;
    if (std::find(stops.begin(), stops.end(), token) != stops.end()) return {};
    const Status taken = sink.Take(token, after - before);
    if (!taken.ok() || ++count == options.maximum_tokens) return taken;
    before = MonotonicNs();
    if (Status status = Feed({&token, 1}); !status.ok()) return status;
  }
}

}  // namespace slm
