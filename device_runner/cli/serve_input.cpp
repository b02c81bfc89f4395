#include "cli/serve_input.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>

#include "cli/request_words.h"
#include "engine/numbers.h"

namespace slm {
namespace {

// A signal handler cannot wake the reader, so it looks this often.
constexpr int kLookMs = 100;
constexpr size_t kReadBytes = 1 << 16;

Status ParseTurn(std::istream& words, ServeTurn& turn) {
  SamplingOptions& sampling = turn.generation.sampling;
  Status status = NextInteger(words, "MAXIMUM", 1, kMaximumTokens, turn.generation.maximum_tokens);
  if (status.ok()) status = NextStops(words, turn.generation.stop_tokens);
  if (status.ok()) status = NextNumber(words, "TEMPERATURE", 0, 100, sampling.temperature);
  if (status.ok()) status = NextInteger(words, "TOP_K", 0, kMaximumTokens, sampling.top_k);
  if (status.ok()) status = NextNumber(words, "TOP_P", 0, 1, sampling.top_p);
  if (status.ok()) status = NextInteger(words, "SEED", 0, kNoLimit, sampling.seed);
  if (status.ok()) status = RestAsTokens(words, turn.prompt);
  if (status.ok() && turn.prompt.empty()) return {ErrorKind::kUsage, "a turn needs a token"};
  return status;
}

}  // namespace

ServeInput::ServeInput(int descriptor, StopToken stop)
    : descriptor_(descriptor), stop_(stop.Or(closing_)), reader_([this] { ReadLines(); }) {}

ServeInput::~ServeInput() {
  closing_.Request();
  reader_.join();
}

Status ServeInput::Next(std::optional<ServeTurn>& turn) {
  turn.reset();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ended_ || !turns_.empty(); });
  // After the end of the input nobody waits for an answer.
  if (ended_) return end_;
  turn = std::move(turns_.front());
  turns_.pop_front();
  current_ = turn->id;
  if (current_ > stopped_up_to_) {
    turn_stop_.Clear();
  } else {
    turn_stop_.Request();
  }
  return {};
}

void ServeInput::ReadLines() {
  std::string pending;
  std::array<char, kReadBytes> buffer;
  for (;;) {
    if (Status status = stop_.Check(); !status.ok()) return End(status);
    pollfd waiting = {descriptor_, POLLIN, 0};
    const int ready = poll(&waiting, 1, kLookMs);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t count = ready < 0 ? -1 : read(descriptor_, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      return End({ErrorKind::kUsage, std::string("requests cannot be read: ") + std::strerror(errno)});
    if (count == 0) return End({});
    pending.append(buffer.data(), static_cast<size_t>(count));
    size_t start = 0;
    for (size_t end; (end = pending.find('\n', start)) != std::string::npos; start = end + 1) {
      Take(pending.substr(start, end - start));
    }
    pending.erase(0, start);
  }
}

void ServeInput::Take(const std::string& line) {
  const int64_t number = ++lines_;
  std::istringstream words(line);
  std::string kind;
  words >> kind;
  ServeTurn turn;
  Status status = NextInteger(words, "ID", 0, kNoLimit, turn.id);
  if (kind == "turn") {
    if (status.ok()) status = ParseTurn(words, turn);
  } else if (kind != "stop") {
    status = {ErrorKind::kUsage, "'" + kind + "' is no kind of request: turn or stop"};
  }
  if (!status.ok()) {
    return End({ErrorKind::kUsage, "request " + std::to_string(number) + ": " + status.message()});
  }
  const std::lock_guard lock(mutex_);
  if (kind == "turn") {
    turns_.push_back(std::move(turn));
    changed_.notify_one();
  } else {
    stopped_up_to_ = std::max(stopped_up_to_, turn.id);
    if (current_ <= stopped_up_to_) turn_stop_.Request();
  }
}

void ServeInput::End(Status status) {
  const std::lock_guard lock(mutex_);
  if (!ended_) end_ = std::move(status);
  ended_ = true;
  turn_stop_.Request();
  changed_.notify_one();
}

}  // namespace slm
