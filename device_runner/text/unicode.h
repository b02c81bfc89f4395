// What Unicode says about code points; the tables are written by write_unicode_tables.py.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace slm {

// General categories in the order of the standard's table: Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf
// Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn.
using Categories = uint32_t;  // one bit each

// The bits of a name like "Lu" or "L"; 0 for one that is not known.
Categories CategoriesNamed(std::string_view name);

// The bit of a code point's category.
Categories CategoryOf(char32_t code_point);

// The property White_Space.
bool IsWhiteSpace(char32_t code_point);

// The lower-case form of each code point by itself; without a rule for the last letter of a word.
std::u32string LowerCase(std::u32string_view text);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

// Unicode's normalization forms (annex 15).
std::u32string Normalize(std::u32string_view text, NormalForm form);

}  // namespace slm
