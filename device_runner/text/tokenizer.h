// Text to token ids and back, as a tokenizer.json of Hugging Face's library `tokenizers` says.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/status.h"
#include "text/added_tokens.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/token_decoder.h"
#include "text/vocabulary.h"

namespace slm {

class Tokenizer {
 public:
  // Fails over parts that this runner does not know, and names them: other ids would be another prompt.
  static Status Read(const std::string& path, Tokenizer& tokenizer);

  // Ids of a text in UTF-8. `special`: with what the tokenizer puts around a text, such as its beginning.
  Status Encode(std::string_view text, bool special, std::vector<int64_t>& ids) const;

  // Bytes of a token, which may be a part of a character; `leads` where it is the first of its text. Nothing
  // for special ones and ids that no token has, which are no part of a text.
  std::optional<std::string> BytesOf(int64_t id, bool leads) const;

 private:
  Status ReadParts(std::string_view text);
  Status ReadTemplate(JsonView description);
  Status AddSpecial(JsonView description, const std::string& name, std::vector<int64_t>& ids) const;

  Normalizer normalizer_;
  AddedTokens added_;
  PreTokenizer pre_tokenizer_;
  std::unique_ptr<TokenModel> model_;
  TokenDecoder decoder_;
  // Around a text.
  std::vector<int64_t> front_;
  std::vector<int64_t> back_;
};

// Text of tokens as they come, in whole characters.
class TextStream {
 public:
  explicit TextStream(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  std::string Take(int64_t id);
  // What is left; a replacement character stands for what never became one.
  std::string Finish();

 private:
  const Tokenizer& tokenizer_;
  std::string bytes_;
  bool leads_ = true;
};

}  // namespace slm
