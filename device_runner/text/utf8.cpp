#include "text/utf8.h"

namespace slm {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// Bytes of the character that begins here: 0 where none does, and more than `bytes` holds where it is cut
// short.
size_t LengthAt(std::string_view bytes) {
  const auto at = [&](size_t index) { return static_cast<unsigned char>(bytes[index]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xC2 && first < 0xE0   ? 2
                        : first >= 0xE0 && first < 0xF0 ? 3
                        : first >= 0xF0 && first < 0xF5 ? 4
                                                        : 0;
  for (size_t index = 1; index < length && index < bytes.size(); ++index) {
    if ((at(index) & 0xC0) != 0x80) return 0;
  }
  if (length < 3 || bytes.size() < 2) return length;
  // Too long a form, a surrogate, or beyond the last code point.
  const unsigned char second = at(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0)) return 0;
  if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90)) return 0;
  return length;
}

}  // namespace

void AppendUtf8(char32_t code_point, std::string& text) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((code_point >> shift) & 0x3F)); };
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    text += static_cast<char>(0xC0 | (code_point >> 6));
    tail(0);
  } else if (code_point < 0x10000) {
    text += static_cast<char>(0xE0 | (code_point >> 12));
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0 | (code_point >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

std::string EncodeUtf8(std::u32string_view text) {
  std::string encoded;
  for (const char32_t code_point : text) AppendUtf8(code_point, encoded);
  return encoded;
}

bool DecodeUtf8(std::string_view text, std::u32string& decoded) {
  decoded.clear();
  while (!text.empty()) {
    const size_t length = LengthAt(text);
    if (length == 0 || length > text.size()) return false;
    const auto first = static_cast<unsigned char>(text[0]);
    auto code_point = static_cast<char32_t>(length == 1 ? first : first & (0x7F >> length));
    for (size_t index = 1; index < length; ++index) {
      code_point = (code_point << 6) | (static_cast<unsigned char>(text[index]) & 0x3F);
    }
    decoded += code_point;
    text.remove_prefix(length);
  }
  return true;
}

size_t WholeCharacters(std::string_view bytes) {
  size_t whole = 0;
  while (whole < bytes.size()) {
    const size_t length = LengthAt(bytes.substr(whole));
    if (whole + length > bytes.size()) break;
    whole += length == 0 ? 1 : length;
  }
  return whole;
}

std::string RepairedUtf8(std::string_view bytes) {
  std::string repaired;
  while (!bytes.empty()) {
    size_t length = LengthAt(bytes);
    if (length == 0 || length > bytes.size()) {
      AppendUtf8(kReplacement, repaired);
      length = 1;
    } else {
      repaired += bytes.substr(0, length);
    }
    bytes.remove_prefix(length);
  }
  return repaired;
}

}  // namespace slm
