// Between UTF-8 and code points.
#pragma once

#include <string>
#include <string_view>

namespace slm {

void AppendUtf8(char32_t code_point, std::string& text);
std::string EncodeUtf8(std::u32string_view text);

// False where `text` is not UTF-8; `decoded` then holds what came before.
bool DecodeUtf8(std::string_view text, std::u32string& decoded);

// The longest beginning of `bytes` that holds whole characters only. What no UTF-8 begins with counts as one,
// since no later byte will complete it.
size_t WholeCharacters(std::string_view bytes);

// The same text with a replacement character for each byte that is not UTF-8.
std::string RepairedUtf8(std::string_view bytes);

}  // namespace slm
