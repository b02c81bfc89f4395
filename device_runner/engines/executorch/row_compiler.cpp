// From the graph of a delegate to the steps of a row program.
#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include "engines/executorch/row_program.h"

namespace slm {
namespace {

using Shape = std::vector<int64_t>;

// Added to a signed byte, it gives what the kernels take: bytes counted from 0.
constexpr uint8_t kSignBit = 0x80;

int64_t Product(std::span<const int64_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
}

}  // namespace

class RowProgram::Compiler {
 public:
  Compiler(RowProgram& program, XnnGraph& graph) : program_(program), graph_(graph) {}

  void Run() {
    const size_t values = graph_.values.size();
    program_.places_.resize(values);
    program_.constants_.resize(values);
    roots_.resize(values);
    std::iota(roots_.begin(), roots_.end(), 0U);
    ReadArguments();
    for (const XnnOperation& operation : graph_.operations) Compile(operation);
    if (!has_products_) throw NotCovered("no product with quantized weights");
    Plan();
  }

 private:
  const XnnValue& Value(uint32_t index) const { return graph_.values[index]; }

  // Sizes of one row of what is computed.
  Shape RowShape(uint32_t index) const {
    const Shape& shape = Value(index).shape;
    if (shape.size() < 3 || shape[0] != 1 || shape[1] != program_.most_rows_) {
      throw NotCovered("a tensor without a dimension of tokens");
    }
    return {shape.begin() + 2, shape.end()};
  }

  int64_t Width(uint32_t index) const { return Product(RowShape(index)); }

  void ReadArguments() {
    if (graph_.inputs.empty() || Value(graph_.inputs[0].value).shape.size() < 3)
      throw NotCovered("no tokens");
    program_.most_rows_ = Value(graph_.inputs[0].value).shape[1];
    const size_t count = graph_.inputs.size() + graph_.outputs.size();
    program_.argument_widths_.assign(count, 0);
    for (const auto* arguments : {&graph_.inputs, &graph_.outputs}) {
      for (const XnnArgument& argument : *arguments) {
        if (argument.position >= count || program_.argument_widths_[argument.position] != 0 ||
            Value(argument.value).type != XnnType::kFloat32) {
          throw NotCovered("arguments of this kind");
        }
        program_.argument_widths_[argument.position] = Width(argument.value);
        program_.places_[argument.value] = {Place::Kind::kArgument, nullptr, argument.position, 0,
                                            Width(argument.value)};
      }
    }
    for (const XnnArgument& argument : graph_.inputs) program_.inputs_.push_back(argument.position);
    for (const XnnArgument& argument : graph_.outputs) {
      program_.outputs_.push_back({argument.position, RowShape(argument.value)});
    }
  }

  void Compile(const XnnOperation& operation) {
    switch (operation.kind) {
      case XnnNode::kConvert:
        if (Value(operation.output).type != XnnType::kDynamicInt8) throw NotCovered("a conversion");
        rounded_from_.emplace_back(operation.output, operation.inputs[0]);
        return;
      case XnnNode::kFullyConnected:
        return Connect(operation);
      case XnnNode::kReshape:
        return Reshape(operation);
      case XnnNode::kSlice:
        return Slice(operation);
      case XnnNode::kConcatenate2:
        return Concatenate(operation);
      case XnnNode::kSigmoid:
        return Elementwise(operation, Unary::kSigmoid);
      case XnnNode::kSquare:
        return Elementwise(operation, Unary::kSquare);
      case XnnNode::kReciprocalSquareRoot:
        return Elementwise(operation, Unary::kReciprocalSquareRoot);
      case XnnNode::kGelu:
        return Elementwise(operation, Unary::kGelu);
      case XnnNode::kTanh:
        return Elementwise(operation, Unary::kTanh);
      case XnnNode::kAdd:
        return Combine(operation, Binary::kAdd);
      case XnnNode::kSubtract:
        return Combine(operation, Binary::kSubtract);
      case XnnNode::kMultiply:
        return Combine(operation, Binary::kMultiply);
      case XnnNode::kDivide:
        return Combine(operation, Binary::kDivide);
      case XnnNode::kMaximum:
        return Combine(operation, Binary::kMaximum);
    }
    throw NotCovered("a node");
  }

  // A computed value that can be read; checks what reading needs.
  uint32_t Read(uint32_t index) const {
    if (Value(index).type != XnnType::kFloat32) throw NotCovered("a rounded value read as float");
    return index;
  }

