#include "text/byte_alphabet.h"

#include <array>

namespace slm {
namespace {

// Bytes that print in Latin-1 are themselves; the others take the letters from 256 on, in order.
bool Prints(size_t byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr size_t kBytes = 256;
constexpr size_t kOthers = 68;

struct Alphabet {
  std::array<char32_t, kBytes> letters{};
  std::array<int, kBytes + kOthers> bytes{};

  Alphabet() {
    bytes.fill(-1);
    size_t other = kBytes;
    for (size_t byte = 0; byte < kBytes; ++byte) {
      const size_t letter = Prints(byte) ? byte : other++;
      letters[byte] = static_cast<char32_t>(letter);
      bytes[letter] = static_cast<int>(byte);
    }
  }
};

const Alphabet& TheAlphabet() {
  static const Alphabet alphabet;
  return alphabet;
}

}  // namespace

std::u32string LettersOfBytes(std::string_view bytes) {
  std::u32string letters;
  for (const char byte : bytes) letters += TheAlphabet().letters[static_cast<unsigned char>(byte)];
  return letters;
}

std::optional<std::string> BytesOfLetters(std::u32string_view letters) {
  std::string bytes;
  for (const char32_t letter : letters) {
    const auto& known = TheAlphabet().bytes;
    const int byte = letter < known.size() ? known[letter] : -1;
    if (byte < 0) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

}  // namespace slm
