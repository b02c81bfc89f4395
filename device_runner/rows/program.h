// Runs a graph on a block of rows at a time.
//
// Every operator of a decoder that a delegate can hold works on each token for itself. So a prefill is cut
// into blocks of tokens, and each thread takes its blocks through all operators: intermediate results stay in
// its cache, and threads meet once per graph instead of once per operator. With few tokens, as in decode, one
// thread runs the operators and all share each product, by columns.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/kernel_set.h"
#include "kernels/matmul/weight_memory.h"
#include "kernels/parallel_for.h"
#include "rows/graph.h"
#include "rows/steps.h"

namespace slm::rows {

// What the programs of a model share. They run one after the other.
struct Resources {
  const kernels::KernelSet* kernels = nullptr;
  // Outlives the programs.
  kernels::ParallelFor* threads = nullptr;
  // Of packed weights.
  WeightMemory memory;
  // One per thread.
  std::vector<Workspace> workspaces;
};

// A graph turned into steps (compile.h).
struct Compiled {
  // Sizes [1, rows, ...] of each output, with its place among the arguments.
  struct Output {
    uint32_t position = 0;
    std::vector<int64_t> row_shape;
  };
  int64_t maximum_rows = 1;
  std::vector<Output> outputs;
  // Positions of the arguments that are read.
  std::vector<uint32_t> inputs;
  // Floats per row of an argument.
  std::vector<int64_t> argument_widths;
  // By value; places point into them.
  std::vector<std::vector<float>> constants;
  std::vector<Place> places;
  std::vector<Step> steps;
  // By step: the operation of the graph that it stands for, the first of several.
  std::vector<uint32_t> origins;
  // Floats per row of a workspace.
  int64_t workspace_width = 0;
};

class Program {
 public:
  using Output = Compiled::Output;

  // Packs the weights; `graph` is not needed afterwards. Throws NotCovered.
  Program(Graph graph, std::shared_ptr<Resources> resources);

  const std::vector<Output>& outputs() const { return compiled_.outputs; }
  const std::vector<uint32_t>& inputs() const { return compiled_.inputs; }
  int64_t width(uint32_t position) const { return compiled_.argument_widths[position]; }
  int64_t maximum_rows() const { return compiled_.maximum_rows; }
  const std::vector<uint32_t>& origins() const { return compiled_.origins; }

  // `arguments` holds [rows][width] floats each, by position; 0 < rows <= maximum_rows(). `step_ns` gets the
  // time of each step; where threads run blocks side by side, its share of the time that all of it took.
  void Run(std::span<float* const> arguments, int64_t rows, std::vector<int64_t>* step_ns = nullptr);

 private:
  // `shared`: products are shared among all threads. Adds to `step_ns`, unless that is empty.
  void RunBlock(const Block& block, bool shared, std::span<int64_t> step_ns) const;
  void RunStep(const Block& block, bool shared, const Step& step) const;
  void Multiply(const Block& block, const ProductsStep& step, bool shared) const;
  void Reserve(int64_t block_rows);

  std::shared_ptr<Resources> resources_;
  Compiled compiled_;
};

}  // namespace slm::rows
