// Reads JSON in place: a tokenizer has hundreds of thousands of values, and a tree of them would fill a
// phone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/status.h"

namespace slm {

// A value within checked text; an absent one is null.
class JsonView {
 public:
  JsonView() : JsonView("null", 0) {}
  // `text` must have passed CheckJson and outlives the view.
  explicit JsonView(std::string_view text) : JsonView(text, SkipSpace(text, 0)) {}

  bool IsNull() const { return First() == 'n'; }
  bool IsObject() const { return First() == '{'; }
  bool IsArray() const { return First() == '['; }
  bool IsString() const { return First() == '"'; }

  // Empty where it is something else.
  std::optional<std::string> String() const;
  std::optional<double> Number() const;
  std::optional<int64_t> Integer() const;
  std::optional<bool> Boolean() const;

  std::string StringOr(std::string_view otherwise) const { return String().value_or(std::string(otherwise)); }
  bool BooleanOr(bool otherwise) const { return Boolean().value_or(otherwise); }

  // The last member of that name counts, as for other readers.
  JsonView operator[](std::string_view name) const;

  // Calls `take(std::string name, JsonView value)` for each member of an object.
  template <typename Take>
  void ForEachMember(Take take) const {
    if (!IsObject()) return;
    for (size_t at = SkipSpace(text_, at_ + 1); text_[at] != '}'; at = NextItem(at)) {
      const JsonView name(text_, at);
      at = SkipSpace(text_, SkipSpace(text_, Skip(text_, at)) + 1);
      take(*name.String(), JsonView(text_, at));
      at = Skip(text_, at);
    }
  }
  // Calls `take(JsonView value)` for each element of an array.
  template <typename Take>
  void ForEachElement(Take take) const {
    if (!IsArray()) return;
    for (size_t at = SkipSpace(text_, at_ + 1); text_[at] != ']'; at = NextItem(at)) {
      take(JsonView(text_, at));
      at = Skip(text_, at);
    }
  }

 private:
  JsonView(std::string_view text, size_t at) : text_(text), at_(at) {}

  char First() const { return text_[at_]; }
  // Behind a value: past the comma, or at the closing bracket.
  size_t NextItem(size_t at) const {
    at = SkipSpace(text_, at);
    return text_[at] == ',' ? SkipSpace(text_, at + 1) : at;
  }
  static size_t SkipSpace(std::string_view text, size_t at);
  static size_t Skip(std::string_view text, size_t at);

  std::string_view text_;
  size_t at_;
};

// Whether all of `text` is one JSON value in UTF-8 without surrogates that stand alone.
Status CheckJson(std::string_view text);

}  // namespace slm
