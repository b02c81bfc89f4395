#include "text/pre_tokenizer.h"

#include <algorithm>
#include <optional>

#include "text/byte_alphabet.h"
#include "text/normalizer.h"
#include "text/pattern.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace slm {
namespace {

// What the pre-tokenizer ByteLevel cuts by when it is not told otherwise: GPT-2's.
constexpr std::string_view kWords =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

enum class Behavior { kRemoved, kIsolated, kContiguous, kMergedWithPrevious, kMergedWithNext };

std::optional<Behavior> BehaviorNamed(std::string_view name) {
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "Contiguous") return Behavior::kContiguous;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  return std::nullopt;
}

struct Span {
  size_t begin;
  size_t end;
  bool matches;
};

std::vector<Span> SpansOf(const std::u32string& text, const Pattern& pattern, bool inverted) {
  std::vector<Span> spans;
  size_t done = 0;
  while (const std::optional<Pattern::Match> match = pattern.Find(text, done)) {
    if (match->begin > done) spans.push_back({done, match->begin, inverted});
    spans.push_back({match->begin, match->end, !inverted});
    done = match->end;
  }
  if (done < text.size()) spans.push_back({done, text.size(), inverted});
  return spans;
}

std::vector<Span> SpansOf(const std::u32string& text, const std::function<bool(char32_t)>& matches) {
  std::vector<Span> spans;
  for (size_t at = 0; at < text.size(); ++at) {
    const bool match = matches(text[at]);
    // A run of others is one span, each that matches its own.
    if (!match && !spans.empty() && !spans.back().matches) {
      spans.back().end = at + 1;
    } else {
      spans.push_back({at, at + 1, match});
    }
  }
  return spans;
}

std::vector<Span> Joined(const std::vector<Span>& spans, Behavior behavior) {
  std::vector<Span> joined;
  bool previous = false;
  const auto take = [&](const Span& span) {
    const bool first = joined.empty();
    switch (behavior) {
      case Behavior::kRemoved:
        if (!span.matches) joined.push_back(span);
        break;
      case Behavior::kIsolated:
        joined.push_back(span);
        break;
      case Behavior::kContiguous:
        if (!first && joined.back().matches == span.matches) {
          joined.back().end = span.end;
        } else {
          joined.push_back(span);
        }
        break;
      case Behavior::kMergedWithPrevious:
        if (!first && span.matches && !previous) {
          joined.back().end = span.end;
        } else {
          joined.push_back(span);
        }
        break;
      case Behavior::kMergedWithNext:
        if (!first && span.matches && !previous) {
          joined.back().begin = span.begin;
        } else {
          joined.push_back(span);
        }
        break;
    }
    previous = span.matches;
  };
  if (behavior == Behavior::kMergedWithNext) {
    std::for_each(spans.rbegin(), spans.rend(), take);
    std::reverse(joined.begin(), joined.end());
  } else {
    std::for_each(spans.begin(), spans.end(), take);
  }
  return joined;
}

std::vector<Piece> Cut(const Piece& piece, const std::vector<Span>& spans) {
  std::vector<Piece> pieces;
  for (const Span& span : spans) {
    pieces.push_back({piece.text.substr(span.begin, span.end - span.begin), piece.leads && span.begin == 0});
  }
  return pieces;
}

// The same with a letter in front, unless it begins with that.
Piece WithFront(const Piece& piece, char32_t front) {
  if (!piece.text.empty() && piece.text.front() == front) return piece;
  return {std::u32string(1, front) + piece.text, piece.leads};
}

bool IsPunctuation(char32_t one) {
  return (one < 0x80 && one > 0x20 && one != 0x7F &&
          (CategoryOf(one) & (CategoriesNamed("L") | CategoriesNamed("N"))) == 0) ||
         (CategoryOf(one) & CategoriesNamed("P")) != 0;
}

}  // namespace

Status PreTokenizer::Read(JsonView description, PreTokenizer& pre_tokenizer) {
  pre_tokenizer.steps_.clear();
  return pre_tokenizer.Add(description);
}

std::vector<Piece> PreTokenizer::Apply(Piece piece) const {
  std::vector<Piece> pieces;
  pieces.push_back(std::move(piece));
  for (const Step& step : steps_) {
    std::vector<Piece> cut;
    for (Piece& one : pieces) {
      std::vector<Piece> parts = step(std::move(one));
      std::move(parts.begin(), parts.end(), std::back_inserter(cut));
    }
    pieces = std::move(cut);
  }
  return pieces;
}

