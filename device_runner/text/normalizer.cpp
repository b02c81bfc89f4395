#include "text/normalizer.h"

#include <optional>

#include "text/byte_alphabet.h"
#include "text/pattern.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace slm {
namespace {

std::optional<NormalForm> FormNamed(std::string_view name) {
  if (name == "NFC") return NormalForm::kNfc;
  if (name == "NFD") return NormalForm::kNfd;
  if (name == "NFKC") return NormalForm::kNfkc;
  if (name == "NFKD") return NormalForm::kNfkd;
  return std::nullopt;
}

std::u32string Stripped(std::u32string text, bool left, bool right) {
  size_t begin = 0, end = text.size();
  while (left && begin < end && IsWhiteSpace(text[begin])) ++begin;
  while (right && end > begin && IsWhiteSpace(text[end - 1])) --end;
  return text.substr(begin, end - begin);
}

std::u32string Replaced(const std::u32string& text, const Pattern& pattern, const std::u32string& content) {
  std::u32string replaced;
  size_t copied = 0;
  while (const std::optional<Pattern::Match> match = pattern.Find(text, copied)) {
    replaced.append(text, copied, match->begin - copied);
    replaced += content;
    copied = match->end;
  }
  return replaced.append(text, copied);
}

}  // namespace

Status ReadPattern(JsonView description, Pattern& pattern) {
  if (const std::optional<std::string> regex = description["Regex"].String()) {
    return Pattern::Compile(*regex, pattern);
  }
  std::u32string text;
  if (!DecodeUtf8(description["String"].StringOr(""), text) || text.empty()) {
    return {ErrorKind::kModelInterface, "a pattern without text"};
  }
  pattern = Pattern::Literal(text);
  return {};
}

Status Normalizer::Read(JsonView description, Normalizer& normalizer) {
  normalizer.steps_.clear();
  return normalizer.Add(description);
}

std::u32string Normalizer::Apply(std::u32string text) const {
  for (const Step& step : steps_) text = step(std::move(text));
  return text;
}

Status Normalizer::Add(JsonView description) {
  if (description.IsNull()) return {};
  const std::string type = description["type"].StringOr("");
  if (type == "Sequence") {
    Status status;
    description["normalizers"].ForEachElement([&](JsonView one) {
      if (status.ok()) status = Add(one);
    });
    return status;
  }
  if (const std::optional<NormalForm> form = FormNamed(type)) {
    steps_.emplace_back([form = *form](const std::u32string& text) { return Normalize(text, form); });
    return {};
  }
  if (type == "Lowercase") {
    steps_.emplace_back([](const std::u32string& text) { return LowerCase(text); });
    return {};
  }
  if (type == "Prepend") {
    std::u32string front;
    if (!DecodeUtf8(description["prepend"].StringOr(""), front)) front.clear();
    steps_.emplace_back([front](const std::u32string& text) { return text.empty() ? text : front + text; });
    return {};
  }
  if (type == "Strip") {
    const bool left = description["strip_left"].BooleanOr(true);
    const bool right = description["strip_right"].BooleanOr(true);
    steps_.emplace_back([=](std::u32string text) { return Stripped(std::move(text), left, right); });
    return {};
  }
  if (type == "StripAccents") {
    steps_.emplace_back([](std::u32string text) {
      std::erase_if(text, [](char32_t one) { return (CategoryOf(one) & CategoriesNamed("M")) != 0; });
      return text;
    });
    return {};
  }
  if (type == "ByteLevel") {
    steps_.emplace_back([](const std::u32string& text) { return LettersOfBytes(EncodeUtf8(text)); });
    return {};
  }
  if (type == "Replace") return AddReplacement(description);
  return {ErrorKind::kModelInterface, "the normalizer " + type + ", which this runner does not know"};
}

Status Normalizer::AddReplacement(JsonView description) {
  Pattern pattern;
  if (Status status = ReadPattern(description["pattern"], pattern); !status.ok()) return status;
  std::u32string content;
  if (!DecodeUtf8(description["content"].StringOr(""), content)) content.clear();
  steps_.emplace_back([pattern = std::move(pattern), content](const std::u32string& text) {
    return Replaced(text, pattern, content);
  });
  return {};
}

}  // namespace slm
