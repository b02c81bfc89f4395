// A program's file as ExecuTorch reads it, with some delegates under another backend's name.
//
// The file stays as it is and mapped. Only the pages of the program's flatbuffer that hold such a name become
// this process's own.
#pragma once

#include <executorch/runtime/core/data_loader.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace slm {

// Writes `to` over `from`, which is as long, where a delegate of the program names it as its backend. What is
// no program is left alone.
void RenameBackends(std::span<uint8_t> program, std::string_view from, std::string_view to);

class RenamingLoader final : public executorch::runtime::DataLoader {
 public:
  // `file` loads all but the program's flatbuffer and must outlive this.
  RenamingLoader(const DataLoader& file, std::string path, std::string_view from, std::string_view to)
      : file_(file), path_(std::move(path)), from_(from), to_(to) {}

  executorch::runtime::Result<executorch::runtime::FreeableBuffer> load(
      size_t offset, size_t size, const SegmentInfo& info) const override;
  executorch::runtime::Error load_into(size_t offset, size_t size, const SegmentInfo& info,
                                       void* buffer) const override {
    return file_.load_into(offset, size, info, buffer);
  }
  executorch::runtime::Result<size_t> size() const override { return file_.size(); }

 private:
  const DataLoader& file_;
  std::string path_;
  std::string_view from_;
  std::string_view to_;
};

}  // namespace slm
