// Numbers in text, whatever the process's locale is.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "engine/status.h"

namespace slm {

inline constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// The whole text must be one decimal integer from minimum to maximum; kUsage otherwise.
Status ParseInteger(std::string_view text, int64_t minimum, int64_t maximum, int64_t& value);
// The whole text as a decimal number; nothing for any other text, infinities and NaN included.
std::optional<double> ParseNumber(std::string_view text);

}  // namespace slm
