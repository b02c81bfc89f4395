#include "kernels/matmul/weight_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <new>
#include <string>

namespace slm {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kLargePage = size_t{2} << 20;
// Only touched pages take memory, so a region may be generous.
constexpr size_t kRegionBytes = size_t{256} << 20;
// Reading the map of the process costs about as much as packing this.
constexpr size_t kReleaseBytes = size_t{16} << 20;

size_t RoundUp(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// Address ranges of the process that show a file as it is: no page in them was written to, which would
// have become memory of its own ("Anonymous") and be lost.
std::vector<std::pair<uintptr_t, uintptr_t>> UnchangedFileMappings() {
  std::vector<std::pair<uintptr_t, uintptr_t>> mappings;
  std::ifstream smaps("/proc/self/smaps");
  unsigned long start = 0;
  unsigned long end = 0;
  unsigned long inode = 0;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long anonymous_kb = 0;
    if (std::sscanf(line.c_str(), "Anonymous: %lu kB", &anonymous_kb) == 1) {
      if (inode != 0 && anonymous_kb == 0) mappings.emplace_back(start, end);
    } else {
      unsigned long from = 0;
      unsigned long to = 0;
      unsigned long file = 0;
      if (std::sscanf(line.c_str(), "%lx-%lx %*s %*x %*s %lu", &from, &to, &file) == 3) {
        start = from;
        end = to;
        inode = file;
      }
    }
  }
  return mappings;
}

}  // namespace

WeightMemory::~WeightMemory() {
  for (const Region& region : regions_) munmap(region.start, region.bytes);
}

std::byte* WeightMemory::Allocate(size_t bytes) {
  bytes = RoundUp(bytes, kAlignment);
  if (regions_.empty() || regions_.back().bytes - used_of_last_ < bytes) {
    const size_t region_bytes = RoundUp(std::max(bytes, kRegionBytes), kLargePage);
    void* start = mmap(nullptr, region_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) throw std::bad_alloc();
    // Refused where the system has no large pages, which is as well.
    madvise(start, region_bytes, MADV_HUGEPAGE);
    regions_.push_back({static_cast<std::byte*>(start), region_bytes});
    used_of_last_ = 0;
  }
  std::byte* memory = regions_.back().start + used_of_last_;
  used_of_last_ += bytes;
  return memory;
}

std::vector<std::span<const std::byte>> WeightMemory::ranges() const {
  std::vector<std::span<const std::byte>> ranges;
  for (const Region& region : regions_) ranges.emplace_back(region.start, region.bytes);
  return ranges;
}

void MappedSources::Add(const void* data, size_t bytes) {
  const auto start = reinterpret_cast<uintptr_t>(data);
  ranges_.emplace_back(start, start + bytes);
  pending_bytes_ += bytes;
  if (pending_bytes_ >= kReleaseBytes) Release();
}

void MappedSources::Release() {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto mappings = UnchangedFileMappings();
  for (const auto& [start, end] : ranges_) {
    for (const auto& [mapped_start, mapped_end] : mappings) {
      // Whole pages around the range: a neighbour's bytes come back from the file when they are read.
      const uintptr_t first = std::max(start / page * page, mapped_start);
      const uintptr_t last = std::min((end + page - 1) / page * page, mapped_end);
      if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
    }
  }
  ranges_.clear();
  pending_bytes_ = 0;
}

}  // namespace slm
