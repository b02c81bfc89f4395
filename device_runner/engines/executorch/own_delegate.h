// XNNPACK delegates of a program on the runner's own kernels.
//
// A program names the backend of each delegate. The runner registers a backend under a name of its own, and
// its loader (program_loader.h) hands ExecuTorch the program with XNNPACK's name replaced by that one.
// Delegates that the runner cannot run itself go on to XNNPACK's backend; files stay as they are.
#pragma once

#include <executorch/extension/memory_allocator/malloc_memory_allocator.h>

#include <memory>
#include <string_view>

#include "rows/program.h"

namespace slm {

inline constexpr std::string_view kXnnpackBackend = "XnnpackBackend";
inline constexpr std::string_view kOwnBackend = "SlmRowsBackend";
static_assert(kOwnBackend.size() == kXnnpackBackend.size());

// What a method is loaded into. ExecuTorch hands it to every delegate of the method and nothing else of the
// session's, so it also holds what they share.
class MethodAllocator final : public executorch::extension::MallocMemoryAllocator {
 public:
  // Null: all delegates are left to the engine.
  std::shared_ptr<rows::Resources> resources;
  // Those that run on the runner's kernels.
  int own_delegates = 0;
};

// For the whole process, once; false where there is no XNNPACK to hand delegates on to.
bool RegisterOwnBackend();

}  // namespace slm
