// Where packed weights live, and how the memory that they were packed from is given back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace slm {

// Hands out memory that is freed as a whole. Large pages where the system has them: weights are read
// front to back, and the hardware's prefetching stops at the end of a page.
class WeightMemory {
 public:
  WeightMemory() = default;
  WeightMemory(const WeightMemory&) = delete;
  WeightMemory& operator=(const WeightMemory&) = delete;
  ~WeightMemory();

  // Aligned to 64 bytes. Throws std::bad_alloc.
  std::byte* Allocate(size_t bytes);
  // All of it, with what no weight has come to yet.
  std::vector<std::span<const std::byte>> ranges() const;

 private:
  struct Region {
    std::byte* start;
    size_t bytes;
  };

  std::vector<Region> regions_;
  size_t used_of_last_ = 0;
};

// Pages of mapped files that are not needed for now leave the resident set, and are read from the file
// again if somebody comes back to them.
class MappedSources {
 public:
  // Notes that [data, data + bytes) was read for the last time; releases when enough has come together.
  void Add(const void* data, size_t bytes);
  // Releases what lies in mapped files; other memory is left as it is.
  void Release();

 private:
  std::vector<std::pair<uintptr_t, uintptr_t>> ranges_;
  size_t pending_bytes_ = 0;
};

}  // namespace slm
