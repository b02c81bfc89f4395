#include "records/descriptor_sink.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace slm {

bool WriteAll(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(descriptor, text.data(), text.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

Status DescriptorSink::Write(std::string_view line) {
  if (WriteAll(descriptor_, line)) return {};
  return {ErrorKind::kOutput, name_ + ": cannot be written: " + std::strerror(errno)};
}

}  // namespace slm
