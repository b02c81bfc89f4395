#include "text/pattern.h"

#include <algorithm>
#include <limits>

namespace slm {

bool CharacterSet::Has(char32_t code_point) const {
  const auto has = [&](const CharacterSet& set) { return set.Has(code_point); };
  bool found = categories != 0 && (CategoryOf(code_point) & categories) != 0;
  found = found || std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) {
            return range.first <= code_point && code_point <= range.second;
          });
  found = found || std::any_of(sets.begin(), sets.end(), has);
  found = found && std::all_of(intersected.begin(), intersected.end(), has);
  return found != negated;
}

Pattern Pattern::Literal(std::u32string_view text) {
  Pattern pattern;
  for (const char32_t code_point : text) {
    pattern.program_.push_back({Operation::kSet, static_cast<uint32_t>(pattern.sets_.size())});
    pattern.sets_.emplace_back().ranges.emplace_back(code_point, code_point);
  }
  pattern.program_.push_back({Operation::kMatch});
  return pattern;
}

std::optional<Pattern::Match> Pattern::Find(std::u32string_view text, size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    const std::optional<size_t> end = Run(text, 0, begin);
    if (end && *end > begin) return Match{begin, *end};
  }
  return std::nullopt;
}

std::optional<size_t> Pattern::Run(std::u32string_view text, uint32_t at, size_t position) const {
  // What is left to try lies here and not on the stack: a long run of spaces is one entry each.
  std::vector<Try> tries{{at, position}};
  while (!tries.empty()) {
    const Try now = tries.back();
    tries.pop_back();
    at = now.at;
    position = now.position;
    for (bool goes_on = true; goes_on;) {
      const Instruction& step = program_[at];
      switch (step.operation) {
        case Operation::kMatch:
          return position;
        case Operation::kSet:
          goes_on = position < text.size() && sets_[step.first].Has(text[position]);
          ++position;
          ++at;
          break;
        case Operation::kSplit:
          tries.push_back({step.second, position});
          at = step.first;
          break;
        case Operation::kJump:
          at = step.first;
          break;
        case Operation::kAhead:
        case Operation::kNotAhead:
          goes_on = Run(text, at + 1, position).has_value() == (step.operation == Operation::kAhead);
          at = step.first;
          break;
        case Operation::kAtomic: {
          const std::optional<size_t> end = Run(text, at + 1, position);
          goes_on = end.has_value();
          position = end.value_or(position);
          at = step.first;
          break;
        }
        case Operation::kLineBegin:
          goes_on = position == 0 || text[position - 1] == U'\n';
          ++at;
          break;
        case Operation::kLineEnd:
          goes_on = position == text.size() || text[position] == U'\n';
          ++at;
          break;
      }
    }
  }
  return std::nullopt;
}

}  // namespace slm
