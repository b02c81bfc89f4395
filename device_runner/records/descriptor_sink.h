// Records on an open file descriptor, such as stdout.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "records/record_sink.h"

namespace slm {

// Writes all of `text`, whatever interrupts it. errno says why it returns false.
bool WriteAll(int descriptor, std::string_view text);

// Each record is handed to the kernel at once.
class DescriptorSink final : public RecordSink {
 public:
  // `name` is what messages call it. The descriptor stays open.
  DescriptorSink(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}

  Status Write(std::string_view line) override;

 private:
  int descriptor_;
  std::string name_;
};

}  // namespace slm
