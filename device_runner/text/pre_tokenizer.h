// The part `pre_tokenizer` of a tokenizer.json: where text is cut before tokens are looked for.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/status.h"
#include "text/json_view.h"

namespace slm {

// A part of the text.
struct Piece {
  std::u32string text;
  // Whether the whole text begins with it.
  bool leads = false;
};

class PreTokenizer {
 public:
  // Null makes one that cuts nowhere.
  static Status Read(JsonView description, PreTokenizer& pre_tokenizer);

  std::vector<Piece> Apply(Piece piece) const;

 private:
  using Step = std::function<std::vector<Piece>(Piece)>;

  Status Add(JsonView description);
  Status AddByteLevel(JsonView description);
  Status AddSplit(JsonView description);
  Status AddMetaspace(JsonView description);

  std::vector<Step> steps_;
};

}  // namespace slm
