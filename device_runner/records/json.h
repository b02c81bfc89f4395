// Writes JSON on one line. Enough for records; there is nothing to parse.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace slm {

std::string JsonQuote(std::string_view text);

// An object that grows by one member per call; text() closes it.
class JsonObject {
 public:
  JsonObject& Add(std::string_view name, std::string_view value) { return Raw(name, JsonQuote(value)); }
  JsonObject& Add(std::string_view name, const char* value) { return Add(name, std::string_view(value)); }
  JsonObject& Add(std::string_view name, bool value) { return Raw(name, value ? "true" : "false"); }
  template <std::integral Number>
  JsonObject& Add(std::string_view name, Number value) {
    return Raw(name, std::to_string(value));
  }
  // Left out where it is unknown.
  template <std::integral Number>
  JsonObject& Add(std::string_view name, const std::optional<Number>& value) {
    return value ? Add(name, *value) : *this;
  }
  template <std::integral Number>
  JsonObject& Add(std::string_view name, const std::vector<Number>& values) {
    std::string array = "[";
    for (const Number value : values) {
      if (array.size() > 1) array += ',';
      array += std::to_string(value);
    }
    return Raw(name, array + ']');
  }
  JsonObject& Add(std::string_view name, const std::vector<std::string>& values);
  // With all digits that a float has; minus infinity as a number that no reader can hold.
  JsonObject& Add(std::string_view name, const std::vector<double>& values);
  // `json` is already JSON: a nested object or array.
  JsonObject& Raw(std::string_view name, std::string_view json);

  std::string text() const { return text_ + '}'; }

 private:
  std::string text_ = "{";
};

std::string JsonArray(std::span<const std::string> elements);

}  // namespace slm
