// What ExecuTorch says when something fails. It writes to stderr by itself; here it ends up in our one line.
#pragma once

#include <executorch/runtime/core/error.h>

#include <string>

namespace slm {

// From now on ExecuTorch's error messages are kept instead of printed.
void KeepEngineMessages();

// For the process that this is: where ExecuTorch would abort it, `end` is called instead with what ExecuTorch
// has said. Without this call, or when `end` returns, the process aborts.
using EndProcess = void (*)(const std::string& messages);
void OnEngineAbort(EndProcess end);

// `what`, the error's name, and what ExecuTorch has said since the last call.
std::string EngineFailure(const std::string& what, executorch::runtime::Error error);

}  // namespace slm
