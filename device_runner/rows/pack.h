// Quantized weights of a graph in the order in which the kernels read them.
#pragma once

#include "kernels/matmul/weight_memory.h"
#include "kernels/matmul/weights.h"
#include "rows/graph.h"

namespace slm::rows {

struct PackedWeights {
  kernels::WeightLayout layout;
  const std::byte* bytes = nullptr;
};

// Packs [output channels, input channels]; the filter's own bytes are given up, as a file's weights are much
// to hold twice. Throws NotCovered for types and layouts that the kernels lack.
PackedWeights PackFilter(Value& filter, WeightMemory& memory);

}  // namespace slm::rows
