// Reads the graph that an XNNPACK delegate of a .pte holds, as far as row programs can run it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "rows/graph.h"

namespace slm {

// Calls `take` with the bytes under a key of the program's named data.
using NamedData =
    std::function<void(const std::string& key, const std::function<void(std::span<const uint8_t>)>& take)>;

// Throws rows::NotCovered, or BrokenFlatbuffer for what is no graph at all.
rows::Graph ReadXnnpackGraph(std::span<const uint8_t> payload, const NamedData& named_data);

}  // namespace slm
