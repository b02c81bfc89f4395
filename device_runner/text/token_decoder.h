// The part `decoder` of a tokenizer.json: from tokens back to bytes, one token at a time.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/status.h"
#include "text/json_view.h"

namespace slm {

class TokenDecoder {
 public:
  static Status Read(JsonView description, TokenDecoder& decoder);

  // Bytes of a token, which may be a part of a character; `leads` where it is the first of its text.
  std::string Decode(const std::string& token, bool leads) const;

 private:
  using Step = std::function<std::string(std::string, bool leads)>;

  Status Add(JsonView description);
  Status AddStrip(JsonView description);

  std::vector<Step> steps_;
  // From here on all tokens are one text.
  bool fused_ = false;
};

}  // namespace slm
