#include "engines/onnxruntime/states.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

namespace slm {
namespace {

constexpr size_t kCacheLineBytes = 64;
constexpr int64_t kText = -1;
constexpr int64_t kMaximumBytes = int64_t{1} << 40;

// Of a state after `length` tokens. The shape is the file's word: more than any memory is refused.
size_t Bytes(const State& state, int64_t length) {
  int64_t bytes = static_cast<int64_t>(StateElementBytes(state.type));
  for (const int64_t size : state.shape) {
    if (__builtin_mul_overflow(bytes, size == kText ? length : size, &bytes) || bytes > kMaximumBytes)
      throw std::length_error("the state " + state.past + " is larger than any memory");
  }
  return static_cast<size_t>(bytes);
}

size_t InLines(size_t bytes) { return (bytes + kCacheLineBytes - 1) / kCacheLineBytes * kCacheLineBytes; }

}  // namespace

size_t StateElementBytes(ONNXTensorElementDataType type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
      return 1;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16:
      return 2;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
      return 4;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
      return 8;
    default:
      return 0;
  }
}

StateMemory::StateMemory(const std::vector<State>& states, int64_t capacity, const Ort::MemoryInfo& cpu)
    : states_(states), cpu_(cpu) {
  // Exactly as long as the run: every position costs memory that counts into the peak.
  size_t total = 0;
  for (const State& state : states) {
    buffers_.emplace_back().bytes = Bytes(state, capacity);
    total += InLines(buffers_.back().bytes) * (state.kind == StateKind::kInPlace ? 1 : 2);
    has_fixed_ |= state.kind == StateKind::kFixed;
  }
  // Android's C library has no aligned_alloc before API level 28.
  void* all = nullptr;
  if (posix_memalign(&all, kCacheLineBytes, std::max(total, kCacheLineBytes)) != 0) throw std::bad_alloc();
  memory_.reset(static_cast<std::byte*>(all));
  std::memset(memory_.get(), 0, total);
  bytes_ = total;
  std::byte* next = memory_.get();
  for (size_t index = 0; index < states.size(); ++index) {
    const State& state = states[index];
    Buffers& buffers = buffers_[index];
    buffers.read = buffers.written = std::exchange(next, next + InLines(buffers.bytes));
    if (state.kind == StateKind::kAppended)
      buffers.written = std::exchange(next, next + InLines(buffers.bytes));
    if (state.kind == StateKind::kFixed) {
      buffers.written = std::exchange(next, next + InLines(buffers.bytes));
      buffers.written_value = View(state, buffers.written, capacity);
    }
    if (state.kind != StateKind::kAppended) buffers.read_value = View(state, buffers.read, capacity);
  }
}

Ort::Value StateMemory::View(const State& state, std::byte* memory, int64_t length) const {
  std::vector<int64_t> shape = state.shape;
  std::replace(shape.begin(), shape.end(), kText, length);
  return Ort::Value::CreateTensor(cpu_, memory, Bytes(state, length), shape.data(), shape.size(), state.type);
}

void StateMemory::Bind(Ort::IoBinding& binding, int64_t past, int64_t total) {
  for (size_t index = 0; index < states_.size(); ++index) {
    const State& state = states_[index];
    Buffers& buffers = buffers_[index];
    switch (state.kind) {
      case StateKind::kInPlace:
        if (in_place_are_bound_) break;
        binding.BindInput(state.past.c_str(), buffers.read_value);
        binding.BindOutput(state.present.c_str(), buffers.read_value);
        break;
      case StateKind::kAppended:
        binding.BindInput(state.past.c_str(), View(state, buffers.read, past));
        binding.BindOutput(state.present.c_str(), View(state, buffers.written, total));
        break;
      case StateKind::kFixed:
        binding.BindInput(state.past.c_str(), buffers.read_value);
        binding.BindOutput(state.present.c_str(), buffers.written_value);
        break;
    }
  }
  in_place_are_bound_ = true;
}

void StateMemory::Advance() {
  for (Buffers& buffers : buffers_) {
    if (buffers.read == buffers.written) continue;
    std::swap(buffers.read, buffers.written);
    std::swap(buffers.read_value, buffers.written_value);
  }
}

int64_t StateMemory::RewindsTo(int64_t position, int64_t length) const {
  if (!has_fixed_ || position == length) return position;
  return checkpoint_ >= 0 && checkpoint_ <= position ? checkpoint_ : 0;
}

void StateMemory::Rewind(int64_t position, int64_t length) {
  if (position == length) return;
  // The text after it may become another one.
  if (checkpoint_ > position) checkpoint_ = -1;
  const std::byte* kept = kept_.data();
  for (size_t index = 0; index < states_.size(); ++index) {
    const State& state = states_[index];
    Buffers& buffers = buffers_[index];
    if (state.kind == StateKind::kAppended) Cut(state, buffers.read, position, length);
    if (state.kind != StateKind::kFixed || buffers.bytes == 0) continue;
    if (checkpoint_ == position) {
      std::memcpy(buffers.read, kept, buffers.bytes);
      kept += buffers.bytes;
    } else {
      std::memset(buffers.read, 0, buffers.bytes);
    }
  }
}

// Rows of a state lie `length` positions apart; each keeps its first `position`.
void StateMemory::Cut(const State& state, std::byte* memory, int64_t position, int64_t length) const {
  const auto text = std::find(state.shape.begin(), state.shape.end(), kText);
  size_t rows = 1;
  for (auto size = state.shape.begin(); size != text; ++size) rows *= static_cast<size_t>(*size);
  const size_t row_bytes = Bytes(state, 1) / rows;
  for (size_t row = 1; row < rows && position > 0; ++row) {
    std::memmove(memory + row * static_cast<size_t>(position) * row_bytes,
                 memory + row * static_cast<size_t>(length) * row_bytes,
                 static_cast<size_t>(position) * row_bytes);
  }
}

void StateMemory::Checkpoint(int64_t length) {
  checkpoint_ = length;
  kept_.clear();
  for (size_t index = 0; index < states_.size(); ++index) {
    if (states_[index].kind != StateKind::kFixed) continue;
    const Buffers& buffers = buffers_[index];
    kept_.insert(kept_.end(), buffers.read, buffers.read + buffers.bytes);
  }
}

}  // namespace slm
