// Tokens and their ids, and the models that put a text together from them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/status.h"
#include "text/json_view.h"

namespace slm {

class Vocabulary {
 public:
  void Add(std::string token, int64_t id);

  std::optional<int64_t> IdOf(const std::string& token) const;
  // Null where no token has this id.
  const std::string* TokenOf(int64_t id) const;
  // Ids of the tokens <0x00> to <0xFF> for each byte of a text; empty where one of them is missing.
  std::optional<std::vector<int64_t>> BytesOf(std::string_view text) const;

 private:
  std::unordered_map<std::string, int64_t> ids_;
  std::vector<const std::string*> tokens_;
};

// The part `model` of a tokenizer.json.
class TokenModel {
 public:
  virtual ~TokenModel() = default;
  // The model of a description: BPE or Unigram.
  static Status Read(JsonView description, std::unique_ptr<TokenModel>& model);

  // Adds the ids of a piece of text in UTF-8, which is not empty.
  virtual void Encode(const std::string& piece, std::vector<int64_t>& ids) const = 0;
  const Vocabulary& vocabulary() const { return vocabulary_; }

 protected:
  Vocabulary vocabulary_;
};

// Byte pair encoding: pairs are merged in the order in which they were learned.
Status ReadBytePairs(JsonView description, std::unique_ptr<TokenModel>& model);
// The likeliest way to put a text together from tokens (sentencepiece's Unigram).
Status ReadUnigram(JsonView description, std::unique_ptr<TokenModel>& model);

}  // namespace slm
