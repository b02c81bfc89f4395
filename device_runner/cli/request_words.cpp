#include "cli/request_words.h"

#include <sstream>

#include "engine/numbers.h"

namespace slm {

Status NextInteger(std::istream& words, const std::string& name, int64_t minimum, int64_t maximum,
                   int64_t& value) {
  std::string word;
  if (!(words >> word)) return {ErrorKind::kUsage, name + " is missing"};
  const Status status = ParseInteger(word, minimum, maximum, value);
  return status.ok() ? status : Status(ErrorKind::kUsage, name + ": " + status.message());
}

Status NextNumber(std::istream& words, const std::string& name, double minimum, double maximum,
                  double& value) {
  std::string word;
  if (!(words >> word)) return {ErrorKind::kUsage, name + " is missing"};
  const std::optional<double> parsed = ParseNumber(word);
  if (!parsed || *parsed < minimum || *parsed > maximum) {
    return {ErrorKind::kUsage, name + ": '" + word + "' is no number within its limits"};
  }
  value = *parsed;
  return {};
}

namespace {

Status ParseSequence(const std::string& text, std::vector<int64_t>& sequence) {
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, '+');) {
    int64_t token = 0;
    if (Status status = ParseInteger(part, 0, kNoLimit, token); !status.ok()) return status;
    sequence.push_back(token);
  }
  if (text.ends_with('+')) return {ErrorKind::kUsage, "'" + text + "' ends with a +"};
  return {};
}

}  // namespace

Status NextStops(std::istream& words, std::vector<int64_t>& stops,
                 std::vector<std::vector<int64_t>>* sequences) {
  std::string list;
  if (!(words >> list)) return {ErrorKind::kUsage, "the stop tokens are missing"};
  if (list == "-") return {};
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    if (sequences != nullptr && part.find('+') != std::string::npos) {
      sequences->emplace_back();
      if (Status status = ParseSequence(part, sequences->back()); !status.ok()) return status;
      continue;
    }
    int64_t token = 0;
    if (Status status = ParseInteger(part, 0, kNoLimit, token); !status.ok()) return status;
    stops.push_back(token);
  }
  return {};
}

Status RestAsTokens(std::istream& words, std::vector<int64_t>& tokens) {
  for (std::string word; words >> word;) {
    int64_t token = 0;
    if (Status status = ParseInteger(word, 0, kNoLimit, token); !status.ok()) return status;
    tokens.push_back(token);
  }
  return {};
}

}  // namespace slm
