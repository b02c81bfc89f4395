#include "engines/executorch/program_loader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "engines/executorch/flatbuffer.h"

namespace slm {
namespace {

using executorch::runtime::Error;
using executorch::runtime::FreeableBuffer;
using executorch::runtime::Result;

// Fields of ExecuTorch's schema, by table.
constexpr int kExecutionPlans = 1;
constexpr int kDelegates = 7;
constexpr int kBackendId = 0;
// In a damaged file all plans may point to one list. ExecuTorch itself reads no more tables than this.
constexpr size_t kMaximumDelegates = 1'000'000;

size_t BytesIntoPage(uintptr_t address) { return address % static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)); }

void Unmap(void*, void* data, size_t size) {
  const size_t before = BytesIntoPage(reinterpret_cast<uintptr_t>(data));
  munmap(static_cast<uint8_t*>(data) - before, size + before);
}

}  // namespace

void RenameBackends(std::span<uint8_t> program, std::string_view from, std::string_view to) {
  size_t left = kMaximumDelegates;
  try {
    for (const FlatTable& plan : FlatTable::Root(program).Tables(kExecutionPlans)) {
      for (const FlatTable& delegate : plan.Tables(kDelegates)) {
        if (left-- == 0) return;
        const auto [start, size] = delegate.StringPlace(kBackendId);
        const std::string_view id(reinterpret_cast<const char*>(program.data()) + start, size);
        if (id == from) std::copy(to.begin(), to.end(), program.begin() + static_cast<std::ptrdiff_t>(start));
      }
    }
  } catch (const BrokenFlatbuffer&) {
    // ExecuTorch says what is wrong with it.
  }
}

Result<FreeableBuffer> RenamingLoader::load(size_t offset, size_t size, const SegmentInfo& info) const {
  if (info.segment_type != SegmentInfo::Type::Program) return file_.load(offset, size, info);
  const auto length = file_.size();
  if (!length.ok()) return length.error();
  // Pages behind a file's end cannot be read.
  if (size == 0 || offset > *length || size > *length - offset) return Error::InvalidArgument;
  const int file = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return Error::AccessFailed;
  const size_t before = BytesIntoPage(offset);
  void* const pages = mmap(nullptr, size + before, PROT_READ | PROT_WRITE, MAP_PRIVATE, file,
                           static_cast<off_t>(offset - before));
  close(file);
  if (pages == MAP_FAILED) return Error::AccessFailed;
  uint8_t* const data = static_cast<uint8_t*>(pages) + before;
  if (offset == 0) RenameBackends({data, size}, from_, to_);
  return FreeableBuffer(data, size, Unmap);
}

}  // namespace slm
