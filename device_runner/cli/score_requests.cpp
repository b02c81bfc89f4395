#include "cli/score_requests.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "cli/request_words.h"
#include "engine/numbers.h"

namespace slm {
namespace {

Status Parse(const std::string& line, const std::vector<int64_t>& before, ScoreRequest& request) {
  std::istringstream words(line);
  std::string kind;
  words >> kind;
  if (kind != "score" && kind != "continue")
    return {ErrorKind::kUsage, "'" + kind + "' is no kind of request: score or continue"};
  request.kind = kind == "score" ? ScoreRequest::Kind::kScore : ScoreRequest::Kind::kContinue;
  if (Status status = NextInteger(words, "ID", 0, kNoLimit, request.id); !status.ok()) return status;
  int64_t keep = 0;
  if (Status status = NextInteger(words, "KEEP", 0, static_cast<int64_t>(before.size()), keep); !status.ok())
    return status;
  if (request.kind == ScoreRequest::Kind::kScore) {
    if (Status status = NextInteger(words, "FIRST", 1, kMaximumTokens, request.first); !status.ok())
      return status;
  } else {
    Status status = NextInteger(words, "MAXIMUM", 1, kMaximumTokens, request.maximum_tokens);
    if (status.ok()) status = NextStops(words, request.stop_tokens, &request.stop_sequences);
    if (!status.ok()) return status;
  }
  request.tokens.assign(before.begin(), before.begin() + static_cast<std::ptrdiff_t>(keep));
  if (Status status = RestAsTokens(words, request.tokens); !status.ok()) return status;
  // A token is scored at least, and there is a context.
  const auto least = std::max<int64_t>(1, request.first + (request.first > 0 ? 1 : 0));
  if (static_cast<int64_t>(request.tokens.size()) < least)
    return {ErrorKind::kUsage, std::to_string(request.tokens.size()) + " tokens, at least " +
                                   std::to_string(least) + " are needed"};
  return {};
}

}  // namespace

int64_t ScoreRequest::positions() const {
  // The last token of all is never fed.
  return static_cast<int64_t>(tokens.size()) + (kind == Kind::kScore ? -1 : maximum_tokens - 1);
}

Status ReadScoreRequests(const std::string& path, std::vector<ScoreRequest>& requests) {
  std::ifstream file(path);
  if (!file) return {ErrorKind::kUsage, path + ": cannot be read: " + std::strerror(errno)};
  requests.clear();
  const std::vector<int64_t> nothing;
  for (std::string line; std::getline(file, line);) {
    ScoreRequest request;
    const Status status = Parse(line, requests.empty() ? nothing : requests.back().tokens, request);
    if (!status.ok()) {
      return {ErrorKind::kUsage,
              path + ": line " + std::to_string(requests.size() + 1) + ": " + status.message()};
    }
    requests.push_back(std::move(request));
  }
  if (file.bad()) return {ErrorKind::kUsage, path + ": cannot be read"};
  if (requests.empty()) return {ErrorKind::kUsage, path + ": holds no request"};
  return {};
}

}  // namespace slm
