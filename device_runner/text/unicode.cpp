#include "text/unicode.h"

#include <algorithm>
#include <iterator>

namespace slm {
namespace {

// A value that holds from a code point on.
struct Run {
  char32_t first;
  uint32_t value;
};

// What one code point becomes: a part of a text.
struct Mapping {
  char32_t from;
  uint32_t begin;
  uint32_t length;
};

struct Pair {
  char32_t first;
  char32_t second;
  char32_t composed;
};

// clang-format off
#include "text/unicode_tables.inc"
// clang-format on

constexpr std::string_view kNames = "LuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCfCsCoCn";

// Hangul syllables are put together by arithmetic (Unicode, section 3.12).
constexpr char32_t kSyllables = 0xAC00, kLeads = 0x1100, kVowels = 0x1161, kTrails = 0x11A7;
constexpr char32_t kLeadCount = 19, kVowelCount = 21, kTrailCount = 28;
constexpr char32_t kSyllableCount = kLeadCount * kVowelCount * kTrailCount;

template <size_t count>
uint32_t ValueAt(const Run (&runs)[count], char32_t code_point) {
  const auto* next = std::upper_bound(std::begin(runs), std::end(runs), code_point,
                                      [](char32_t value, const Run& run) { return value < run.first; });
  return std::prev(next)->value;
}

template <size_t count>
const Mapping* MappingOf(const Mapping (&mappings)[count], char32_t code_point) {
  const auto* found =
      std::lower_bound(std::begin(mappings), std::end(mappings), code_point,
                       [](const Mapping& mapping, char32_t value) { return mapping.from < value; });
  return found != std::end(mappings) && found->from == code_point ? found : nullptr;
}

uint32_t CombiningClass(char32_t code_point) { return ValueAt(kCombiningClasses, code_point); }

void AppendDecomposed(char32_t code_point, bool compatible, std::u32string& text) {
  if (code_point - kSyllables < kSyllableCount) {
    const char32_t index = code_point - kSyllables;
    text += kLeads + index / (kVowelCount * kTrailCount);
    text += kVowels + index % (kVowelCount * kTrailCount) / kTrailCount;
    if (index % kTrailCount != 0) text += kTrails + index % kTrailCount;
    return;
  }
  if (const Mapping* found = compatible ? MappingOf(kCompatible, code_point) : nullptr; found != nullptr) {
    text.append(kCompatibleText + found->begin, found->length);
  } else if (found = MappingOf(kCanonical, code_point); found != nullptr) {
    text.append(kCanonicalText + found->begin, found->length);
  } else {
    text += code_point;
  }
}

// Marks after a letter in the order of their classes.
void OrderMarks(std::u32string& text) {
  for (size_t begin = 0; begin < text.size();) {
    if (CombiningClass(text[begin]) == 0) {
      ++begin;
      continue;
    }
    size_t end = begin;
    while (end < text.size() && CombiningClass(text[end]) != 0) ++end;
    std::stable_sort(text.begin() + static_cast<ptrdiff_t>(begin), text.begin() + static_cast<ptrdiff_t>(end),
                     [](char32_t a, char32_t b) { return CombiningClass(a) < CombiningClass(b); });
    begin = end;
  }
}

// 0 where two code points do not compose.
char32_t Composed(char32_t first, char32_t second) {
  if (first - kLeads < kLeadCount && second - kVowels < kVowelCount) {
    return kSyllables + ((first - kLeads) * kVowelCount + (second - kVowels)) * kTrailCount;
  }
  if (first - kSyllables < kSyllableCount && (first - kSyllables) % kTrailCount == 0 &&
      second - kTrails - 1 < kTrailCount - 1) {
    return first + (second - kTrails);
  }
  const Pair wanted{first, second, 0};
  const auto* found =
      std::lower_bound(std::begin(kPairs), std::end(kPairs), wanted, [](const Pair& a, const Pair& b) {
        return a.first != b.first ? a.first < b.first : a.second < b.second;
      });
  const bool same = found != std::end(kPairs) && found->first == first && found->second == second;
  return same ? found->composed : 0;
}

std::u32string ComposedText(const std::u32string& text) {
  std::u32string composed;
  // Where the last code point of class 0 is, and the class of what came last.
  size_t starter = std::u32string::npos;
  uint32_t last = 0;
  for (const char32_t code_point : text) {
    const uint32_t combining = CombiningClass(code_point);
    const bool adjacent = starter != std::u32string::npos && starter + 1 == composed.size();
    if (starter != std::u32string::npos && (adjacent || (last != 0 && last < combining))) {
      if (const char32_t both = Composed(composed[starter], code_point); both != 0) {
        composed[starter] = both;
        continue;
      }
    }
    if (combining == 0) starter = composed.size();
    last = combining;
    composed += code_point;
  }
  return composed;
}

}  // namespace

Categories CategoriesNamed(std::string_view name) {
  Categories found = 0;
  for (size_t index = 0; index < kNames.size() / 2; ++index) {
    const std::string_view one = kNames.substr(2 * index, 2);
    if (name == one || (name.size() == 1 && name[0] == one[0])) found |= Categories{1} << index;
  }
  return found;
}

Categories CategoryOf(char32_t code_point) { return Categories{1} << ValueAt(kCategories, code_point); }

bool IsWhiteSpace(char32_t code_point) {
  return (code_point >= 9 && code_point <= 13) || code_point == 0x20 || code_point == 0x85 ||
         code_point == 0xA0 || code_point == 0x1680 || (code_point >= 0x2000 && code_point <= 0x200A) ||
         code_point == 0x2028 || code_point == 0x2029 || code_point == 0x202F || code_point == 0x205F ||
         code_point == 0x3000;
}

std::u32string LowerCase(std::u32string_view text) {
  std::u32string lower;
  for (const char32_t code_point : text) {
    if (const Mapping* found = MappingOf(kLower, code_point)) {
      lower.append(kLowerText + found->begin, found->length);
    } else {
      lower += code_point;
    }
  }
  return lower;
}

std::u32string Normalize(std::u32string_view text, NormalForm form) {
  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  std::u32string decomposed;
  for (const char32_t code_point : text) AppendDecomposed(code_point, compatible, decomposed);
  OrderMarks(decomposed);
  return form == NormalForm::kNfd || form == NormalForm::kNfkd ? decomposed : ComposedText(decomposed);
}

}  // namespace slm