  Step& Add(Step::Kind kind, uint32_t output) {
    Read(output);
    Step& step = program_.steps_.emplace_back();
    step.kind = kind;
    step.output = output;
    return step;
  }

  void Elementwise(const XnnOperation& operation, Unary kind) {
    const int64_t width = Width(operation.output);
    if (Width(operation.inputs[0]) != width) throw NotCovered("elements of another number");
    Step& step = Add(Step::Kind::kUnary, operation.output);
    step.unary = kind;
    step.left = Read(operation.inputs[0]);
    step.inner = width;
  }

  void Combine(const XnnOperation& operation, Binary kind) {
    const Shape shape = RowShape(operation.output);
    Step step;
    step.kind = Step::Kind::kBinary;
    step.binary = kind;
    step.left = Read(operation.inputs[0]);
    step.right = Read(operation.inputs[1]);
    step.output = Read(operation.output);
    step.inner = shape.back();
    step.outer = Product(shape) / step.inner;
    step.left_strides = StridesOf(step.left, shape);
    step.right_strides = StridesOf(step.right, shape);
    if (step.left_strides.inner + step.right_strides.inner == 0) throw NotCovered("this broadcasting");
    const auto is_flat = [&](const Strides& strides) { return strides.outer == strides.inner * step.inner; };
    if (step.outer > 1 && is_flat(step.left_strides) && is_flat(step.right_strides)) {
      step.inner *= step.outer;
      step.outer = 1;
    }
    program_.steps_.push_back(step);
  }

  Strides StridesOf(uint32_t operand, const Shape& output) {
    const bool constant = Value(operand).is_constant();
    Shape shape = constant ? Value(operand).shape : RowShape(operand);
    if (constant) {
      Keep(operand);
      while (shape.size() > output.size() && shape.front() == 1) shape.erase(shape.begin());
    }
    if (shape.size() > output.size()) throw NotCovered("an operand of more dimensions");
    shape.insert(shape.begin(), output.size() - shape.size(), 1);
    Strides strides;
    strides.row = constant ? 0 : Product(shape);
    strides.inner = shape.back() == output.back() ? 1 : 0;
    const std::span<const int64_t> outer(shape.data(), shape.size() - 1);
    const bool repeats = Product(outer) == 1;
    const bool same = std::equal(outer.begin(), outer.end(), output.begin());
    if ((!repeats && !same) || (strides.inner == 0 && shape.back() != 1))
      throw NotCovered("this broadcasting");
    strides.outer = same ? shape.back() : 0;
    return strides;
  }

  // A constant of floats.
  const std::vector<float>& Keep(uint32_t index) {
    std::vector<float>& kept = program_.constants_[index];
    const XnnValue& value = Value(index);
    if (value.type != XnnType::kFloat32 || !value.is_constant()) throw NotCovered("a constant of this type");
    if (kept.empty()) {
      kept.resize(value.data.size() / sizeof(float));
      std::memcpy(kept.data(), value.data.data(), value.data.size());
      program_.places_[index] = {Place::Kind::kConstant, kept.data(), 0, 0, 0};
    }
    return kept;
  }

  void Reshape(const XnnOperation& operation) {
    const uint32_t input = Read(operation.inputs[0]);
    const uint32_t output = Read(operation.output);
    if (Width(input) != Width(output)) throw NotCovered("elements that move between tokens");
    if (program_.places_[output].kind == Place::Kind::kNowhere) {
      roots_[output] = roots_[input];
    } else {
      Copy(input, 0, Width(input), output, 0, Width(output), 1);
    }
  }

  void Slice(const XnnOperation& operation) {
    const Shape from = RowShape(operation.inputs[0]);
    const Shape to = RowShape(operation.output);
    const Shape& offsets = operation.offsets;
    const bool last_only =
        from.size() == to.size() && offsets.size() == from.size() + 2 &&
        std::equal(from.begin(), from.end() - 1, to.begin()) && Product(to) > 0 &&
        std::all_of(offsets.begin(), offsets.end() - 1, [](int64_t offset) { return offset == 0; });
    if (!last_only || offsets.back() + to.back() > from.back()) throw NotCovered("a cut of this shape");
    Copy(operation.inputs[0], offsets.back(), from.back(), operation.output, 0, to.back(),
         Product(to) / to.back());
  }

