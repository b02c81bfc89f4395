#include "engine/provenance.h"

namespace slm {

std::string_view RunnerVersion() { return SLM_RUNNER_VERSION; }

std::string_view BuildType() { return SLM_BUILD_TYPE; }

std::string_view Abi() {
#if defined(__x86_64__)
  return "x86_64";
#elif defined(__aarch64__)
  return "arm64-v8a";
#else
#error "this ABI has no name yet"
#endif
}

}  // namespace slm
