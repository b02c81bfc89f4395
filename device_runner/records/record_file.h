// Records in a file that gets its name only once it is whole.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "records/record_sink.h"

namespace slm {

// Writes PATH.part line by line, each line handed to the kernel at once, so that a crash leaves what
// had been measured; Finish renames it to PATH.
class RecordFile final : public RecordSink {
 public:
  explicit RecordFile(std::string path) : path_(std::move(path)) {}
  ~RecordFile() override;

  Status Open();
  Status Write(std::string_view line) override;
  Status Finish() override;

 private:
  std::string partial_path() const { return path_ + ".part"; }
  Status Failed(const std::string& target) const;

  std::string path_;
  int file_ = -1;
};

}  // namespace slm