  void Concatenate(const XnnOperation& operation) {
    const Shape to = RowShape(operation.output);
    int64_t start = 0;
    for (const uint32_t input : operation.inputs) {
      const Shape from = RowShape(input);
      if (from.size() != to.size() || !std::equal(from.begin(), from.end() - 1, to.begin()))
        throw NotCovered("parts of another shape");
      Copy(input, 0, from.back(), operation.output, start, to.back(), Product(to) / to.back());
      start += from.back();
    }
    if (start != to.back()) throw NotCovered("parts that do not fill the whole");
  }

  // Columns of each of `outer` parts of a row; the shorter of both strides is copied.
  void Copy(uint32_t input, int64_t input_start, int64_t input_stride, uint32_t output, int64_t output_start,
            int64_t output_stride, int64_t outer) {
    Step& step = Add(Step::Kind::kCopy, output);
    step.left = Read(input);
    step.input_start = input_start;
    step.input_stride = input_stride;
    step.output_start = output_start;
    step.output_stride = output_stride;
    step.outer = outer;
    step.inner = std::min(input_stride, output_stride);
  }

  void Connect(const XnnOperation& operation) {
    const uint32_t source = operation.inputs[0];
    const XnnValue& filter = Value(operation.inputs[1]);
    if (!filter.is_constant() || filter.shape.size() != 2)
      throw NotCovered("weights that are no constant matrix");
    const Shape input_shape = RowShape(source);
    const Shape output_shape = RowShape(operation.output);
    if (input_shape.back() != filter.shape[1] || output_shape.back() != filter.shape[0] ||
        Product(input_shape) / input_shape.back() != Product(output_shape) / output_shape.back()) {
      throw NotCovered("a product of these shapes");
    }
    if (Value(source).type == XnnType::kFloat32) return WeightRow(operation);
    Multiply(operation);
  }

  // Products with float weights are the engine's; means and other sums come along.
  void WeightRow(const XnnOperation& operation) {
    const uint32_t filter = operation.inputs[1];
    if (Value(filter).type != XnnType::kFloat32 || Value(filter).shape[0] != 1)
      throw NotCovered("a product of floats");
    Keep(filter);
    Step step;
    step.kind = Step::Kind::kWeightedSums;
    step.left = operation.inputs[0];
    step.right = filter;
    step.output = Read(operation.output);
    step.inner = Value(filter).shape[1];
    step.rows_per_row = Width(operation.inputs[0]) / step.inner;
    if (operation.inputs[2] != kNoValue) step.bias = Keep(operation.inputs[2])[0];
    program_.steps_.push_back(std::move(step));
  }

  void Multiply(const XnnOperation& operation) {
    const uint32_t rounded = operation.inputs[0];
    const auto found = std::find_if(rounded_from_.begin(), rounded_from_.end(),
                                    [&](const auto& pair) { return pair.first == rounded; });
    if (found == rounded_from_.end()) throw NotCovered("rounded values from elsewhere");
    Matrix matrix = Pack(operation);
    has_products_ = true;
    const kernels::WeightLayout& layout = matrix.layout;
    // Its input is known where the first of its kind stands, so it may be computed together with that one.
    for (Step& step : program_.steps_) {
      if (step.kind != Step::Kind::kProducts || step.left != found->second) continue;
      const kernels::WeightLayout& other = step.matrices.front().layout;
      if (other.bits == layout.bits && other.block_columns() == layout.block_columns()) {
        step.matrices.push_back(std::move(matrix));
        return;
      }
    }
    Step step;
    step.kind = Step::Kind::kProducts;
    step.left = found->second;
    step.output = operation.output;
    step.rows_per_row = Width(step.left) / layout.columns;
    step.matrices.push_back(std::move(matrix));
    program_.steps_.push_back(std::move(step));
  }

