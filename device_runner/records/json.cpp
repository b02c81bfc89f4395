#include "records/json.h"

#include <array>
#include <cmath>
#include <cstdio>

namespace slm {

std::string JsonQuote(std::string_view text) {
  std::string quoted = "\"";
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (character == '"' || character == '\\') {
      quoted += '\\';
      quoted += character;
    } else if (byte < 0x20 || byte == 0x7f) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(byte));
      quoted += escape.data();
    } else {
      quoted += character;
    }
  }
  return quoted + '"';
}

JsonObject& JsonObject::Raw(std::string_view name, std::string_view json) {
  if (text_.size() > 1) text_ += ',';
  text_ += JsonQuote(name);
  text_ += ':';
  text_ += json;
  return *this;
}

JsonObject& JsonObject::Add(std::string_view name, const std::vector<std::string>& values) {
  std::vector<std::string> quoted;
  quoted.reserve(values.size());
  for (const std::string& value : values) quoted.push_back(JsonQuote(value));
  return Raw(name, JsonArray(quoted));
}

JsonObject& JsonObject::Add(std::string_view name, const std::vector<double>& values) {
  std::vector<std::string> numbers;
  numbers.reserve(values.size());
  for (const double value : values) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.9g", value);
    numbers.emplace_back(std::isinf(value) ? "-1e999" : text.data());
  }
  return Raw(name, JsonArray(numbers));
}

std::string JsonArray(std::span<const std::string> elements) {
  std::string array = "[";
  for (const std::string& element : elements) {
    if (array.size() > 1) array += ',';
    array += element;
  }
  return array + ']';
}

}  // namespace slm
