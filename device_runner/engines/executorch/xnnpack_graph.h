// Reads the graph that an XNNPACK delegate of a .pte holds, as far as row programs can run it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "rows/graph.h"

namespace slm {

// The bytes under a key of the program's named data.
using NamedData = std::function<rows::SharedBytes(const std::string& key)>;

// The graph's constants lie in the payload, or where the named data are. Throws rows::NotCovered, or
// BrokenFlatbuffer for what is no graph at all.
rows::Graph ReadXnnpackGraph(std::span<const uint8_t> payload, const NamedData& named_data);

}  // namespace slm
