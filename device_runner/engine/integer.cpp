#include "engine/integer.h"

#include <charconv>
#include <string>

namespace slm {

Status ParseInteger(std::string_view text, int64_t minimum, int64_t maximum, int64_t& value) {
  int64_t parsed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc{} || end != text.data() + text.size() || parsed < minimum || parsed > maximum) {
    const std::string upper = maximum == kNoLimit ? "" : " and at most " + std::to_string(maximum);
    return {ErrorKind::kUsage,
            "'" + std::string(text) + "' is not an integer of at least " + std::to_string(minimum) + upper};
  }
  value = parsed;
  return {};
}

}  // namespace slm
