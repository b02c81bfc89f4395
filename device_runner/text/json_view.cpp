#include "text/json_view.h"

#include <cmath>

#include "engine/numbers.h"
#include "text/utf8.h"

namespace slm {
namespace {

// Deeper than any tokenizer, and nowhere near the end of a stack.
constexpr int kMaximumDepth = 64;

// Doubles hold all whole numbers up to it.
constexpr int64_t kMaximumExact = 1'000'000'000'000'000;

bool IsSpace(char character) {
  return character == ' ' || character == '\t' || character == '\n' || character == '\r';
}

bool IsDigit(char character) { return character >= '0' && character <= '9'; }

int HexDigit(char character) {
  if (IsDigit(character)) return character - '0';
  if (character >= 'a' && character <= 'f') return character - 'a' + 10;
  if (character >= 'A' && character <= 'F') return character - 'A' + 10;
  return -1;
}

// The four hexadecimal digits at `at`; -1 where they are something else.
int32_t HexUnit(std::string_view text, size_t at) {
  int32_t unit = 0;
  for (size_t index = at; index < at + 4; ++index) {
    const int digit = index < text.size() ? HexDigit(text[index]) : -1;
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

// Reads the character that begins with the backslash at `at` and moves behind it; -1 where there is none.
int32_t Escaped(std::string_view text, size_t& at) {
  const char letter = at + 1 < text.size() ? text[at + 1] : '\0';
  at += 2;
  switch (letter) {
    case '"':
    case '\\':
    case '/':
      return letter;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'u':
      break;
    default:
      return -1;
  }
  const int32_t high = HexUnit(text, at);
  at += 4;
  if (high < 0xD800 || high > 0xDFFF) return high;
  if (high > 0xDBFF || text.substr(at < text.size() ? at : text.size(), 2) != "\\u") return -1;
  const int32_t low = HexUnit(text, at + 2);
  at += 6;
  if (low < 0xDC00 || low > 0xDFFF) return -1;
  return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

class Checker {
 public:
  explicit Checker(std::string_view text) : text_(text) {}

  // Where it fails is at().
  bool All() {
    if (!Value(0)) return false;
    Space();
    return at_ == text_.size();
  }
  size_t at() const { return at_; }

 private:
  char Now() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void Space() {
    while (at_ < text_.size() && IsSpace(text_[at_])) ++at_;
  }
  bool Take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  bool Value(int depth) {
    Space();
    switch (Now()) {
      case '{':
        return depth < kMaximumDepth && Items('}', depth, true);
      case '[':
        return depth < kMaximumDepth && Items(']', depth, false);
      case '"':
        return Text();
      case 't':
        return Take("true");
      case 'f':
        return Take("false");
      case 'n':
        return Take("null");
      default:
        return Number();
    }
  }

  bool Items(char close, int depth, bool named) {
    ++at_;
    Space();
    if (Now() == close) return ++at_, true;
    for (;;) {
      Space();
      if (named) {
        if (Now() != '"' || !Text()) return false;
        Space();
        if (!Take(":")) return false;
      }
      if (!Value(depth + 1)) return false;
      Space();
      if (Now() == close) return ++at_, true;
      if (!Take(",")) return false;
    }
  }

  bool Text() {
    ++at_;
    while (at_ < text_.size()) {
      const auto byte = static_cast<unsigned char>(text_[at_]);
      if (byte == '"') return ++at_, true;
      if (byte < 0x20) return false;
      if (byte == '\\') {
        size_t next = at_;
        if (Escaped(text_, next) < 0 || next > text_.size()) return false;
        at_ = next;
      } else {
        ++at_;
      }
    }
    return false;
  }

  bool Digits() {
    if (!IsDigit(Now())) return false;
    while (IsDigit(Now())) ++at_;
    return true;
  }

  bool Number() {
    if (Now() == '-') ++at_;
    if (!Digits()) return false;
    if (Now() == '.' && (++at_, !Digits())) return false;
    if (Now() != 'e' && Now() != 'E') return true;
    ++at_;
    if (Now() == '+' || Now() == '-') ++at_;
    return Digits();
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Status CheckJson(std::string_view text) {
  Checker checker(text);
  if (!checker.All())
    return {ErrorKind::kModelInterface, "is not JSON at byte " + std::to_string(checker.at())};
  std::u32string decoded;
  if (!DecodeUtf8(text, decoded)) return {ErrorKind::kModelInterface, "is not UTF-8"};
  return {};
}

size_t JsonView::SkipSpace(std::string_view text, size_t at) {
  while (at < text.size() && IsSpace(text[at])) ++at;
  return at;
}

size_t JsonView::Skip(std::string_view text, size_t at) {
  int depth = 0;
  do {
    const char character = text[at];
    if (character == '"') {
      for (++at; text[at] != '"'; ++at) {
        if (text[at] == '\\') ++at;
      }
    } else if (character == '{' || character == '[') {
      ++depth;
    } else if (character == '}' || character == ']') {
      --depth;
    } else if (depth == 0) {
      // A number or a word.
      while (at < text.size() && !IsSpace(text[at]) && text[at] != ',' && text[at] != '}' && text[at] != ']')
        ++at;
      return at;
    }
    ++at;
  } while (depth > 0);
  return at;
}

std::optional<std::string> JsonView::String() const {
  if (!IsString()) return std::nullopt;
  std::string value;
  for (size_t at = at_ + 1; text_[at] != '"';) {
    if (text_[at] == '\\') {
      AppendUtf8(static_cast<char32_t>(Escaped(text_, at)), value);
    } else {
      value += text_[at++];
    }
  }
  return value;
}

std::optional<double> JsonView::Number() const {
  if (First() != '-' && !IsDigit(First())) return std::nullopt;
  return ParseNumber(text_.substr(at_, Skip(text_, at_) - at_));
}

std::optional<int64_t> JsonView::Integer() const {
  if (First() != '-' && !IsDigit(First())) return std::nullopt;
  int64_t whole = 0;
  if (ParseInteger(text_.substr(at_, Skip(text_, at_) - at_), -kMaximumExact, kMaximumExact, whole).ok())
    return whole;
  const std::optional<double> number = Number();
  if (!number || std::trunc(*number) != *number || std::abs(*number) > static_cast<double>(kMaximumExact))
    return std::nullopt;
  return static_cast<int64_t>(*number);
}

std::optional<bool> JsonView::Boolean() const {
  if (First() != 't' && First() != 'f') return std::nullopt;
  return First() == 't';
}

JsonView JsonView::operator[](std::string_view name) const {
  JsonView found;
  ForEachMember([&](const std::string& member, JsonView value) {
    if (member == name) found = value;
  });
  return found;
}

}  // namespace slm
