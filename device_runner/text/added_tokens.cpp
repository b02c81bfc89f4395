#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"
#include "text/utf8.h"

namespace slm {
namespace {

// Letters in circles and squares, which are symbols to general categories.
bool IsCircledLetter(char32_t one) {
  return (one >= 0x24B6 && one <= 0x24E9) || (one >= 0x1F130 && one <= 0x1F149) ||
         (one >= 0x1F150 && one <= 0x1F169) || (one >= 0x1F170 && one <= 0x1F189);
}

// Unicode's \w: letters, marks, digits, connectors, and what joins letters or keeps them apart.
bool IsWordLetter(char32_t one) {
  static const Categories categories = CategoriesNamed("L") | CategoriesNamed("M") | CategoriesNamed("Nd") |
                                       CategoriesNamed("Nl") | CategoriesNamed("Pc");
  return (CategoryOf(one) & categories) != 0 || one == 0x200C || one == 0x200D || IsCircledLetter(one);
}

}  // namespace

Status AddedTokens::Read(JsonView list, const Normalizer& normalizer, AddedTokens& added) {
  added = {};
  Status status;
  list.ForEachElement([&](JsonView one) {
    const std::string content = one["content"].StringOr("");
    const std::optional<int64_t> id = one["id"].Integer();
    Token token;
    if (!id || *id < 0 || !DecodeUtf8(content, token.text)) {
      status = {ErrorKind::kModelInterface, "an added token without id or text"};
      return;
    }
    token.id = *id;
    token.single_word = one["single_word"].BooleanOr(false);
    token.takes_left = one["lstrip"].BooleanOr(false);
    token.takes_right = one["rstrip"].BooleanOr(false);
    if (one["special"].BooleanOr(false)) added.special_.insert(*id);
    const bool normalized = one["normalized"].BooleanOr(true);
    if (normalized) token.text = normalizer.Apply(std::move(token.text));
    added.texts_[*id] = EncodeUtf8(token.text);
    if (token.text.empty()) return;
    (normalized ? added.normalized_ : added.raw_)[token.text[0]].push_back(std::move(token));
  });
  for (Index* index : {&added.raw_, &added.normalized_}) {
    for (auto& [letter, tokens] : *index) {
      std::stable_sort(tokens.begin(), tokens.end(),
                       [](const Token& a, const Token& b) { return a.text.size() > b.text.size(); });
    }
  }
  return status;
}

const AddedTokens::Token* AddedTokens::At(const Index& index, std::u32string_view text, size_t at) {
  const auto found = index.find(text[at]);
  if (found == index.end()) return nullptr;
  for (const Token& token : found->second) {
    if (text.substr(at, token.text.size()) == token.text) return &token;
  }
  return nullptr;
}

std::vector<AddedTokens::Part> AddedTokens::Cut(const Piece& piece, bool normalized) const {
  const Index& index = normalized ? normalized_ : raw_;
  const std::u32string& text = piece.text;
  std::vector<Part> parts;
  size_t done = 0;
  const auto add_text = [&](size_t end) {
    if (done >= end) return;
    parts.push_back({{text.substr(done, end - done), piece.leads && done == 0}, std::nullopt});
  };
  for (size_t at = 0; at < text.size();) {
    const Token* token = At(index, text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + token->text.size();
    at = end;
    if (token->single_word &&
        ((begin > 0 && IsWordLetter(text[begin - 1])) || (end < text.size() && IsWordLetter(text[end])))) {
      continue;
    }
    // White space goes to the token, unless one before it has taken it.
    while (token->takes_left && begin > done && IsWhiteSpace(text[begin - 1])) --begin;
    while (token->takes_right && end < text.size() && IsWhiteSpace(text[end])) ++end;
    add_text(begin);
    parts.push_back({{}, token->id});
    done = end;
  }
  add_text(text.size());
  return parts;
}

const std::string* AddedTokens::TextOf(int64_t id) const {
  const auto found = texts_.find(id);
  return found == texts_.end() ? nullptr : &found->second;
}

}  // namespace slm
