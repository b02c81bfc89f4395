// Where computed values lie while a program runs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "rows/steps.h"

namespace slm::rows {

// Gives what the steps write, and has no place yet, memory of the workspace; values that are never needed at
// the same time share it. `widths` are in floats per row, `roots` name for each value the one whose memory it
// shares, or itself. Returns the floats per row that the workspace needs. Throws NotCovered where a step
// reads what no step writes.
int64_t PlanMemory(std::span<const Step> steps, std::span<const uint32_t> roots,
                   std::span<const int64_t> widths, std::vector<Place>& places);

}  // namespace slm::rows
