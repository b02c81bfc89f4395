// The words of one line that asks for something.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/status.h"

namespace slm {

// No request is for more.
constexpr int64_t kMaximumTokens = int64_t{1} << 31;

// Nothing for what is no decimal number as a whole, infinite or not a number.
std::optional<double> ParseNumber(std::string_view text);

// The next word; `name` is what the message calls it.
Status NextInteger(std::istream& words, const std::string& name, int64_t minimum, int64_t maximum,
                   int64_t& value);
Status NextNumber(std::istream& words, const std::string& name, double minimum, double maximum,
                  double& value);
// Token ids with commas, or "-" for none. Where `sequences` can be had, ids joined by "+" are one of them.
Status NextStops(std::istream& words, std::vector<int64_t>& stops,
                 std::vector<std::vector<int64_t>>* sequences = nullptr);
// All further words; appended.
Status RestAsTokens(std::istream& words, std::vector<int64_t>& tokens);

}  // namespace slm
