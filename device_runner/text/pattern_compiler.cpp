// From a pattern's text to its program, in one pass: an atom's instructions are written, and moved when what
// follows repeats it.
#include <algorithm>

#include "text/pattern.h"
#include "text/pattern_reader.h"
#include "text/utf8.h"

namespace slm {
namespace {

constexpr uint32_t kMaximumRepetitions = 1000;
constexpr uint32_t kEndless = ~uint32_t{0};

}  // namespace

class PatternCompiler {
 public:
  PatternCompiler(std::u32string text, Pattern& pattern) : reader_(std::move(text)), pattern_(pattern) {}

  Status All() {
    if (Alternatives(0) && !reader_.AtEnd()) reader_.Refuse("an unmatched )");
    if (reader_.has_refused()) return reader_.Refusal();
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
    if (depth > PatternReader::kMaximumDepth) return reader_.Refuse("groups within groups too deep");
    const bool ignores_case = reader_.ignores_case();
    std::vector<std::vector<Instruction>> branches;
    do {
      const uint32_t begin = Here();
      while (!reader_.AtEnd() && reader_.Now() != U'|' && reader_.Now() != U')') {
        if (!Repeated(depth)) return false;
      }
      branches.push_back(Cut(begin));
    } while (reader_.Take(U"|"));
    reader_.set_ignores_case(ignores_case);
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
      if (!Quantifier(repetition)) return !reader_.has_refused();
      Repeat(begin, repetition);
      if (reader_.has_refused()) return false;
    }
  }

  // False where there is none, or where it was refused.
  bool Quantifier(Repetition& repetition) {
    bool counted = false;
    if (reader_.Take(U"?")) {
      repetition = {0, 1, Repetition::Kind::kGreedy};
    } else if (reader_.Take(U"*")) {
      repetition = {0, kEndless, Repetition::Kind::kGreedy};
    } else if (reader_.Take(U"+")) {
      repetition = {1, kEndless, Repetition::Kind::kGreedy};
    } else if (reader_.Now() == U'{' && Counts(repetition)) {
      counted = true;
    } else {
      return false;
    }
    if (reader_.Take(U"?")) {
      repetition.kind = Repetition::Kind::kLazy;
    } else if (!counted && reader_.Take(U"+")) {
      // After {n,m} a plus is a repetition of its own.
      repetition.kind = Repetition::Kind::kPossessive;
    }
    return true;
  }

  // {n}, {n,}, {,m} or {n,m}; a brace that is none of them is itself.
  bool Counts(Repetition& repetition) {
    const size_t brace = reader_.at();
    reader_.Take(U"{");
    const bool has_least = reader_.Decimal(repetition.least);
    repetition.most = repetition.least;
    bool has_most = false;
    if (reader_.Take(U",")) {
      has_most = reader_.Decimal(repetition.most);
      if (!has_most) repetition.most = kEndless;
    }
    if ((!has_least && !has_most) || !reader_.Take(U"}")) {
      reader_.GoTo(brace);
      return false;
    }
    const uint32_t most = repetition.most == kEndless ? repetition.least : repetition.most;
    if (most > kMaximumRepetitions || most < repetition.least)
      return reader_.Refuse("a count that cannot be meant");
    return true;
  }

  void Repeat(uint32_t begin, Repetition repetition) {
    const std::vector<Instruction> body = Cut(begin);
    const bool takes = std::any_of(body.begin(), body.end(),
                                   [](const Instruction& one) { return one.operation == Operation::kSet; });
    if (repetition.most == kEndless && (!takes || CanBeEmpty(body))) {
      reader_.Refuse("a repetition of what may be empty");
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
    if (reader_.Take(U"(")) return Group(depth);
    if (reader_.Now() == U'[') {
      CharacterSet set;
      if (!reader_.Class(set, depth)) return false;
      EmitSet(std::move(set));
      return true;
    }
    if (reader_.Take(U".")) {
      CharacterSet set;
      set.negated = true;
      set.ranges.emplace_back(U'\n', U'\n');
      EmitSet(std::move(set));
      return true;
    }
    if (reader_.Take(U"^")) return Emit({Operation::kLineBegin}), true;
    if (reader_.Take(U"$")) return Emit({Operation::kLineEnd}), true;
    if (reader_.Now() == U'*' || reader_.Now() == U'+' || reader_.Now() == U'?')
      return reader_.Refuse("a repetition of nothing");
    CharacterSet set;
    if (reader_.Now() == U'\\') {
      char32_t code_point = 0;
      bool is_set = false;
      if (!reader_.Escape(set, code_point, is_set)) return false;
      if (!is_set) reader_.AddCharacter(set, code_point, code_point);
    } else {
      const char32_t code_point = reader_.Next();
      reader_.AddCharacter(set, code_point, code_point);
    }
    EmitSet(std::move(set));
    return !reader_.has_refused();
  }

  bool Group(int depth) {
    Operation look = Operation::kMatch;
    const bool ignores_case = reader_.ignores_case();
    if (reader_.Take(U"?=")) {
      look = Operation::kAhead;
    } else if (reader_.Take(U"?!")) {
      look = Operation::kNotAhead;
    } else if (reader_.Take(U"?>")) {
      look = Operation::kAtomic;
    } else if (reader_.Take(U"?i:")) {
      reader_.set_ignores_case(true);
    } else if (reader_.Take(U"?i)")) {
      // To the end of the group that it stands in.
      reader_.set_ignores_case(true);
      return true;
    } else if (reader_.Now() == U'?' && !reader_.Take(U"?:")) {
      return reader_.Refuse("a group of a kind like (" + EncodeUtf8(reader_.Rest().substr(0, 2)) + "...)");
    }
    const uint32_t begin = Here();
    if (look != Operation::kMatch) Emit({look});
    if (!Alternatives(depth + 1)) return false;
    if (!reader_.Take(U")")) return reader_.Refuse("an unmatched (");
    reader_.set_ignores_case(ignores_case);
    if (look != Operation::kMatch) {
      Emit({Operation::kMatch});
      pattern_.program_[begin].first = Here();
    }
    return true;
  }

  PatternReader reader_;
  Pattern& pattern_;
};

Status Pattern::Compile(std::string_view pattern, Pattern& compiled) {
  compiled = {};
  std::u32string text;
  if (!DecodeUtf8(pattern, text)) return {ErrorKind::kModelInterface, "a pattern is not UTF-8"};
  return PatternCompiler(std::move(text), compiled).All();
}

}  // namespace slm