Status PreTokenizer::Add(JsonView description) {
  if (description.IsNull()) return {};
  const std::string type = description["type"].StringOr("");
  if (type == "Sequence") {
    Status status;
    description["pretokenizers"].ForEachElement([&](JsonView one) {
      if (status.ok()) status = Add(one);
    });
    return status;
  }
  if (type == "ByteLevel") return AddByteLevel(description);
  if (type == "Split") return AddSplit(description);
  if (type == "Metaspace") return AddMetaspace(description);
  if (type == "Digits") {
    const bool each = description["individual_digits"].BooleanOr(false);
    steps_.emplace_back([each](const Piece& piece) {
      const auto is_number = [](char32_t one) { return (CategoryOf(one) & CategoriesNamed("N")) != 0; };
      return Cut(piece,
                 Joined(SpansOf(piece.text, is_number), each ? Behavior::kIsolated : Behavior::kContiguous));
    });
    return {};
  }
  if (type == "Punctuation") {
    const std::optional<Behavior> behavior = BehaviorNamed(description["behavior"].StringOr("Isolated"));
    if (!behavior) return {ErrorKind::kModelInterface, "a behavior that this runner does not know"};
    steps_.emplace_back([behavior = *behavior](const Piece& piece) {
      return Cut(piece, Joined(SpansOf(piece.text, IsPunctuation), behavior));
    });
    return {};
  }
  if (type == "WhitespaceSplit") {
    steps_.emplace_back([](const Piece& piece) {
      return Cut(piece, Joined(SpansOf(piece.text, IsWhiteSpace), Behavior::kRemoved));
    });
    return {};
  }
  return {ErrorKind::kModelInterface, "the pre-tokenizer " + type + ", which this runner does not know"};
}

Status PreTokenizer::AddByteLevel(JsonView description) {
  const bool adds_space = description["add_prefix_space"].BooleanOr(true);
  const bool cuts = description["use_regex"].BooleanOr(true);
  Pattern words;
  if (Status status = Pattern::Compile(kWords, words); !status.ok()) return status;
  steps_.emplace_back([=, words = std::move(words)](const Piece& piece) {
    const Piece whole = adds_space ? WithFront(piece, U' ') : piece;
    std::vector<Piece> pieces = cuts ? Cut(whole, SpansOf(whole.text, words, false)) : std::vector{whole};
    for (Piece& one : pieces) one.text = LettersOfBytes(EncodeUtf8(one.text));
    return pieces;
  });
  return {};
}

Status PreTokenizer::AddSplit(JsonView description) {
  Pattern pattern;
  if (Status status = ReadPattern(description["pattern"], pattern); !status.ok()) return status;
  const std::optional<Behavior> behavior = BehaviorNamed(description["behavior"].StringOr(""));
  if (!behavior) return {ErrorKind::kModelInterface, "a behavior that this runner does not know"};
  const bool inverted = description["invert"].BooleanOr(false);
  steps_.emplace_back([pattern = std::move(pattern), behavior = *behavior, inverted](const Piece& piece) {
    return Cut(piece, Joined(SpansOf(piece.text, pattern, inverted), behavior));
  });
  return {};
}

Status PreTokenizer::AddMetaspace(JsonView description) {
  std::u32string mark;
  if (!DecodeUtf8(description["replacement"].StringOr("\u2581"), mark) || mark.size() != 1) {
    return {ErrorKind::kModelInterface, "the pre-tokenizer Metaspace with a mark that is no character"};
  }
  const bool adds_space = description["add_prefix_space"].BooleanOr(true);
  const std::string scheme = adds_space ? description["prepend_scheme"].StringOr("always") : "never";
  const bool cuts = description["split"].BooleanOr(true);
  steps_.emplace_back([=, mark = mark[0]](Piece piece) {
    std::replace(piece.text.begin(), piece.text.end(), U' ', mark);
    const bool prepends = scheme == "always" || (scheme == "first" && piece.leads);
    const Piece whole = prepends ? WithFront(piece, mark) : piece;
    if (!cuts) return std::vector{whole};
    const auto is_mark = [mark](char32_t one) { return one == mark; };
    return Cut(whole, Joined(SpansOf(whole.text, is_mark), Behavior::kMergedWithNext));
  });
  return {};
}

}  // namespace slm
