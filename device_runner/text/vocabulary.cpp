#include "text/vocabulary.h"

namespace slm {
namespace {

// Far beyond any vocabulary, so that a wrong id cannot ask for all memory.
constexpr int64_t kMaximumTokens = int64_t{1} << 24;

std::string ByteToken(unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">";
}

}  // namespace

void Vocabulary::Add(std::string token, int64_t id) {
  if (id < 0 || id >= kMaximumTokens) return;
  const auto place = ids_.insert_or_assign(std::move(token), id).first;
  if (tokens_.size() <= static_cast<size_t>(id)) tokens_.resize(static_cast<size_t>(id) + 1);
  // Nodes of a map stay where they are.
  tokens_[static_cast<size_t>(id)] = &place->first;
}

std::optional<int64_t> Vocabulary::IdOf(const std::string& token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const std::string* Vocabulary::TokenOf(int64_t id) const {
  return id >= 0 && static_cast<size_t>(id) < tokens_.size() ? tokens_[static_cast<size_t>(id)] : nullptr;
}

std::optional<std::vector<int64_t>> Vocabulary::BytesOf(std::string_view text) const {
  std::vector<int64_t> ids;
  for (const char byte : text) {
    const std::optional<int64_t> id = IdOf(ByteToken(static_cast<unsigned char>(byte)));
    if (!id) return std::nullopt;
    ids.push_back(*id);
  }
  return ids;
}

Status TokenModel::Read(JsonView description, std::unique_ptr<TokenModel>& model) {
  std::string type = description["type"].StringOr("");
  // Older files do not say it.
  if (type.empty() && description["merges"].IsArray()) type = "BPE";
  if (type == "BPE") return ReadBytePairs(description, model);
  if (type == "Unigram") return ReadUnigram(description, model);
  return {ErrorKind::kModelInterface, "a model of type '" + type + "', which this runner does not know"};
}

}  // namespace slm
