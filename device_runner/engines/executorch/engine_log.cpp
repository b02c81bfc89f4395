#include "engines/executorch/engine_log.h"

#include <executorch/runtime/platform/platform.h>

#include <cstdlib>
#include <mutex>
#include <string_view>

namespace slm {
namespace {

// The first messages name the cause; those after them come from callers that give up in turn.
constexpr size_t kMaximumBytes = 600;

// ExecuTorch's platform layer takes plain functions, so what they write to cannot be passed in. One per
// thread: what a session hears is about its own calls.
std::string& Messages() {
  thread_local std::string messages;
  return messages;
}

// Nothing else can reach it either.
EndProcess end_process = nullptr;

void Keep(et_timestamp_t, et_pal_log_level_t level, const char*, const char*, size_t, const char* message,
          size_t length) {
  if (level != kError && level != kFatal) return;
  std::string& messages = Messages();
  const std::string_view text(message, length);
  // Each instruction that needs a missing kernel says so.
  if (messages.size() + length > kMaximumBytes || messages.find(text) != std::string::npos) return;
  if (!messages.empty()) messages += "; ";
  messages += text;
}

void End() {
  if (end_process != nullptr) end_process(Messages());
  std::abort();
}

}  // namespace

void KeepEngineMessages() {
  // ExecuTorch complains about a second time.
  static std::once_flag once;
  std::call_once(once, [] {
    executorch::runtime::register_pal(executorch::runtime::PalImpl::create(nullptr, End, nullptr, nullptr,
                                                                           Keep, nullptr, nullptr, __FILE__));
  });
}

void OnEngineAbort(EndProcess end) { end_process = end; }

std::string EngineFailure(const std::string& what, executorch::runtime::Error error) {
  std::string text = what + executorch::runtime::to_string(error);
  std::string& messages = Messages();
  if (!messages.empty()) text += " (" + messages + ")";
  messages.clear();
  return text;
}

}  // namespace slm
