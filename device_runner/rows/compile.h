// From a graph to the steps of a row program.
#pragma once

#include "kernels/matmul/weight_memory.h"
#include "rows/graph.h"
#include "rows/program.h"

namespace slm::rows {

// Packs the weights into `memory`. Throws NotCovered.
Compiled Compile(Graph graph, WeightMemory& memory);

}  // namespace slm::rows
