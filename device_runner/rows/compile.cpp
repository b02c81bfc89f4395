#include "rows/compile.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include "rows/memory_plan.h"
#include "rows/pack.h"
#include "rows/shapes.h"

namespace slm::rows {
namespace {

class Compiler {
 public:
  Compiler(Graph& graph, WeightMemory& memory) : graph_(graph), memory_(memory) {}

  Compiled Run() {
    const size_t values = graph_.values.size();
    compiled_.places.resize(values);
    compiled_.constants.resize(values);
    widths_.resize(values);
    roots_.resize(values);
    std::iota(roots_.begin(), roots_.end(), 0U);
    ReadArguments();
    for (uint32_t at = 0; at < graph_.operations.size(); ++at) {
      Emit(graph_.operations[at]);
      compiled_.origins.resize(compiled_.steps.size(), at);
    }
    if (!has_products_) throw NotCovered("no product with quantized weights");
    for (const Step& step : compiled_.steps) {
      for (const uint32_t output : OutputsOf(step)) widths_[output] = Width(output);
    }
    compiled_.workspace_width = PlanMemory(compiled_.steps, roots_, widths_, compiled_.places);
    return std::move(compiled_);
  }

 private:
  const Value& ValueAt(uint32_t index) const { return graph_.values[index]; }

  Shape RowShape(uint32_t index) const { return rows::RowShape(ValueAt(index), compiled_.maximum_rows); }

  int64_t Width(uint32_t index) const { return Elements(RowShape(index)); }

  void ReadArguments() {
    if (graph_.inputs.empty() || ValueAt(graph_.inputs[0].value).shape.size() < 3)
      throw NotCovered("no tokens");
    compiled_.maximum_rows = ValueAt(graph_.inputs[0].value).shape[1];
    const size_t count = graph_.inputs.size() + graph_.outputs.size();
    compiled_.argument_widths.assign(count, 0);
    for (const auto* arguments : {&graph_.inputs, &graph_.outputs}) {
      for (const Argument& argument : *arguments) {
        if (argument.position >= count || compiled_.argument_widths[argument.position] != 0 ||
            ValueAt(argument.value).type != Type::kFloat32) {
          throw NotCovered("arguments of this kind");
        }
        compiled_.argument_widths[argument.position] = Width(argument.value);
        compiled_.places[argument.value] = {Place::Kind::kArgument, nullptr, argument.position, 0,
                                            Width(argument.value)};
      }
    }
    for (const Argument& argument : graph_.inputs) compiled_.inputs.push_back(argument.position);
    for (const Argument& argument : graph_.outputs) {
      compiled_.outputs.push_back({argument.position, RowShape(argument.value)});
    }
  }

  void Emit(const Operation& operation) {
    switch (operation.kind) {
      case Operator::kQuantize:
        if (ValueAt(operation.output).type != Type::kDynamicInt8) throw NotCovered("a conversion");
        quantized_from_.emplace_back(operation.output, operation.inputs[0]);
        return;
      case Operator::kFullyConnected:
        return FullyConnected(operation);
      case Operator::kReshape:
        return Reshape(operation);
      case Operator::kSlice:
        return Slice(operation);
      case Operator::kConcatenate:
        return Concatenate(operation);
      case Operator::kSigmoid:
        return Elementwise(operation, kernels::Unary::kSigmoid);
      case Operator::kSquare:
        return Elementwise(operation, kernels::Unary::kSquare);
      case Operator::kReciprocalSquareRoot:
        return Elementwise(operation, kernels::Unary::kReciprocalSquareRoot);
      case Operator::kGelu:
        return Elementwise(operation, kernels::Unary::kGelu);
      case Operator::kTanh:
        return Elementwise(operation, kernels::Unary::kTanh);
      case Operator::kAdd:
        return Combine(operation, kernels::Binary::kAdd);
      case Operator::kSubtract:
        return Combine(operation, kernels::Binary::kSubtract);
      case Operator::kMultiply:
        return Combine(operation, kernels::Binary::kMultiply);
      case Operator::kDivide:
        return Combine(operation, kernels::Binary::kDivide);
      case Operator::kMaximum:
        return Combine(operation, kernels::Binary::kMaximum);
    }
    throw NotCovered("an operator");
  }

