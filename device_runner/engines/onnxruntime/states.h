// The tensors that a decoder keeps from token to token: their memory, and how they are bound to a session.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace slm {

enum class StateKind {
  // Grows with the text and is written where it lies, as GroupQueryAttention does: what a call reads and what
  // it writes are one tensor with room for the longest text.
  kInPlace,
  // Grows with the text; a call returns all of it, longer by the tokens fed.
  kAppended,
  // Of one size: a convolution's last tokens, a recurrence.
  kFixed,
};

struct State {
  // Without the prefix of its input or output.
  std::string name;
  // The session's input and output.
  std::string past;
  std::string present;
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  // -1 stands for the tokens seen so far. One sequence.
  std::vector<int64_t> shape;
  StateKind kind = StateKind::kInPlace;
};

// Bytes of one element; 0 for types that no state has.
size_t StateElementBytes(ONNXTensorElementDataType type);

// The states of one text.
class StateMemory {
 public:
  // Room for `capacity` positions, all of it zero and touched: page faults stay out of timed steps. `states`
  // must outlive this. Throws Ort::Exception, std::bad_alloc and std::length_error.
  StateMemory(const std::vector<State>& states, int64_t capacity, const Ort::MemoryInfo& cpu);

  // Binds what the next call reads and writes, when it brings the text from `past` to `total` positions.
  // Throws Ort::Exception.
  void Bind(Ort::IoBinding& binding, int64_t past, int64_t total);
  // What the call wrote is what the next one reads.
  void Advance();

  // Where all of them are.
  std::span<const std::byte> range() const { return {memory_.get(), bytes_}; }

  // As in Engine, for a text of `length` positions.
  int64_t RewindsTo(int64_t position, int64_t length) const;
  void Rewind(int64_t position, int64_t length);
  void Checkpoint(int64_t length);

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  // What is read, and what is written; one of both in place.
  struct Buffers {
    std::byte* read = nullptr;
    std::byte* written = nullptr;
    size_t bytes = 0;
    // Of the whole buffers, where the shape does not change from call to call.
    Ort::Value read_value{nullptr};
    Ort::Value written_value{nullptr};
  };

  Ort::Value View(const State& state, std::byte* memory, int64_t length) const;
  void Cut(const State& state, std::byte* memory, int64_t position, int64_t length) const;

  const std::vector<State>& states_;
  const Ort::MemoryInfo& cpu_;
  bool has_fixed_ = false;
  bool in_place_are_bound_ = false;
  std::unique_ptr<std::byte[], Free> memory_;
  size_t bytes_ = 0;
  // Like states_.
  std::vector<Buffers> buffers_;
  // The position of the checkpoint, -1 without one, and the fixed states at it, one after the other.
  int64_t checkpoint_ = -1;
  std::vector<std::byte> kept_;
};

}  // namespace slm
