// The memory that a method was planned for: activations, the KV cache, and states of fixed size.
#pragma once

#include <executorch/runtime/core/hierarchical_allocator.h>
#include <executorch/runtime/executor/method_meta.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace slm {

// Fresh zeroed pages, which count only once they are touched: a KV cache planned for the whole context costs
// as much as the run uses of it.
class ProgramMemory {
 public:
  explicit ProgramMemory(const executorch::runtime::MethodMeta& meta);
  ~ProgramMemory();
  ProgramMemory(const ProgramMemory&) = delete;
  ProgramMemory& operator=(const ProgramMemory&) = delete;

  executorch::runtime::HierarchicalAllocator& allocator() { return *allocator_; }
  // A buffer by its number in the program, which counts from 1; empty for one that is not there.
  std::span<uint8_t> buffer(int64_t number) const;

 private:
  // As planned, and as mapped.
  std::vector<executorch::runtime::Span<uint8_t>> buffers_;
  std::vector<executorch::runtime::Span<uint8_t>> mapped_;
  std::optional<executorch::runtime::HierarchicalAllocator> allocator_;
};

}  // namespace slm
