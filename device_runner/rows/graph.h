// A graph of operators on rows, whatever engine's file it was read from.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

namespace slm::rows {

// Thrown for what is left to the engine: an operator, a type or a shape that has no counterpart here.
struct NotCovered : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Type {
  kFloat32,
  // One scale per output channel.
  kChannelInt8,
  kChannelInt4,
  // Activations, quantized with one scale per row.
  kDynamicInt8,
  // One scale per group of an output channel.
  kGroupInt4,
};

enum class Operator {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kMaximum,
  kSigmoid,
  kSquare,
  kReciprocalSquareRoot,
  kGelu,
  kTanh,
  // From floats to kDynamicInt8.
  kQuantize,
  kFullyConnected,
  kReshape,
  // Of two inputs, along the last dimension.
  kConcatenate,
  kSlice,
};

// Bytes where their file has them, without a copy.
struct SharedBytes {
  std::span<const uint8_t> bytes;
  // Keeps them in memory; null for what outlives the graph.
  std::shared_ptr<const void> owner;
};

struct Value {
  Type type = Type::kFloat32;
  // Of what is computed: [1, rows, ...].
  std::vector<int64_t> shape;
  // Of a constant; null for what is computed.
  SharedBytes data;
  // Of quantized weights: [output channels][groups].
  std::vector<float> scales;
  int64_t group_columns = 0;

  bool is_constant() const { return data.bytes.data() != nullptr; }
};

inline constexpr uint32_t kNoValue = std::numeric_limits<uint32_t>::max();

struct Operation {
  Operator kind = Operator::kAdd;
  // Values by index; of a fully connected operator: input, filter, bias or kNoValue.
  std::vector<uint32_t> inputs;
  uint32_t output = 0;
  // Of a slice: where it starts in each dimension.
  std::vector<int64_t> offsets;
};

// A value that the caller gives or takes.
struct Argument {
  uint32_t value = 0;
  // Its place among the call's arguments.
  uint32_t position = 0;
};

struct Graph {
  std::vector<Value> values;
  // In the order in which they run.
  std::vector<Operation> operations;
  std::vector<Argument> inputs;
  std::vector<Argument> outputs;
};

}  // namespace slm::rows
