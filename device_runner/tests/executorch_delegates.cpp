// Takes payloads of XNNPACK delegates, whole or broken, and runs those that the runner covers:
//   executorch_delegates THREADS [values] < payloads > answers
// Each payload follows its length in bytes, an int64. Constants are zeros, and so are the inputs, unless
// there are values: after the payload, the floats of each input in the order of positions. The answers are
// lines: "ran", followed by the outputs' floats where there are values, or why a payload is left to the
// engine.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <vector>

#include "engines/executorch/threads.h"
#include "engines/executorch/xnnpack_graph.h"
#include "rows/program.h"

namespace {

constexpr size_t kMaximumConstantBytes = 1 << 20;
constexpr int64_t kMaximumArgumentFloats = 1 << 22;

void Take(const std::vector<uint8_t>& payload, bool values) {
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
  std::vector<std::vector<float>> buffers(positions.size());
  // The most rows last: their outputs are told.
  for (const int64_t rows : {int64_t{1}, program.maximum_rows()}) {
    const bool given = values && rows == program.maximum_rows();
    std::vector<float*> arguments(positions.size());
    for (const uint32_t position : positions) {
      const int64_t floats = rows * program.width(position);
      if (floats > kMaximumArgumentFloats) throw slm::rows::NotCovered("too much for this test");
      buffers[position].assign(static_cast<size_t>(floats), 0);
      arguments[position] = buffers[position].data();
    }
    for (const uint32_t position : program.inputs()) {
      std::vector<float>& input = buffers[position];
      if (given && std::fread(input.data(), sizeof(float), input.size(), stdin) != input.size()) std::exit(2);
    }
    program.Run(arguments, rows);
  }
  std::printf("ran");
  for (const auto& output : program.outputs()) {
    if (!values) break;
    for (const float value : buffers[output.position]) std::printf(" %.9g", static_cast<double>(value));
  }
  std::puts("");
}

}  // namespace

int main(int argc, char** argv) {
  const bool values = argc == 3 && std::strcmp(argv[2], "values") == 0;
  const int threads = argc == 2 || values ? std::atoi(argv[1]) : 0;
  if (threads < 1 || !slm::SetThreads(threads, {}).ok()) return 2;
  int64_t bytes = 0;
  while (std::fread(&bytes, sizeof bytes, 1, stdin) == 1) {
    std::vector<uint8_t> payload(static_cast<size_t>(bytes));
    if (std::fread(payload.data(), 1, payload.size(), stdin) != payload.size()) return 2;
    try {
      Take(payload, values);
    } catch (const std::exception& error) {
      std::puts(error.what());
    }
  }
  return 0;
}
