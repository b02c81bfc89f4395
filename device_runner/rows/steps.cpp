#include "rows/steps.h"

#include <cstring>

namespace slm::rows {
namespace {

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
// Clang 14 does not deduce it by itself.
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace

std::vector<uint32_t> InputsOf(const Step& step) {
  return std::visit(
      Overloaded{[](const BinaryStep& binary) { return std::vector{binary.left, binary.right}; },
                 [](const WeightedSumsStep& sums) { return std::vector{sums.input, sums.weights}; },
                 [](const auto& other) { return std::vector{other.input}; }},
      step);
}

std::vector<uint32_t> OutputsOf(const Step& step) {
  return std::visit(Overloaded{[](const ProductsStep& products) {
                                 std::vector<uint32_t> outputs;
                                 for (const Matrix& matrix : products.matrices)
                                   outputs.push_back(matrix.output);
                                 return outputs;
                               },
                               [](const auto& other) { return std::vector{other.output}; }},
                    step);
}

float* Block::At(uint32_t value) const {
  const Place& place = places[value];
  switch (place.kind) {
    case Place::Kind::kArgument:
      return arguments[place.position] + first * place.width;
    case Place::Kind::kWorkspace:
      return workspace->values.data() + place.offset * capacity;
    default:
      // Constants are only ever read.
      return const_cast<float*>(place.constant);
  }
}

void Run(const kernels::KernelSet& kernels, const Block& block, const UnaryStep& step) {
  kernels.apply_unary(step.kind, block.At(step.input), block.At(step.output), block.rows * step.width);
}

void Run(const kernels::KernelSet& kernels, const Block& block, const BinaryStep& step) {
  const auto operand = [&](uint32_t value, const Strides& strides) {
    return kernels::Operand{block.At(value), strides.row, strides.outer, strides.inner};
  };
  // Without gaps, all rows are one long one.
  const auto is_flat = [&](const Strides& strides) { return strides.row == strides.inner * step.inner; };
  const bool flat = step.outer == 1 && is_flat(step.left_strides) && is_flat(step.right_strides);
  kernels.apply_binary(step.kind, operand(step.left, step.left_strides),
                       operand(step.right, step.right_strides), block.At(step.output), flat ? 1 : block.rows,
                       step.outer, flat ? block.rows * step.inner : step.inner);
}

void Run(const kernels::KernelSet& kernels, const Block& block, const WeightedSumsStep& step) {
  kernels.weighted_sums(block.At(step.input), block.At(step.weights), step.bias, block.At(step.output),
                        block.rows * step.sums_per_row, step.columns);
}

void Run(const kernels::KernelSet&, const Block& block, const CopyStep& step) {
  const float* input = block.At(step.input) + step.input_start;
  float* output = block.At(step.output) + step.output_start;
  const int64_t parts = block.rows * step.parts;
  for (int64_t part = 0; part < parts; ++part, input += step.input_stride, output += step.output_stride) {
    // A call of memcpy costs more than a few columns.
    if (step.columns < 8) {
      for (int64_t column = 0; column < step.columns; ++column) output[column] = input[column];
    } else {
      std::memcpy(output, input, static_cast<size_t>(step.columns) * sizeof(float));
    }
  }
}

}  // namespace slm::rows
