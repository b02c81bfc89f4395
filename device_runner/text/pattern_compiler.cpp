// From a pattern's text to its program, in one pass: an atom's instructions are written, and moved when what
// follows repeats it.
#include <algorithm>

#include "text/pattern.h"
#include "text/utf8.h"

namespace slm {
namespace {

constexpr uint32_t kMostRepetitions = 1000;
constexpr uint32_t kEndless = ~uint32_t{0};
constexpr int kDeepest = 32;

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

class PatternCompiler {
 public:
  PatternCompiler(std::u32string text, Pattern& pattern) : text_(std::move(text)), pattern_(pattern) {}

  Status All() {
    if (Alternatives(0) && at_ < text_.size()) Refuse("an unmatched )");
    if (!refused_.empty())
      return {ErrorKind::kModelInterface, "the pattern '" + EncodeUtf8(text_) + "' has " + refused_ +
                                              ", which this runner does not know"};
    Emit({Operation::kMatch});
    return {};
  }

 private:
  using Operation = Pattern::Operation;
  using Instruction = Pattern::Instruction;

  struct Repetition {
    uint32_t least;
    uint32_t most;
    enum class Kind { kGreedy, kLazy, kPossessive } kind;
  };

  bool Refuse(std::string what) {
    if (refused_.empty()) refused_ = std::move(what);
    return false;
  }

  char32_t Now() const { return at_ < text_.size() ? text_[at_] : U'\0'; }
  bool Take(std::u32string_view word) {
    if (text_.compare(at_, word.size(), word) != 0) return false;
    at_ += word.size();
    return true;
  }

  uint32_t Here() const { return static_cast<uint32_t>(pattern_.program_.size()); }
  void Emit(Instruction instruction) { pattern_.program_.push_back(instruction); }
  void EmitSet(CharacterSet set) {
    Emit({Operation::kSet, static_cast<uint32_t>(pattern_.sets_.size())});
    pattern_.sets_.push_back(std::move(set));
  }

  // The instructions from `begin` on, which leave the program. Where they go is counted from their beginning.
  std::vector<Instruction> Cut(uint32_t begin) {
    std::vector<Instruction> cut(pattern_.program_.begin() + begin, pattern_.program_.end());
    pattern_.program_.resize(begin);
    for (Instruction& one : cut) Shift(one, 0U - begin);
    return cut;
  }
  void Paste(const std::vector<Instruction>& cut) {
    const uint32_t here = Here();
    for (Instruction one : cut) {
      Shift(one, here);
      Emit(one);
    }
  }
  static void Shift(Instruction& one, uint32_t by) {
    const Operation operation = one.operation;
    if (operation == Operation::kSet || operation == Operation::kMatch ||
        operation == Operation::kLineBegin || operation == Operation::kLineEnd) {
      return;
    }
    one.first += by;
    if (operation == Operation::kSplit) one.second += by;
  }

  bool Alternatives(int depth) {
    if (depth > kDeepest) return Refuse("groups within groups too deep");
    const bool ignores_case = ignores_case_;
    std::vector<std::vector<Instruction>> branches;
    do {
      const uint32_t begin = Here();
      while (at_ < text_.size() && Now() != U'|' && Now() != U')') {
        if (!Repeated(depth)) return false;
      }
      branches.push_back(Cut(begin));
    } while (Take(U"|"));
    ignores_case_ = ignores_case;
    // split(branch, next); branch; jump to the end.
    std::vector<uint32_t> jumps;
    for (size_t index = 0; index < branches.size(); ++index) {
      const bool last = index + 1 == branches.size();
      const uint32_t split = Here();
      if (!last) Emit({Operation::kSplit, split + 1});
      Paste(branches[index]);
      if (last) break;
      jumps.push_back(Here());
      Emit({Operation::kJump});
      pattern_.program_[split].second = Here();
    }
    for (const uint32_t jump : jumps) pattern_.program_[jump].first = Here();
    return true;
  }

