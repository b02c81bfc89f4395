// The part `added_tokens` of a tokenizer.json: texts that are one token wherever they stand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/status.h"
#include "text/json_view.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"

namespace slm {

class AddedTokens {
 public:
  static Status Read(JsonView list, const Normalizer& normalizer, AddedTokens& added);

  // A part of the text, or one of the tokens.
  struct Part {
    Piece piece;
    std::optional<int64_t> token;
  };
  // Cuts by the tokens that are looked for in the text as it came, or after it was normalized.
  std::vector<Part> Cut(const Piece& piece, bool normalized) const;

  // Text of an added token, as it is looked for.
  const std::string* TextOf(int64_t id) const;
  bool IsSpecial(int64_t id) const { return special_.contains(id); }

 private:
  struct Token {
    std::u32string text;
    int64_t id = 0;
    bool single_word = false;
    bool takes_left = false;
    bool takes_right = false;
  };
  // By their first letter, the longest first.
  using Index = std::unordered_map<char32_t, std::vector<Token>>;

  static const Token* At(const Index& index, std::u32string_view text, size_t at);

  Index raw_;
  Index normalized_;
  std::unordered_map<int64_t, std::string> texts_;
  std::unordered_set<int64_t> special_;
};

}  // namespace slm
