#include "engines/executorch/engine_log.h"

#include <executorch/runtime/platform/platform.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "engine/status.h"

namespace slm {
namespace {

// The first messages name the cause; those after them come from callers that give up in turn.
constexpr size_t kMostBytes = 600;

// ExecuTorch's platform layer takes plain functions, so what they write to cannot be passed in.
std::string& Messages() {
  static std::string messages;
  return messages;
}

void Keep(et_timestamp_t, et_pal_log_level_t level, const char*, const char*, size_t, const char* message,
          size_t length) {
  if (level != kError && level != kFatal) return;
  std::string& messages = Messages();
  const std::string_view text(message, length);
  // Each instruction that needs a missing kernel says so.
  if (messages.size() + length > kMostBytes || messages.find(text) != std::string::npos) return;
  if (!messages.empty()) messages += "; ";
  messages += text;
}

[[noreturn]] void End() {
  std::fprintf(stderr, "slm-runner-et: error: ExecuTorch gave up: %s\n", Messages().c_str());
  _exit(static_cast<int>(ExitCode::kRunFailed));
}

}  // namespace

void KeepEngineMessages() {
  executorch::runtime::register_pal(
      executorch::runtime::PalImpl::create(nullptr, End, nullptr, nullptr, Keep, nullptr, nullptr, __FILE__));
}

std::string EngineFailure(const std::string& what, executorch::runtime::Error error) {
  std::string text = what + executorch::runtime::to_string(error);
  std::string& messages = Messages();
  if (!messages.empty()) text += " (" + messages + ")";
  messages.clear();
  return text;
}

}  // namespace slm
