#include "text/token_decoder.h"

#include "text/byte_alphabet.h"
#include "text/normalizer.h"
#include "text/pattern.h"
#include "text/utf8.h"

namespace slm {
namespace {

std::string Replaced(const std::string& text, const std::string& from, const std::string& to) {
  std::string replaced;
  size_t copied = 0;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, copied)) {
    replaced.append(text, copied, at - copied).append(to);
    copied = at + from.size();
  }
  return replaced.append(text, copied);
}

int HexDigit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

std::string ByteOfToken(std::string token, bool) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return token;
  const int high = HexDigit(token[3]), low = HexDigit(token[4]);
  return high < 0 || low < 0 ? token : std::string(1, static_cast<char>(high * 16 + low));
}

std::string BytesOfToken(std::string token, bool) {
  std::u32string letters;
  if (!DecodeUtf8(token, letters)) return token;
  return BytesOfLetters(letters).value_or(token);
}

}  // namespace

Status TokenDecoder::Read(JsonView description, TokenDecoder& decoder) {
  decoder = {};
  if (description.IsNull()) {
    decoder.steps_.emplace_back([](std::string token, bool leads) { return leads ? token : " " + token; });
    return {};
  }
  return decoder.Add(description);
}

std::string TokenDecoder::Decode(const std::string& token, bool leads) const {
  std::string text = token;
  for (const Step& step : steps_) text = step(std::move(text), leads);
  return text;
}

Status TokenDecoder::Add(JsonView description) {
  const std::string type = description["type"].StringOr("");
  if (type == "Sequence") {
    Status status;
    description["decoders"].ForEachElement([&](JsonView one) {
      if (status.ok()) status = Add(one);
    });
    return status;
  }
  if (type == "ByteLevel") {
    steps_.emplace_back(BytesOfToken);
  } else if (type == "ByteFallback") {
    steps_.emplace_back(ByteOfToken);
  } else if (type == "Fuse") {
    fused_ = true;
  } else if (type == "Metaspace") {
    const std::string mark = description["replacement"].StringOr("\u2581");
    const bool adds_space = description["add_prefix_space"].BooleanOr(true);
    const bool prepended = adds_space && description["prepend_scheme"].StringOr("always") != "never";
    steps_.emplace_back([=](const std::string& token, bool leads) {
      return Replaced(token, mark, leads && prepended ? "" : " ");
    });
  } else if (type == "Replace") {
    const std::string from = description["pattern"]["String"].StringOr("");
    const std::string to = description["content"].StringOr("");
    if (from.empty()) return {ErrorKind::kModelInterface, "a decoder that replaces no plain text"};
    steps_.emplace_back([=](const std::string& token, bool) { return Replaced(token, from, to); });
  } else if (type == "Strip") {
    return AddStrip(description);
  } else {
    return {ErrorKind::kModelInterface, "the decoder " + type + ", which this runner does not know"};
  }
  return {};
}

Status TokenDecoder::AddStrip(JsonView description) {
  const std::string content = description["content"].StringOr(" ");
  const int64_t start = description["start"].Integer().value_or(0);
  // The end of a text is not known while it comes.
  if (description["stop"].Integer().value_or(0) != 0 || content.empty()) {
    return {ErrorKind::kModelInterface, "a decoder that takes away what texts end with"};
  }
  steps_.emplace_back([=, fused = fused_](std::string token, bool leads) {
    if (fused && !leads) return token;
    for (int64_t count = 0; count < start && token.starts_with(content); ++count)
      token.erase(0, content.size());
    return token;
  });
  return {};
}

}  // namespace slm
