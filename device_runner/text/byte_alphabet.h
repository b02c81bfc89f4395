// The letters that byte-level vocabularies write bytes in (GPT-2's bytes_to_unicode).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace slm {

std::u32string LettersOfBytes(std::string_view bytes);

// Empty where one of the letters stands for no byte.
std::optional<std::string> BytesOfLetters(std::u32string_view letters);

}  // namespace slm
