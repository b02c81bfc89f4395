// Runs the graph of a delegate on a block of rows at a time.
//
// Every node of a decoder that a delegate can hold works on each token for itself. So a prefill is cut into
// blocks of tokens, and each thread takes its blocks through all nodes: intermediate results stay in its
// cache, and threads meet once per delegate instead of once per node. With few tokens, as in decode, one
// thread runs the nodes and all share each product, by columns.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engines/executorch/row_operators.h"
#include "engines/executorch/xnnpack_graph.h"
#include "kernels/kernel_set.h"
#include "kernels/weight_memory.h"

namespace slm {

// What the programs of a model share. They run one after the other.
struct RowResources {
  const kernels::KernelSet* kernels = nullptr;
  int threads = 1;
  // Of packed weights.
  WeightMemory memory;

  // What one thread needs to run a block.
  struct Workspace {
    std::vector<float> values;
    std::vector<int8_t> bytes;
    std::vector<float> scales;
    std::vector<int32_t> starts;
    std::vector<float> sums;
  };
  std::vector<Workspace> workspaces;
};

class RowProgram {
 public:
  // Packs the weights; `graph` is not needed afterwards. Throws NotCovered.
  RowProgram(XnnGraph graph, std::shared_ptr<RowResources> resources);

  // Sizes [1, rows, ...] of each output, with its place among the arguments.
  struct Output {
    uint32_t position = 0;
    std::vector<int64_t> row_shape;
  };
  const std::vector<Output>& outputs() const { return outputs_; }
  // The arguments that are read.
  const std::vector<uint32_t>& inputs() const { return inputs_; }

  // Floats per row of an argument.
  int64_t width(uint32_t position) const { return argument_widths_[position]; }
  int64_t most_rows() const { return most_rows_; }

  // `arguments` holds [rows][width] floats each, by position; 0 < rows <= most_rows().
  void Run(std::span<float* const> arguments, int64_t rows);

 private:
  // Where a value lies: a constant, an argument of the call, or the workspace.
  struct Place {
    enum class Kind { kNowhere, kConstant, kArgument, kWorkspace };
    Kind kind = Kind::kNowhere;
    const float* constant = nullptr;
    uint32_t position = 0;
    // In floats per row of a block.
    int64_t offset = 0;
    // Floats per row.
    int64_t width = 0;
  };

  // An operand of a binary operator: distances between its elements, 0 where it repeats.
  struct Strides {
    int64_t row = 0;
    int64_t outer = 0;
    int64_t inner = 0;
  };

  struct Matrix {
    kernels::WeightLayout layout;
    const std::byte* packed = nullptr;
    std::vector<float> bias;
    uint32_t output = 0;
  };

  struct Step {
    enum class Kind { kUnary, kBinary, kWeightedSums, kCopy, kProducts };
    Kind kind = Kind::kUnary;
    Unary unary = Unary::kSquare;
    Binary binary = Binary::kAdd;
    uint32_t left = 0;
    uint32_t right = 0;
    uint32_t output = 0;
    Strides left_strides;
    Strides right_strides;
    int64_t outer = 1;
    int64_t inner = 1;
    float bias = 0.0F;
    // Of a copy of columns, per outer block of a row.
    int64_t input_start = 0;
    int64_t input_stride = 0;
    int64_t output_start = 0;
    int64_t output_stride = 0;
    // Products with one input, which is rounded once for all.
    std::vector<Matrix> matrices;
    // Rows of the product per row of the program.
    int64_t rows_per_row = 1;
  };

  // A block of rows on its way through the steps.
  struct Block {
    std::span<float* const> arguments;
    int64_t first = 0;
    int64_t rows = 0;
    // Rows that the workspace is laid out for.
    int64_t capacity = 0;
    RowResources::Workspace* workspace = nullptr;
    // Products are shared among all threads.
    bool shared = false;
  };

  class Compiler;

  float* At(const Block& block, uint32_t value) const;
  void RunBlock(const Block& block) const;
  void Multiply(const Block& block, const Step& step) const;
  void Reserve(int64_t block_rows);

  std::shared_ptr<RowResources> resources_;
  int64_t most_rows_ = 1;
  std::vector<Output> outputs_;
  std::vector<uint32_t> inputs_;
  std::vector<int64_t> argument_widths_;
  std::vector<std::vector<float>> constants_;
  std::vector<Place> places_;
  std::vector<Step> steps_;
  // Floats per row of a workspace.
  int64_t workspace_width_ = 0;
};

}  // namespace slm
