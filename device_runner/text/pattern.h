// Regular expressions as tokenizers write them (Oniguruma's), over code points.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/status.h"
#include "text/unicode.h"

namespace slm {

// Which code points an atom of a pattern takes.
struct CharacterSet {
  bool negated = false;
  Categories categories = 0;
  std::vector<std::pair<char32_t, char32_t>> ranges;
  std::vector<CharacterSet> sets;
  // Of all of these, too: [...&&...].
  std::vector<CharacterSet> intersected;

  bool Has(char32_t code_point) const;
};

// A compiled pattern. It knows literals, classes, categories, groups, alternatives, greedy, lazy and
// possessive repetition, (?i), (?=...), (?!...), ^ and $; the rest is refused by name.
class Pattern {
 public:
  static Status Compile(std::string_view pattern, Pattern& compiled);
  // Matches this text and nothing else.
  static Pattern Literal(std::u32string_view text);

  struct Match {
    size_t begin;
    size_t end;
  };
  // The leftmost match from `from` on that takes something.
  std::optional<Match> Find(std::u32string_view text, size_t from) const;

 private:
  friend class PatternCompiler;

  enum class Operation { kSet, kSplit, kJump, kMatch, kAhead, kNotAhead, kAtomic, kLineBegin, kLineEnd };
  struct Instruction {
    Operation operation;
    // Of a set its number, else where to go on; a split tries the first first.
    uint32_t first = 0;
    uint32_t second = 0;
  };
  struct Try {
    uint32_t at;
    size_t position;
  };

  // The end of a match that begins at `position`, by the instructions from `at` on.
  std::optional<size_t> Run(std::u32string_view text, uint32_t at, size_t position) const;

  std::vector<Instruction> program_;
  std::vector<CharacterSet> sets_;
};

}  // namespace slm