  bool Repeated(int depth) {
    const uint32_t begin = Here();
    if (!Atom(depth)) return false;
    for (;;) {
      Repetition repetition{1, 1, Repetition::Kind::kGreedy};
      if (!Quantifier(repetition)) return refused_.empty();
      Repeat(begin, repetition);
      if (!refused_.empty()) return false;
    }
  }

  // False where there is none, or where it was refused.
  bool Quantifier(Repetition& repetition) {
    bool counted = false;
    if (Take(U"?")) {
      repetition = {0, 1, Repetition::Kind::kGreedy};
    } else if (Take(U"*")) {
      repetition = {0, kEndless, Repetition::Kind::kGreedy};
    } else if (Take(U"+")) {
      repetition = {1, kEndless, Repetition::Kind::kGreedy};
    } else if (Now() == U'{' && Counts(repetition)) {
      counted = true;
    } else {
      return false;
    }
    if (Take(U"?")) {
      repetition.kind = Repetition::Kind::kLazy;
    } else if (!counted && Take(U"+")) {
      // After {n,m} a plus is a repetition of its own.
      repetition.kind = Repetition::Kind::kPossessive;
    }
    return true;
  }

  bool Counts(Repetition& repetition) {
    size_t at = at_ + 1;
    const auto number = [&](uint32_t& value) {
      const size_t begin = at;
      for (value = 0; at < text_.size() && text_[at] >= U'0' && text_[at] <= U'9' && at < begin + 5; ++at)
        value = value * 10 + (text_[at] - U'0');
      return at > begin;
    };
    const bool has_least = number(repetition.least);
    repetition.most = repetition.least;
    bool has_most = false;
    if (at < text_.size() && text_[at] == U',') {
      ++at;
      has_most = number(repetition.most);
      if (!has_most) repetition.most = kEndless;
    }
    if ((!has_least && !has_most) || at >= text_.size() || text_[at] != U'}') return false;
    at_ = at + 1;
    const uint32_t most = repetition.most == kEndless ? repetition.least : repetition.most;
    if (most > kMostRepetitions || most < repetition.least) return Refuse("a count that cannot be meant");
    return true;
  }

  void Repeat(uint32_t begin, Repetition repetition) {
    const std::vector<Instruction> body = Cut(begin);
    const bool takes = std::any_of(body.begin(), body.end(),
                                   [](const Instruction& one) { return one.operation == Operation::kSet; });
    if (repetition.most == kEndless && (!takes || CanBeEmpty(body))) {
      Refuse("a repetition of what may be empty");
      return;
    }
    const bool possessive = repetition.kind == Repetition::Kind::kPossessive;
    const uint32_t atomic = Here();
    if (possessive) Emit({Operation::kAtomic});
    for (uint32_t count = 0; count < repetition.least; ++count) Paste(body);
    const auto split = [&](uint32_t at, uint32_t inside, uint32_t outside) {
      const bool lazy = repetition.kind == Repetition::Kind::kLazy;
      pattern_.program_[at].first = lazy ? outside : inside;
      pattern_.program_[at].second = lazy ? inside : outside;
    };
    if (repetition.most == kEndless) {
      const uint32_t loop = Here();
      Emit({Operation::kSplit});
      Paste(body);
      Emit({Operation::kJump, loop});
      split(loop, loop + 1, Here());
    } else {
      std::vector<uint32_t> splits;
      for (uint32_t count = repetition.least; count < repetition.most; ++count) {
        splits.push_back(Here());
        Emit({Operation::kSplit});
        Paste(body);
      }
      for (const uint32_t one : splits) split(one, one + 1, Here());
    }
    if (possessive) {
      Emit({Operation::kMatch});
      pattern_.program_[atomic].first = Here();
    }
  }

  // Whether some way through the instructions takes nothing.
  static bool CanBeEmpty(const std::vector<Instruction>& body) {
    std::vector<bool> seen(body.size(), false);
    std::vector<uint32_t> ways{0};
    while (!ways.empty()) {
      const uint32_t at = ways.back();
      ways.pop_back();
      if (at >= body.size()) return true;
      if (seen[at]) continue;
      seen[at] = true;
      const Instruction& one = body[at];
      switch (one.operation) {
        case Operation::kSet:
        case Operation::kMatch:
          break;
        case Operation::kSplit:
          ways.push_back(one.first);
          ways.push_back(one.second);
          break;
        case Operation::kJump:
        case Operation::kAhead:
        case Operation::kNotAhead:
        // It may be empty inside, which is not looked at.
        case Operation::kAtomic:
          ways.push_back(one.first);
          break;
        case Operation::kLineBegin:
        case Operation::kLineEnd:
          ways.push_back(at + 1);
          break;
      }
    }
    return false;
  }

