// The outcome of anything that can fail. No exception crosses from an engine into the session.
#pragma once

#include <string>
#include <utility>

namespace slm {

// What went wrong, for whoever decides what to do next; cli/exit_code.h gives each a number.
enum class ErrorKind {
  kNone,
  kUsage,
  kEngineLibrary,
  kModelLoad,
  kModelInterface,
  kContextExceeded,
  kRunFailed,
  kOutput,
  // What the device lacks: a CPU that is offline or not allowed, so many threads, a kernel set.
  kCpus,
  kThreads,
  kKernels,
  // Somebody asked for it through a stop token.
  kStopped,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)) {}

  bool ok() const { return kind_ == ErrorKind::kNone; }
  ErrorKind kind() const { return kind_; }
  const std::string& message() const { return message_; }

 private:
  ErrorKind kind_ = ErrorKind::kNone;
  std::string message_;
};

}  // namespace slm
