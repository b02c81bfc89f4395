#include "session/tokens.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "engine/numbers.h"

namespace slm {

std::vector<int64_t> SyntheticTokens(int64_t count, int64_t vocab_size) {
  std::vector<int64_t> tokens(static_cast<size_t>(count));
  uint64_t state = 1;
  for (int64_t& token : tokens) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    token = static_cast<int64_t>(state >> 33) % vocab_size;
  }
  return tokens;
}

Status ReadTokenFile(const std::string& path, std::vector<int64_t>& tokens) {
  std::ifstream file(path);
  if (!file) return {ErrorKind::kUsage, path + ": cannot be read: " + std::strerror(errno)};
  tokens.clear();
  for (std::string word; file >> word;) {
    int64_t token = 0;
    const Status status = ParseInteger(word, 0, kNoLimit, token);
    if (!status.ok())
      return {ErrorKind::kUsage, path + ": token " + std::to_string(tokens.size()) + ": " + status.message()};
    tokens.push_back(token);
  }
  if (file.bad()) return {ErrorKind::kUsage, path + ": cannot be read"};
  if (tokens.empty()) return {ErrorKind::kUsage, path + ": holds no token ids"};
  return {};
}

Status CheckTokens(const std::vector<int64_t>& tokens, int64_t vocab_size, const std::string& source) {
  for (const int64_t token : tokens) {
    if (token < 0 || token >= vocab_size) {
      return {ErrorKind::kUsage, source + ": token " + std::to_string(token) +
                                     " is outside the vocabulary of " + std::to_string(vocab_size)};
    }
  }
  return {};
}

}  // namespace slm
