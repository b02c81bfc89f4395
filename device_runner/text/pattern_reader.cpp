#include "text/pattern_reader.h"

#include <utility>

#include "text/utf8.h"

namespace slm {
namespace {

bool IsLetter(char32_t code_point) {
  return (code_point >= U'a' && code_point <= U'z') || (code_point >= U'A' && code_point <= U'Z');
}

CharacterSet Spaces() {
  CharacterSet set;
  set.ranges = {{9, 13},          {0x20, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680},
                {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
  return set;
}

}  // namespace

Status PatternReader::Refusal() const {
  return {ErrorKind::kModelInterface,
          "the pattern '" + EncodeUtf8(text_) + "' has " + refused_ + ", which this runner does not know"};
}

bool PatternReader::Refuse(std::string what) {
  if (refused_.empty()) refused_ = std::move(what);
  return false;
}

bool PatternReader::Take(std::u32string_view word) {
  if (text_.compare(at_, word.size(), word) != 0) return false;
  at_ += word.size();
  return true;
}

bool PatternReader::Decimal(uint32_t& value) {
  const size_t begin = at_;
  for (value = 0; Now() >= U'0' && Now() <= U'9' && at_ < begin + kMaximumDigits; ++at_)
    value = value * 10 + (Now() - U'0');
  return at_ > begin;
}

bool PatternReader::Class(CharacterSet& set, int depth) {
  if (depth > kMaximumDepth) return Refuse("classes within classes too deep");
  if (Take(U"[:")) return Refuse("a class like [:alpha:]");
  ++at_;
  set.negated = Take(U"^");
  CharacterSet items;
  // A bracket that comes first is itself.
  if (Take(U"]")) AddCharacter(items, U']', U']');
  while (!Take(U"]")) {
    if (at_ >= text_.size()) return Refuse("an unmatched [");
    if (Take(U"&&")) {
      CharacterSet& both = set.intersected.emplace_back();
      std::swap(both, items);
      continue;
    }
    if (Now() == U'[') {
      if (!Class(items.sets.emplace_back(), depth + 1)) return false;
      continue;
    }
    if (!ClassItem(items)) return false;
  }
  set.sets.push_back(std::move(items));
  return true;
}

bool PatternReader::ClassItem(CharacterSet& items) {
  char32_t first = 0;
  bool is_set = false;
  if (!ClassCharacter(items, first, is_set)) return false;
  const bool has_range = !is_set && Now() == U'-' && at_ + 1 < text_.size() && text_[at_ + 1] != U']';
  if (!has_range) {
    if (!is_set) AddCharacter(items, first, first);
    return refused_.empty();
  }
  ++at_;
  char32_t last = 0;
  if (!ClassCharacter(items, last, is_set)) return false;
  if (is_set || last < first) return Refuse("a range without an end");
  AddCharacter(items, first, last);
  return refused_.empty();
}

bool PatternReader::ClassCharacter(CharacterSet& items, char32_t& code_point, bool& is_set) {
  is_set = false;
  if (Now() == U'\\') return Escape(items, code_point, is_set);
  code_point = Now();
  ++at_;
  return true;
}

// What follows a backslash: a set that is added, or one character.
bool PatternReader::Escape(CharacterSet& set, char32_t& code_point, bool& is_set) {
  ++at_;
  if (at_ >= text_.size()) return Refuse("a backslash at its end");
  const char32_t letter = text_[at_++];
  is_set = true;
  switch (letter) {
    case U's':
    case U'S': {
      CharacterSet& spaces = set.sets.emplace_back(Spaces());
      spaces.negated = letter == U'S';
      return true;
    }
    case U'd':
    case U'D': {
      CharacterSet& digits = set.sets.emplace_back();
      digits.categories = CategoriesNamed("Nd");
      digits.negated = letter == U'D';
      return true;
    }
    case U'p':
    case U'P':
      return Property(set.sets.emplace_back(), letter == U'P');
    default:
      break;
  }
  is_set = false;
  switch (letter) {
    case U'n':
      code_point = U'\n';
      return true;
    case U'r':
      code_point = U'\r';
      return true;
    case U't':
      code_point = U'\t';
      return true;
    case U'f':
      code_point = U'\f';
      return true;
    case U'v':
      code_point = U'\v';
      return true;
    case U'x':
      return Take(U"{") ? Hexadecimal(8, code_point) && (Take(U"}") || Refuse("an unmatched {"))
                        : Hexadecimal(2, code_point);
    case U'u':
      return Hexadecimal(4, code_point);
    default:
      break;
  }
  if (IsLetter(letter) || (letter >= U'0' && letter <= U'9')) {
    return Refuse("\\" + EncodeUtf8(std::u32string_view(&letter, 1)));
  }
  code_point = letter;
  return true;
}

bool PatternReader::Hexadecimal(size_t maximum, char32_t& code_point) {
  code_point = 0;
  const size_t begin = at_;
  for (; at_ < text_.size() && at_ < begin + maximum; ++at_) {
    const char32_t digit = text_[at_];
    const char32_t lower = digit | 0x20;
    if (digit >= U'0' && digit <= U'9') {
      code_point = code_point * 16 + (digit - U'0');
    } else if (lower >= U'a' && lower <= U'f') {
      code_point = code_point * 16 + (lower - U'a' + 10);
    } else {
      break;
    }
  }
  return at_ > begin || Refuse("an escape without digits");
}

bool PatternReader::Property(CharacterSet& set, bool negated) {
  std::u32string name;
  if (Take(U"{")) {
    while (at_ < text_.size() && Now() != U'}') name += text_[at_++];
    if (!Take(U"}")) return Refuse("an unmatched {");
  } else if (at_ < text_.size()) {
    name = text_[at_++];
  }
  if (name.starts_with(U"^")) {
    negated = !negated;
    name.erase(0, 1);
  }
  set.negated = negated;
  set.categories = CategoriesNamed(EncodeUtf8(name));
  return set.categories != 0 || Refuse("the property " + EncodeUtf8(name));
}

void PatternReader::AddCharacter(CharacterSet& set, char32_t first, char32_t last) {
  set.ranges.emplace_back(first, last);
  if (!ignores_case_) return;
  if (last > 0x7F) {
    Refuse("(?i) over letters beyond ASCII");
    return;
  }
  for (char32_t code_point = first; code_point <= last; ++code_point) {
    if (!IsLetter(code_point)) continue;
    const char32_t other = code_point ^ 0x20;
    set.ranges.emplace_back(other, other);
    // The long s and the Kelvin sign.
    if ((code_point | 0x20) == U's') set.ranges.emplace_back(0x17F, 0x17F);
    if ((code_point | 0x20) == U'k') set.ranges.emplace_back(0x212A, 0x212A);
  }
}

}  // namespace slm
