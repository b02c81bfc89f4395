#include "engine/numbers.h"

#include <charconv>
#include <locale>
#include <sstream>
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

// libc++ has no from_chars for floating point, and strtod would ask the process's locale what a decimal point
// is.
std::optional<double> ParseNumber(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789.eE+-") != std::string_view::npos)
    return std::nullopt;
  // A tokenizer has hundreds of thousands of them, and making a stream costs more than reading one.
  thread_local std::istringstream stream = [] {
    std::istringstream made;
    made.imbue(std::locale::classic());
    return made;
  }();
  stream.clear();
  stream.str(std::string(text));
  double parsed = 0;
  stream >> parsed;
  const bool whole = !stream.fail() && stream.peek() == std::istringstream::traits_type::eof();
  return whole ? std::optional(parsed) : std::nullopt;
}

}  // namespace slm
