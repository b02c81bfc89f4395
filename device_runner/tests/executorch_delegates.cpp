// Takes payloads of XNNPACK delegates, whole or broken, and runs those that the runner covers on zeros:
//   executorch_delegates THREADS < payloads > answers
// Each payload follows its length in bytes, an int64. Constants are zeros, too. The answers are lines: "ran",
// or why a payload is left to the engine.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <vector>

#include "engines/executorch/threads.h"
#include "engines/executorch/xnnpack_graph.h"
#include "rows/program.h"

namespace {

constexpr size_t kMaximumConstantBytes = 1 << 20;
constexpr int64_t kMaximumArgumentFloats = 1 << 22;

void Take(const std::vector<uint8_t>& payload) {
  const std::vector<uint8_t> zeros(kMaximumConstantBytes);
  const slm::NamedData named_data = [&](const std::string&) {
    return slm::rows::SharedBytes{zeros, nullptr};
  };
  const auto resources = std::make_shared<slm::rows::Resources>();
  resources->kernels = slm::kernels::AvailableKernels().front();
  resources->threads = &slm::PoolThreads();
  slm::rows::Program program(slm::ReadXnnpackGraph(payload, named_data), resources);
  std::vector<uint32_t> positions = program.inputs();
  for (const auto& output : program.outputs()) positions.push_back(output.position);
  for (const int64_t rows : {program.maximum_rows(), int64_t{1}}) {
    std::vector<std::vector<float>> buffers(positions.size());
    std::vector<float*> arguments(positions.size());
    for (const uint32_t position : positions) {
      const int64_t floats = rows * program.width(position);
      if (floats > kMaximumArgumentFloats) throw slm::rows::NotCovered("too much for this test");
      buffers[position].resize(static_cast<size_t>(floats));
      arguments[position] = buffers[position].data();
    }
    program.Run(arguments, rows);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc == 2 ? std::atoi(argv[1]) : 0;
  if (threads < 1 || !slm::SetThreads(threads, {}).ok()) return 2;
  int64_t bytes = 0;
  while (std::fread(&bytes, sizeof bytes, 1, stdin) == 1) {
    std::vector<uint8_t> payload(static_cast<size_t>(bytes));
    if (std::fread(payload.data(), 1, payload.size(), stdin) != payload.size()) return 2;
    try {
      Take(payload);
      std::puts("ran");
    } catch (const std::exception& error) {
      std::puts(error.what());
    }
  }
  return 0;
}
