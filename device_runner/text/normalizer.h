// The part `normalizer` of a tokenizer.json: what happens to text before it is cut.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/status.h"
#include "text/json_view.h"

namespace slm {

class Normalizer {
 public:
  // Null makes one that changes nothing.
  static Status Read(JsonView description, Normalizer& normalizer);

  std::u32string Apply(std::u32string text) const;

 private:
  using Step = std::function<std::u32string(std::u32string)>;

  Status Add(JsonView description);
  Status AddReplacement(JsonView description);

  std::vector<Step> steps_;
};

// `pattern` as normalizers and pre-tokenizers write it: {"String": ...} or {"Regex": ...}.
class Pattern;
Status ReadPattern(JsonView description, Pattern& pattern);

}  // namespace slm
