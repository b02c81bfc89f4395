// What ExecuTorch says when something fails. It writes to stderr by itself; here it ends up in our one line.
#pragma once

#include <executorch/runtime/core/error.h>

#include <string>

namespace slm {

// From now on ExecuTorch's error messages are kept instead of printed. Where it would abort the process, it
// ends with the last message and kRunFailed instead.
void KeepEngineMessages();

// `what`, the error's name, and what ExecuTorch has said since the last call.
std::string EngineFailure(const std::string& what, executorch::runtime::Error error);

}  // namespace slm
