#include "engines/executorch/program_memory.h"

#include <sys/mman.h>

#include <new>

namespace slm {
namespace {

// XNNPACK may read this far past the end of a tensor.
constexpr size_t kReadBeyondBytes = 128;

}  // namespace

ProgramMemory::ProgramMemory(const executorch::runtime::MethodMeta& meta) {
  for (size_t index = 0; index < meta.num_memory_planned_buffers(); ++index) {
    const auto bytes = static_cast<size_t>(meta.memory_planned_buffer_size(index).get());
    const size_t mapped_bytes = bytes + kReadBeyondBytes;
    void* start = mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) throw std::bad_alloc();
    buffers_.emplace_back(static_cast<uint8_t*>(start), bytes);
    mapped_.emplace_back(static_cast<uint8_t*>(start), mapped_bytes);
  }
  allocator_.emplace(
      executorch::runtime::Span<executorch::runtime::Span<uint8_t>>(buffers_.data(), buffers_.size()));
}

std::span<uint8_t> ProgramMemory::buffer(int64_t number) const {
  if (number < 1 || static_cast<size_t>(number) > buffers_.size()) return {};
  const auto& buffer = buffers_[static_cast<size_t>(number) - 1];
  return {buffer.data(), buffer.size()};
}

ProgramMemory::~ProgramMemory() {
  for (const auto& buffer : mapped_) munmap(buffer.data(), buffer.size());
}

}  // namespace slm
