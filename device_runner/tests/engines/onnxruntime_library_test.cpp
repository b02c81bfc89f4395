#include <cstdlib>
#include <cstring>

#include "engines/onnxruntime/library.h"
#include "tests/check.h"
#include "tests/temporary.h"

namespace {

TEST(AMissingLibraryIsNamed) {
  slm::OnnxRuntimeLibrary library;
  const slm::Status status = slm::OpenOnnxRuntime("/absent/libonnxruntime.so.1", "x", library);
  CHECK(status.kind() == slm::ErrorKind::kEngineLibrary);
  CHECK(status.message().find("/absent/libonnxruntime.so.1") != std::string::npos);
}

TEST(AnotherLibraryIsNotOnnxRuntime) {
  slm::OnnxRuntimeLibrary library;
  const slm::Status status = slm::OpenOnnxRuntime("libm.so.6", "x", library);
  CHECK(status.kind() == slm::ErrorKind::kEngineLibrary);
  CHECK(status.message() == "libm.so.6: is not ONNX Runtime");
}

TEST(TelemetryIsOffBeforeAnythingLoads) {
  setenv("ORT_DISABLE_TELEMETRY", "0", 1);
  slm::OnnxRuntimeLibrary library;
  CHECK(!slm::OpenOnnxRuntime("/absent", "x", library).ok());
  CHECK(std::strcmp(std::getenv("ORT_DISABLE_TELEMETRY"), "1") == 0);
}

}  // namespace