  Matrix Pack(const XnnOperation& operation) {
    XnnValue& filter = graph_.values[operation.inputs[1]];
    const bool bytes = filter.type == XnnType::kChannelInt8;
    if (!bytes && filter.type != XnnType::kChannelInt4 && filter.type != XnnType::kGroupInt4)
      throw NotCovered("weights of this type");
    if (!packed_.insert(operation.inputs[1]).second) throw NotCovered("weights that two products share");
    const int64_t columns = filter.shape[1];
    const int bits = bytes ? 8 : 4;
    Matrix matrix;
    matrix.output = Read(operation.output);
    // A group of the kernels is a power of two; one that is longer than a row is filled up.
    const auto group = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(filter.group_columns)));
    matrix.layout = {filter.shape[0], columns, bits, std::max<int64_t>(group, kernels::kMostBlockColumns),
                     false};
    const bool whole_rows = filter.group_columns == columns;
    if (!kernels::IsSupported(matrix.layout) || (bits == 4 && columns % 2 != 0) ||
        (!whole_rows && matrix.layout.group_columns != filter.group_columns)) {
      throw NotCovered("weights in this layout");
    }
    if (bytes) {
      for (uint8_t& value : filter.data) value ^= kSignBit;
    }
    const size_t row_bytes = static_cast<size_t>(columns * bits / 8);
    const auto padded_bytes =
        static_cast<size_t>(matrix.layout.groups() * matrix.layout.group_columns * bits / 8);
    if (padded_bytes != row_bytes) {
      std::vector<uint8_t> padded(padded_bytes * static_cast<size_t>(matrix.layout.rows));
      for (size_t row = 0; row < static_cast<size_t>(matrix.layout.rows); ++row) {
        std::copy_n(filter.data.begin() + static_cast<std::ptrdiff_t>(row * row_bytes), row_bytes,
                    padded.begin() + static_cast<std::ptrdiff_t>(row * padded_bytes));
      }
      filter.data = std::move(padded);
    }
    const kernels::OperatorWeights weights{filter.data.data(), filter.scales.data(), nullptr, nullptr};
    std::byte* packed = program_.resources_->memory.Allocate(static_cast<size_t>(matrix.layout.bytes()));
    kernels::Pack(matrix.layout, weights, packed);
    matrix.packed = packed;
    if (operation.inputs[2] != kNoValue) {
      matrix.bias = Keep(operation.inputs[2]);
      if (matrix.bias.size() != static_cast<size_t>(matrix.layout.rows))
        throw NotCovered("a bias of another size");
    }
    // Packed, it is not read any more; a file's weights are much to hold twice.
    filter.data = {0};
    filter.data.shrink_to_fit();
    return matrix;
  }

  // Values that are never needed at the same time share memory.
  void Plan() {
    const size_t steps = program_.steps_.size();
    std::vector<size_t> last_use(graph_.values.size(), 0);
    for (size_t at = 0; at < steps; ++at) {
      const Step& step = program_.steps_[at];
      last_use[roots_[step.left]] = at;
      if (step.kind == Step::Kind::kBinary) last_use[roots_[step.right]] = at;
    }
    struct Region {
      int64_t offset;
      int64_t width;
      size_t last_use;
    };
    std::vector<Region> used;
    const auto place = [&](uint32_t value, size_t at) {
      Place& where = program_.places_[value];
      if (where.kind != Place::Kind::kNowhere) return;
      const int64_t width = Width(value);
      std::erase_if(used, [&](const Region& region) { return region.last_use < at; });
      std::sort(used.begin(), used.end(),
                [](const Region& a, const Region& b) { return a.offset < b.offset; });
      int64_t offset = 0;
      for (const Region& region : used) {
        if (region.offset - offset >= width) break;
        offset = std::max(offset, region.offset + region.width);
      }
      where = {Place::Kind::kWorkspace, nullptr, 0, offset, width};
      used.push_back({offset, width, std::max(last_use[value], at)});
      program_.workspace_width_ = std::max(program_.workspace_width_, offset + width);
    };
    for (size_t at = 0; at < steps; ++at) {
      const Step& step = program_.steps_[at];
      if (step.kind == Step::Kind::kProducts) {
        for (const Matrix& matrix : step.matrices) place(matrix.output, at);
      } else {
        place(step.output, at);
      }
    }
    for (uint32_t value = 0; value < roots_.size(); ++value) {
      program_.places_[value] = program_.places_[roots_[value]];
    }
    for (const Step& step : program_.steps_) {
      const bool binary = step.kind == Step::Kind::kBinary;
      if (program_.places_[step.left].kind == Place::Kind::kNowhere ||
          (binary && program_.places_[step.right].kind == Place::Kind::kNowhere)) {
        throw NotCovered("a value that nothing computes");
      }
    }
  }

  RowProgram& program_;
  XnnGraph& graph_;
  bool has_products_ = false;
  // Filters whose values are given up.
  std::set<uint32_t> packed_;
  // Of a reshaped value the one whose memory it shares; of others themselves.
  std::vector<uint32_t> roots_;
  // Rounded values, and what they were rounded from.
  std::vector<std::pair<uint32_t, uint32_t>> rounded_from_;
};

RowProgram::RowProgram(XnnGraph graph, std::shared_ptr<RowResources> resources)
    : resources_(std::move(resources)) {
  Compiler(*this, graph).Run();
}

}  // namespace slm
