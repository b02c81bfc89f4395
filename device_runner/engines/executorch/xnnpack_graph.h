// The graph that an XNNPACK delegate of a .pte holds, as far as row programs can run it (row_program.h).
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace slm {

// Thrown for what is left to the engine: a node, a type or a shape that has no counterpart here.
struct NotCovered : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Of XNNPACK's schema, those that occur here.
enum class XnnType : int16_t {
  kFloat32 = 1,
  // One scale per output channel.
  kChannelInt8 = 6,
  kChannelInt4 = 8,
  // Activations, rounded with one scale per row.
  kDynamicInt8 = 9,
  // One bfloat16 scale per group of an output channel.
  kGroupInt4 = 10,
};

// Numbers of XNNPACK's schema.
enum class XnnNode : uint8_t {
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

struct XnnValue {
  XnnType type = XnnType::kFloat32;
  std::vector<int64_t> shape;
  // Bytes of a constant; empty for what is computed.
  std::vector<uint8_t> data;
  // Of quantized weights. Grouped scales are widened to float32: [rows][groups].
  std::vector<float> scales;
  int64_t group_columns = 0;

  bool is_constant() const { return !data.empty(); }
};

inline constexpr uint32_t kNoValue = std::numeric_limits<uint32_t>::max();

struct XnnOperation {
  XnnNode kind = XnnNode::kAdd;
  // Values by index; of a fully connected node: input, filter, bias or kNoValue.
  std::vector<uint32_t> inputs;
  uint32_t output = 0;
  // Of a slice.
  std::vector<int64_t> offsets;
};

// A value that the caller of the delegate gives or takes.
struct XnnArgument {
  uint32_t value = 0;
  // Its place among the call's arguments.
  uint32_t position = 0;
};

struct XnnGraph {
  std::vector<XnnValue> values;
  std::vector<XnnOperation> operations;
  std::vector<XnnArgument> inputs;
  std::vector<XnnArgument> outputs;
};

// Calls `take` with the bytes under a key of the program's named data.
using NamedData =
    std::function<void(const std::string& key, const std::function<void(std::span<const uint8_t>)>& take)>;

// Throws NotCovered, or BrokenFlatbuffer for what is no graph at all.
XnnGraph ReadXnnGraph(std::span<const uint8_t> payload, const NamedData& named_data);

}  // namespace slm