  bool Atom(int depth) {
    if (Take(U"(")) return Group(depth);
    if (Now() == U'[') {
      CharacterSet set;
      if (!Class(set, depth)) return false;
      EmitSet(std::move(set));
      return true;
    }
    if (Take(U".")) {
      CharacterSet set;
      set.negated = true;
      set.ranges.emplace_back(U'\n', U'\n');
      EmitSet(std::move(set));
      return true;
    }
    if (Take(U"^")) return Emit({Operation::kLineBegin}), true;
    if (Take(U"$")) return Emit({Operation::kLineEnd}), true;
    if (Now() == U'*' || Now() == U'+' || Now() == U'?') return Refuse("a repetition of nothing");
    CharacterSet set;
    if (Now() == U'\\') {
      char32_t code_point = 0;
      bool is_set = false;
      if (!Escape(set, code_point, is_set)) return false;
      if (!is_set) AddCharacter(set, code_point, code_point);
    } else {
      AddCharacter(set, Now(), Now());
      ++at_;
    }
    EmitSet(std::move(set));
    return refused_.empty();
  }

  bool Group(int depth) {
    Operation look = Operation::kMatch;
    const bool ignores_case = ignores_case_;
    if (Take(U"?=")) {
      look = Operation::kAhead;
    } else if (Take(U"?!")) {
      look = Operation::kNotAhead;
    } else if (Take(U"?>")) {
      look = Operation::kAtomic;
    } else if (Take(U"?i:")) {
      ignores_case_ = true;
    } else if (Take(U"?i)")) {
      // To the end of the group that it stands in.
      ignores_case_ = true;
      return true;
    } else if (Now() == U'?' && !Take(U"?:")) {
      return Refuse("a group of a kind like (" + EncodeUtf8(std::u32string_view(text_).substr(at_, 2)) +
                    "...)");
    }
    const uint32_t begin = Here();
    if (look != Operation::kMatch) Emit({look});
    if (!Alternatives(depth + 1)) return false;
    if (!Take(U")")) return Refuse("an unmatched (");
    ignores_case_ = ignores_case;
    if (look != Operation::kMatch) {
      Emit({Operation::kMatch});
      pattern_.program_[begin].first = Here();
    }
    return true;
  }

  bool Class(CharacterSet& set, int depth) {
    if (depth > kDeepest) return Refuse("classes within classes too deep");
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

  bool ClassItem(CharacterSet& items) {
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

  bool ClassCharacter(CharacterSet& items, char32_t& code_point, bool& is_set) {
    is_set = false;
    if (Now() == U'\\') return Escape(items, code_point, is_set);
    code_point = Now();
    ++at_;
    return true;
  }

  // What follows a backslash: a set that is added, or one character.
  bool Escape(CharacterSet& set, char32_t& code_point, bool& is_set) {
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

  bool Hexadecimal(size_t most, char32_t& code_point) {
    code_point = 0;
    const size_t begin = at_;
    for (; at_ < text_.size() && at_ < begin + most; ++at_) {
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

  bool Property(CharacterSet& set, bool negated) {
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

  void AddCharacter(CharacterSet& set, char32_t first, char32_t last) {
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

  std::u32string text_;
  Pattern& pattern_;
  size_t at_ = 0;
  bool ignores_case_ = false;
  std::string refused_;
};

Status Pattern::Compile(std::string_view pattern, Pattern& compiled) {
  compiled = {};
  std::u32string text;
  if (!DecodeUtf8(pattern, text)) return {ErrorKind::kModelInterface, "a pattern is not UTF-8"};
  return PatternCompiler(std::move(text), compiled).All();
}

}  // namespace slm
