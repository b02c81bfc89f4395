// The text of a regular expression, read character by character: classes, escapes and what they stand for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "engine/status.h"
#include "text/pattern.h"

namespace slm {

// What it cannot read is refused: the first refusal is kept, and the functions that return bool return false.
class PatternReader {
 public:
  // Of groups within groups, and of classes within classes.
  static constexpr int kMaximumDepth = 32;

  explicit PatternReader(std::u32string text) : text_(std::move(text)) {}

  bool Refuse(std::string what);
  bool has_refused() const { return !refused_.empty(); }
  Status Refusal() const;

  bool AtEnd() const { return at_ >= text_.size(); }
  size_t at() const { return at_; }
  void GoTo(size_t at) { at_ = at; }
  // Zero at the end.
  char32_t Now() const { return AtEnd() ? U'\0' : text_[at_]; }
  char32_t Next() { return text_[at_++]; }
  std::u32string_view Rest() const { return std::u32string_view(text_).substr(at_); }
  // Moves behind a word that comes next; false where another one does.
  bool Take(std::u32string_view word);
  // Digits, as far as they make a number that can be meant; false where there is none.
  bool Decimal(uint32_t& value);

  // Of ASCII letters, in what is read from now on.
  bool ignores_case() const { return ignores_case_; }
  void set_ignores_case(bool ignores) { ignores_case_ = ignores; }

  // From its bracket to the one that closes it.
  bool Class(CharacterSet& set, int depth);
  // From a backslash on: a set that is added, or one character.
  bool Escape(CharacterSet& set, char32_t& code_point, bool& is_set);
  void AddCharacter(CharacterSet& set, char32_t first, char32_t last);

 private:
  static constexpr size_t kMaximumDigits = 5;

  bool ClassItem(CharacterSet& items);
  bool ClassCharacter(CharacterSet& items, char32_t& code_point, bool& is_set);
  bool Hexadecimal(size_t maximum, char32_t& code_point);
  bool Property(CharacterSet& set, bool negated);

  std::u32string text_;
  size_t at_ = 0;
  bool ignores_case_ = false;
  std::string refused_;
};

}  // namespace slm