  // A value that can be read or written as floats.
  uint32_t Floats(uint32_t index) const {
    if (ValueAt(index).type != Type::kFloat32) throw NotCovered("a quantized value read as float");
    return index;
  }

  void Elementwise(const Operation& operation, kernels::Unary kind) {
    const int64_t width = Width(operation.output);
    if (Width(operation.inputs[0]) != width) throw NotCovered("elements of another number");
    compiled_.steps.emplace_back(
        UnaryStep{kind, Floats(operation.inputs[0]), Floats(operation.output), width});
  }

  void Combine(const Operation& operation, kernels::Binary kind) {
    const Shape shape = RowShape(operation.output);
    BinaryStep step;
    step.kind = kind;
    step.left = Floats(operation.inputs[0]);
    step.right = Floats(operation.inputs[1]);
    step.output = Floats(operation.output);
    step.inner = shape.back();
    step.outer = Elements(shape) / step.inner;
    step.left_strides = StridesOf(step.left, shape);
    step.right_strides = StridesOf(step.right, shape);
    if (step.left_strides.inner + step.right_strides.inner == 0) throw NotCovered("this broadcasting");
    const auto is_flat = [&](const Strides& strides) { return strides.outer == strides.inner * step.inner; };
    if (step.outer > 1 && is_flat(step.left_strides) && is_flat(step.right_strides)) {
      step.inner *= step.outer;
      step.outer = 1;
    }
    compiled_.steps.emplace_back(step);
  }

  Strides StridesOf(uint32_t operand, const Shape& output) {
    if (ValueAt(operand).is_constant()) Keep(operand);
    return OperandStrides(ValueAt(operand), output, compiled_.maximum_rows);
  }

  // A constant of floats.
  const std::vector<float>& Keep(uint32_t index) {
    std::vector<float>& kept = compiled_.constants[index];
    const Value& value = ValueAt(index);
    if (value.type != Type::kFloat32 || !value.is_constant()) throw NotCovered("a constant of this type");
    if (kept.empty()) {
      const std::span<const uint8_t> bytes = value.data.bytes;
      kept.resize(bytes.size() / sizeof(float));
      std::memcpy(kept.data(), bytes.data(), bytes.size());
      compiled_.places[index] = {Place::Kind::kConstant, kept.data(), 0, 0, 0};
    }
    return kept;
  }

  void Reshape(const Operation& operation) {
    const uint32_t input = Floats(operation.inputs[0]);
    const uint32_t output = Floats(operation.output);
    const int64_t width = Width(input);
    if (width != Width(output)) throw NotCovered("elements that move between tokens");
    if (compiled_.places[output].kind == Place::Kind::kNowhere) {
      roots_[output] = roots_[input];
    } else {
      compiled_.steps.emplace_back(CopyStep{input, output, 0, width, 0, width, 1, width});
    }
  }

  void Slice(const Operation& operation) {
    const Shape from = RowShape(operation.inputs[0]);
    const Shape to = RowShape(operation.output);
    const Shape& offsets = operation.offsets;
    const bool last_only =
        from.size() == to.size() && offsets.size() == from.size() + 2 &&
        std::equal(from.begin(), from.end() - 1, to.begin()) && Elements(to) > 0 &&
        std::all_of(offsets.begin(), offsets.end() - 1, [](int64_t offset) { return offset == 0; });
    if (!last_only || offsets.back() + to.back() > from.back()) throw NotCovered("a slice of this shape");
    compiled_.steps.emplace_back(CopyStep{Floats(operation.inputs[0]), Floats(operation.output),
                                          offsets.back(), from.back(), 0, to.back(), Elements(to) / to.back(),
                                          to.back()});
  }

  void Concatenate(const Operation& operation) {
    const Shape to = RowShape(operation.output);
    int64_t start = 0;
    for (const uint32_t input : operation.inputs) {
      const Shape from = RowShape(input);
      if (from.size() != to.size() || !std::equal(from.begin(), from.end() - 1, to.begin()))
        throw NotCovered("parts of another shape");
      const int64_t columns = std::min(from.back(), to.back());
      compiled_.steps.emplace_back(CopyStep{Floats(input), Floats(operation.output), 0, from.back(), start,
                                            to.back(), Elements(to) / to.back(), columns});
      start += from.back();
    }
    if (start != to.back()) throw NotCovered("parts that do not fill the whole");
  }

