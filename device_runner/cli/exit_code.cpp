#include "cli/exit_code.h"

namespace slm {

int ExitCodeOf(const Status& status, int signal) {
  constexpr int kSignalBase = 128;
  switch (status.kind()) {
    case ErrorKind::kNone:
      return 0;
    case ErrorKind::kUsage:
      return 2;
    case ErrorKind::kEngineLibrary:
      return 3;
    case ErrorKind::kModelLoad:
      return 4;
    case ErrorKind::kModelInterface:
      return 5;
    case ErrorKind::kContextExceeded:
      return 6;
    case ErrorKind::kRunFailed:
      return 7;
    case ErrorKind::kOutput:
      return 8;
    case ErrorKind::kCpus:
      return 9;
    case ErrorKind::kThreads:
      return 10;
    case ErrorKind::kKernels:
      return 11;
    case ErrorKind::kStopped:
      return kSignalBase + signal;
  }
  return 7;
}

}  // namespace slm
