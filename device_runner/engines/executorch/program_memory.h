// The memory that a method was planned for: activations and the KV cache.
#pragma once

#include <executorch/runtime/core/hierarchical_allocator.h>
#include <executorch/runtime/executor/method_meta.h>

#include <optional>
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

 private:
  // As planned, and as mapped.
  std::vector<executorch::runtime::Span<uint8_t>> buffers_;
  std::vector<executorch::runtime::Span<uint8_t>> mapped_;
  std::optional<executorch::runtime::HierarchicalAllocator> allocator_;
};

}  // namespace slm