  void FullyConnected(const Operation& operation) {
    const uint32_t source = operation.inputs[0];
    const Value& filter = ValueAt(operation.inputs[1]);
    if (!filter.is_constant() || filter.shape.size() != 2)
      throw NotCovered("weights that are no constant matrix");
    const Shape input_shape = RowShape(source);
    const Shape output_shape = RowShape(operation.output);
    if (input_shape.back() != filter.shape[1] || output_shape.back() != filter.shape[0] ||
        Elements(input_shape) / input_shape.back() != Elements(output_shape) / output_shape.back()) {
      throw NotCovered("a product of these shapes");
    }
    if (ValueAt(source).type == Type::kFloat32) return WeightedSums(operation);
    Multiply(operation);
  }

  // Products with float weights are the engine's; means and other sums come along.
  void WeightedSums(const Operation& operation) {
    const uint32_t filter = operation.inputs[1];
    if (ValueAt(filter).type != Type::kFloat32 || ValueAt(filter).shape[0] != 1)
      throw NotCovered("a product of floats");
    Keep(filter);
    WeightedSumsStep step;
    step.input = operation.inputs[0];
    step.weights = filter;
    step.output = Floats(operation.output);
    step.columns = ValueAt(filter).shape[1];
    step.sums_per_row = Width(operation.inputs[0]) / step.columns;
    if (operation.inputs[2] != kNoValue) step.bias = Keep(operation.inputs[2])[0];
    compiled_.steps.emplace_back(step);
  }

  void Multiply(const Operation& operation) {
    const auto found = std::find_if(quantized_from_.begin(), quantized_from_.end(),
                                    [&](const auto& pair) { return pair.first == operation.inputs[0]; });
    if (found == quantized_from_.end()) throw NotCovered("quantized values from elsewhere");
    const uint32_t input = found->second;
    Matrix matrix = PackMatrix(operation);
    has_products_ = true;
    const kernels::WeightLayout layout = matrix.layout;
    // Its input is known where the first of its kind stands, so it may be computed together with that one.
    for (Step& step : compiled_.steps) {
      auto* products = std::get_if<ProductsStep>(&step);
      if (products == nullptr || products->input != input) continue;
      const kernels::WeightLayout& other = products->matrices.front().layout;
      if (other.bits == layout.bits && other.block_columns() == layout.block_columns()) {
        products->matrices.push_back(std::move(matrix));
        return;
      }
    }
    ProductsStep step;
    step.input = input;
    step.rows_per_row = Width(input) / layout.columns;
    step.matrices.push_back(std::move(matrix));
    compiled_.steps.emplace_back(std::move(step));
  }

  Matrix PackMatrix(const Operation& operation) {
    const uint32_t filter = operation.inputs[1];
    if (!packed_.insert(filter).second) throw NotCovered("weights that two products share");
    Matrix matrix;
    matrix.output = Floats(operation.output);
    const PackedWeights packed = PackFilter(graph_.values[filter], memory_);
    matrix.layout = packed.layout;
    matrix.packed = packed.bytes;
    if (operation.inputs[2] != kNoValue) {
      matrix.bias = Keep(operation.inputs[2]);
      if (matrix.bias.size() != static_cast<size_t>(matrix.layout.rows))
        throw NotCovered("a bias of another size");
    }
    return matrix;
  }

  Graph& graph_;
  WeightMemory& memory_;
  Compiled compiled_;
  bool has_products_ = false;
  // Filters whose values are given up.
  std::set<uint32_t> packed_;
  std::vector<int64_t> widths_;
  // Of a reshaped value the one whose memory it shares; of others themselves.
  std::vector<uint32_t> roots_;
  // Quantized values, and what they were quantized from.
  std::vector<std::pair<uint32_t, uint32_t>> quantized_from_;
};

}  // namespace

Compiled Compile(Graph graph, WeightMemory& memory) { return Compiler(graph, memory).Run(); }

}  // namespace slm::rows
