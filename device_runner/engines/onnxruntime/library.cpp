#include "engines/onnxruntime/library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace slm {
namespace {

constexpr const char* kLibraryName = "libonnxruntime.so.1";

// /proc/self/exe is of no use: in a bundle it names the dynamic loader that started the runner.
std::vector<std::string> Candidates(const std::string& path, const std::string& executable) {
  if (!path.empty()) return {path};
  const size_t slash = executable.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : executable.substr(0, slash);
  std::vector<std::string> candidates;
  for (const std::string& candidate : {folder + "/lib/" + kLibraryName, folder + "/" + kLibraryName}) {
    if (access(candidate.c_str(), F_OK) == 0) candidates.push_back(candidate);
  }
  candidates.emplace_back(kLibraryName);
  return candidates;
}

Status ReadProviders(const std::string& path, OnnxRuntimeLibrary& library) {
  char** names = nullptr;
  int count = 0;
  OrtStatus* status = library.api->GetAvailableProviders(&names, &count);
  if (status == nullptr) {
    library.providers.assign(names, names + count);
    status = library.api->ReleaseAvailableProviders(names, count);
  }
  if (status == nullptr) return {};
  const std::string message = library.api->GetErrorMessage(status);
  library.api->ReleaseStatus(status);
  return {ErrorKind::kEngineLibrary, path + ": does not say its providers: " + message};
}

}  // namespace

Status OpenOnnxRuntime(const std::string& path, const std::string& executable, OnnxRuntimeLibrary& library) {
  // The official builds send usage data unless this is set before they are loaded.
  setenv("ORT_DISABLE_TELEMETRY", "1", 1);
  const std::string candidate = Candidates(path, executable).front();
  void* handle = dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return {ErrorKind::kEngineLibrary, std::string("the engine library cannot be opened: ") + dlerror()};
  }
  const auto get_base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(handle, "OrtGetApiBase"));
  const OrtApiBase* base = get_base != nullptr ? get_base() : nullptr;
  if (base == nullptr) return {ErrorKind::kEngineLibrary, candidate + ": is not ONNX Runtime"};
  library.version = base->GetVersionString();
  library.api = base->GetApi(ORT_API_VERSION);
  if (library.api == nullptr) {
    return {ErrorKind::kEngineLibrary, candidate + ": ONNX Runtime " + library.version +
                                           " is too old, the runner needs 1." +
                                           std::to_string(ORT_API_VERSION) + " or newer"};
  }
  return ReadProviders(candidate, library);
}

}  // namespace slm
