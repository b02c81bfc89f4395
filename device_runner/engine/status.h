// The outcome of anything that can fail. No exception crosses from an engine into core.
#pragma once

#include <string>
#include <utility>

namespace slm {

// Fixed: hosts decide by these. docs/runner.md lists them; a signal exits with 128 + its number.
enum class ExitCode : int {
  kOk = 0,
  kUsage = 2,
  kEngineLibrary = 3,
  kModelLoad = 4,
  kModelInterface = 5,
  kContextExceeded = 6,
  kRunFailed = 7,
  kOutput = 8,
  kSignalBase = 128,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(ExitCode code, std::string message)
      : exit_code_(static_cast<int>(code)), message_(std::move(message)) {}

  static Status Signal(int signal) {
    Status status;
    status.exit_code_ = static_cast<int>(ExitCode::kSignalBase) + signal;
    status.message_ = "stopped by signal " + std::to_string(signal);
    return status;
  }

  bool ok() const { return exit_code_ == 0; }
  int exit_code() const { return exit_code_; }
  const std::string& message() const { return message_; }

 private:
  int exit_code_ = 0;
  std::string message_;
};

}  // namespace slm
