#include "engines/executorch/xnnpack_graph.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engines/executorch/flatbuffer.h"

namespace slm {
namespace {

using rows::Argument;
using rows::Graph;
using rows::NotCovered;
using rows::Operation;
using rows::Operator;
using rows::SharedBytes;
using rows::Type;
using rows::Value;

using Bytes = std::span<const uint8_t>;

// The payload's header: four bytes of nothing, magic, its length in two bytes, then where the rest is.
constexpr std::string_view kMagic = "XH00";
constexpr size_t kMagicAt = 4;
constexpr size_t kGraphAt = 10;
constexpr size_t kGraphBytesAt = 14;
constexpr size_t kConstantsAt = 18;
constexpr size_t kHeaderBytes = 30;
// An offset that says "in the named data".
constexpr uint64_t kIsNamed = std::numeric_limits<uint64_t>::max();

// Fields of the schema, by table.
enum GraphField { kNodes = 1, kValues = 2, kConstants = 8 };
enum UnionField { kUnionType, kUnionValue, kOutputRange = 3 };
enum TensorField { kDatatype, kDims = 2, kConstantIndex, kExternalId, kTensorFlags, kId };
enum QuantizedField { kTensor, kQuantizationType, kQuantization };
enum ChannelField { kChannelScales, kChannelDim, kChannelScaleIndex };
enum GroupField { kGroupScales, kGroupDim, kGroupSize, kGroupScaleIndex = 4 };
enum ConstantField { kOffset, kSize, kKey };

enum ValueKind : uint8_t { kPlainValue = 1, kQuantizedValue = 2 };
// Of XNNPACK's schema, those that occur here.
enum Datatype : int16_t {
  kFloat32 = 1,
  kChannelInt8 = 6,
  kChannelInt4 = 8,
  kDynamicInt8 = 9,
  kGroupInt4 = 10,
};

enum Node : uint8_t {
  kAdd = 1,
  kFullyConnected = 2,
  kSigmoid = 4,
  kDivide = 8,
  kMultiply = 15,
  kSubtract = 16,
  kConvert = 18,
  kReshape = 20,
  kMaximum = 26,
  kSquare = 28,
  kConcatenate2 = 32,
  kSlice = 35,
  kReciprocalSquareRoot = 40,
  kGelu = 42,
  kTanh = 43,
};

enum Quantization : uint8_t { kPerChannel = 1, kPerToken = 3, kPerGroup = 4 };

constexpr uint32_t kExternalInput = 1;
constexpr uint32_t kExternalOutput = 2;

template <typename Number>
Number ReadAt(Bytes bytes, size_t at) {
  Number number;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

Bytes Part(Bytes whole, uint64_t start, uint64_t size) {
  if (start > whole.size() || whole.size() - start < size) throw BrokenFlatbuffer("points behind its end");
  return whole.subspan(start, size);
}

std::vector<int64_t> Sizes(const FlatTable& table, int field) {
  const auto numbers = table.Numbers<uint32_t>(field);
  return {numbers.begin(), numbers.end()};
}

// The product of the sizes, which must be a number that a tensor in memory can have.
int64_t Elements(const std::vector<int64_t>& shape) {
  constexpr int64_t kMaximum = int64_t{1} << 40;
  int64_t elements = 1;
  for (const int64_t size : shape) {
    if (size < 1 || size > kMaximum / elements)
      throw NotCovered("a shape without elements, or with too many");
    elements *= size;
  }
  return elements;
}

Type TypeOf(int16_t datatype) {
  switch (datatype) {
    case kFloat32:
      return Type::kFloat32;
    case kChannelInt8:
      return Type::kChannelInt8;
    case kChannelInt4:
      return Type::kChannelInt4;
    case kDynamicInt8:
      return Type::kDynamicInt8;
    case kGroupInt4:
      return Type::kGroupInt4;
    default:
      throw NotCovered("type " + std::to_string(datatype));
  }
}

size_t DataBytes(const Value& value) {
  const auto elements = static_cast<size_t>(Elements(value.shape));
  switch (value.type) {
    case Type::kFloat32:
      return elements * sizeof(float);
    case Type::kChannelInt8:
    case Type::kDynamicInt8:
      return elements;
    case Type::kChannelInt4:
    case Type::kGroupInt4:
      return (elements + 1) / 2;
  }
  throw NotCovered("a type");
}

Operator OperatorOf(uint8_t node) {
  switch (node) {
    case kAdd:
      return Operator::kAdd;
    case kFullyConnected:
      return Operator::kFullyConnected;
    case kSigmoid:
      return Operator::kSigmoid;
    case kDivide:
      return Operator::kDivide;
    case kMultiply:
      return Operator::kMultiply;
    case kSubtract:
      return Operator::kSubtract;
    case kConvert:
      return Operator::kQuantize;
    case kReshape:
      return Operator::kReshape;
    case kMaximum:
      return Operator::kMaximum;
    case kSquare:
      return Operator::kSquare;
    case kConcatenate2:
      return Operator::kConcatenate;
    case kSlice:
      return Operator::kSlice;
    case kReciprocalSquareRoot:
      return Operator::kReciprocalSquareRoot;
    case kGelu:
      return Operator::kGelu;
    case kTanh:
      return Operator::kTanh;
    default:
      throw NotCovered("node " + std::to_string(node));
  }
}

class Reader {
 public:
  Reader(Bytes payload, const NamedData& named_data) : named_data_(named_data) {
    if (payload.size() < kHeaderBytes ||
        std::memcmp(payload.data() + kMagicAt, kMagic.data(), kMagic.size()) != 0) {
      throw NotCovered("no header");
    }
    const auto constants = ReadAt<uint32_t>(payload, kConstantsAt);
    constant_bytes_ = Part(payload, constants, payload.size() - std::min<size_t>(constants, payload.size()));
    const FlatTable graph = FlatTable::Root(
        Part(payload, ReadAt<uint32_t>(payload, kGraphAt), ReadAt<uint32_t>(payload, kGraphBytesAt)));
    constants_ = graph.Tables(kConstants);
    const std::vector<FlatTable> values = graph.Tables(kValues);
    for (const FlatTable& value : values) AddValue(value);
    for (const FlatTable& node : graph.Tables(kNodes)) AddOperation(node);
    CheckProducts();
    for (size_t index = 0; index < values.size(); ++index) AddData(values[index], graph_.values[index]);
  }

  Graph Take() { return std::move(graph_); }

 private:
  void AddValue(const FlatTable& table) {
    const FlatTable content = table.Table(kUnionValue);
    const bool quantized = table.Get<uint8_t>(kUnionType) == kQuantizedValue;
    const FlatTable tensor = quantized ? content.Table(kTensor) : content;
    Value value;
    value.type = TypeOf(tensor.Get<int16_t>(kDatatype));
    value.shape = Sizes(tensor, kDims);
    Elements(value.shape);
    const auto index = static_cast<uint32_t>(graph_.values.size());
    const auto flags = tensor.Get<uint32_t>(kTensorFlags);
    const Argument argument{index, tensor.Get<uint32_t>(kExternalId)};
    if ((flags & kExternalInput) != 0) graph_.inputs.push_back(argument);
    if ((flags & kExternalOutput) != 0) graph_.outputs.push_back(argument);
    by_id_[tensor.Get<uint32_t>(kId)] = index;
    graph_.values.push_back(std::move(value));
  }

  // Known without a look at any weight: the copies of a delegate that is left to the engine would count in
  // the process's peak of memory.
  void CheckProducts() const {
    bool any = false;
    for (const Operation& operation : graph_.operations) {
      if (operation.kind != Operator::kFullyConnected) continue;
      const Value& filter = graph_.values[operation.inputs[1]];
      const bool is_sum = filter.type == Type::kFloat32 && filter.shape.size() == 2 && filter.shape[0] == 1;
      if (filter.type == Type::kFloat32 && !is_sum) throw NotCovered("a product of floats");
      any = any || !is_sum;
    }
    if (!any) throw NotCovered("no product with quantized weights");
  }

  void AddData(const FlatTable& table, Value& value) {
    const FlatTable content = table.Table(kUnionValue);
    const bool quantized = table.Get<uint8_t>(kUnionType) == kQuantizedValue;
    const auto constant = (quantized ? content.Table(kTensor) : content).Get<uint32_t>(kConstantIndex);
    if (constant == 0) return;
    value.data = Constant(constant);
    if (value.data.bytes.size() != DataBytes(value))
      throw NotCovered("a constant of another size than its shape");
    if (quantized) ReadScales(content, value);
  }

  void ReadScales(const FlatTable& content, Value& value) {
    if (value.shape.size() != 2) throw NotCovered("weights that are no matrix");
    const FlatTable quantization = content.Table(kQuantization);
    const auto rows = static_cast<size_t>(value.shape[0]);
    switch (content.Get<uint8_t>(kQuantizationType)) {
      case kPerChannel: {
        if (quantization.Get<int32_t>(kChannelDim) != 0) throw NotCovered("scales per input channel");
        value.scales = quantization.Numbers<float>(kChannelScales);
        if (const auto index = quantization.Get<uint32_t>(kChannelScaleIndex); index != 0) {
          const SharedBytes scales = Constant(index);
          value.scales.clear();
          for (size_t at = 0; at + sizeof(float) <= scales.bytes.size(); at += sizeof(float)) {
            value.scales.push_back(ReadAt<float>(scales.bytes, at));
          }
        }
        if (value.scales.size() != rows) throw NotCovered("another number of scales than of channels");
        value.group_columns = value.shape[1];
        return;
      }
      case kPerGroup: {
        value.group_columns = quantization.Get<int32_t>(kGroupSize);
        if (quantization.Get<int32_t>(kGroupDim) != 0 || value.group_columns < 1 ||
            value.shape[1] % value.group_columns != 0) {
          throw NotCovered("groups of this shape");
        }
        value.scales = quantization.Numbers<float>(kGroupScales);
        if (const auto index = quantization.Get<uint32_t>(kGroupScaleIndex); index != 0) {
          const SharedBytes scales = Constant(index);
          value.scales.resize(scales.bytes.size() / sizeof(uint16_t));
          for (size_t scale = 0; scale < value.scales.size(); ++scale) {
            // A bfloat16 is the upper half of a float32.
            const uint32_t bits = uint32_t{ReadAt<uint16_t>(scales.bytes, scale * sizeof(uint16_t))} << 16;
            value.scales[scale] = std::bit_cast<float>(bits);
          }
        }
        if (value.scales.size() != rows * static_cast<size_t>(value.shape[1] / value.group_columns))
          throw NotCovered("another number of scales than of groups");
        return;
      }
      default:
        throw NotCovered("weights with another kind of scales");
    }
  }

  SharedBytes Constant(uint32_t index) const {
    if (index >= constants_.size()) throw BrokenFlatbuffer("names a constant that is not there");
    const FlatTable& entry = constants_[index];
    const auto offset = entry.Get<uint64_t>(kOffset);
    const auto size = entry.Get<uint64_t>(kSize);
    if (offset != kIsNamed) return {Part(constant_bytes_, offset, size), nullptr};
    SharedBytes named = named_data_(entry.String(kKey));
    named.bytes = Part(named.bytes, 0, size);
    return named;
  }

  uint32_t Index(uint32_t id) const {
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) throw BrokenFlatbuffer("names a value that is not there");
    return found->second;
  }

  void AddOperation(const FlatTable& table) {
    if (table.Has(kOutputRange)) {
      const FlatTable range = table.Table(kOutputRange);
      if (std::isfinite(range.Get<float>(0)) || std::isfinite(range.Get<float>(1)))
        throw NotCovered("clamped outputs");
    }
    const FlatTable node = table.Table(kUnionValue);
    const auto value = [&](int field) { return Index(node.Get<uint32_t>(field)); };
    Operation operation;
    operation.kind = OperatorOf(table.Get<uint8_t>(kUnionType));
    switch (operation.kind) {
      case Operator::kAdd:
      case Operator::kSubtract:
      case Operator::kMultiply:
      case Operator::kDivide:
      case Operator::kMaximum:
        operation.inputs = {value(0), value(1)};
        operation.output = value(2);
        break;
      case Operator::kSigmoid:
      case Operator::kSquare:
      case Operator::kReciprocalSquareRoot:
      case Operator::kGelu:
      case Operator::kTanh:
      case Operator::kQuantize:
        operation.inputs = {value(0)};
        operation.output = value(1);
        break;
      case Operator::kFullyConnected: {
        const auto bias = node.Get<uint32_t>(2);
        operation.inputs = {value(0), value(1), bias == rows::kNoValue ? rows::kNoValue : Index(bias)};
        operation.output = value(3);
        if (node.Get<uint32_t>(4) != 0) throw NotCovered("transposed weights");
        break;
      }
      case Operator::kReshape:
        operation.inputs = {value(2)};
        operation.output = value(3);
        break;
      case Operator::kConcatenate: {
        const uint32_t output = value(5);
        if (node.Get<uint32_t>(0) + 1 != graph_.values[output].shape.size())
          throw NotCovered("joining another dimension than the last");
        operation.inputs = {value(1), value(2)};
        operation.output = output;
        break;
      }
      case Operator::kSlice:
        operation.inputs = {value(3)};
        operation.output = value(4);
        operation.offsets = Sizes(node, 1);
        break;
    }
    graph_.operations.push_back(std::move(operation));
  }

  const NamedData& named_data_;
  Bytes constant_bytes_;
  std::vector<FlatTable> constants_;
  std::unordered_map<uint32_t, uint32_t> by_id_;
  Graph graph_;
};

}  // namespace

rows::Graph ReadXnnpackGraph(std::span<const uint8_t> payload, const NamedData& named_data) {
  return Reader(payload, named_data).Take();
}

}  // namespace slm
