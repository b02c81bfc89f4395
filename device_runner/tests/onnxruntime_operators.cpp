// Runs models on ONNX Runtime with the runner's operators, however little their inputs fit each other:
//   onnxruntime_operators LIBRARY THREADS KERNELS < problems > answers
// A problem is an int64 with the model's length, the model, the number of its inputs, then for each in order:
// int64 type (of ONNX), rank and sizes, then the data. Several may follow each other. An answer is an int64
// with the number of floats of the first output and the floats, or the negative length of an error message
// and the message.
#include <onnxruntime_cxx_api.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "engines/kernel_choice.h"
#include "engines/onnxruntime/library.h"
#include "engines/onnxruntime/own_kernels.h"

namespace {

template <typename Element>
std::vector<Element> ReadMany(int64_t count) {
  std::vector<Element> elements(static_cast<size_t>(count));
  // Nothing has no address.
  if (count == 0) return elements;
  if (std::fread(elements.data(), sizeof(Element), elements.size(), stdin) != elements.size()) std::exit(2);
  return elements;
}

// Exactly as large as the tensor, so that sanitizers see a step beyond its end.
struct Input {
  ONNXTensorElementDataType type;
  std::vector<int64_t> sizes;
  std::vector<char> data;
};

Input ReadInput() {
  const std::vector<int64_t> head = ReadMany<int64_t>(2);
  Input input{static_cast<ONNXTensorElementDataType>(head[0]), ReadMany<int64_t>(head[1]), {}};
  // float32 and int32.
  int64_t bytes = 4;
  for (const int64_t size : input.sizes) bytes *= size;
  input.data = ReadMany<char>(bytes);
  return input;
}

std::vector<float> Solve(Ort::Env& env, const slm::kernels::KernelSet& set, int threads,
                         const std::vector<char>& model, std::vector<Input>& inputs) {
  slm::OwnKernels own(set, threads, slm::OwnKernels::Operators::kMatMulAndAttention);
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(threads);
  options.SetLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);
  own.AddTo(options);
  Ort::Session session(env, model.data(), model.size(), options);
  own.ReleaseSources();
  Ort::AllocatorWithDefaultOptions allocator;
  const Ort::MemoryInfo memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  std::vector<std::string> names;
  std::vector<const char*> name_pointers;
  std::vector<Ort::Value> values;
  for (size_t at = 0; at < inputs.size(); ++at) {
    names.emplace_back(session.GetInputNameAllocated(at, allocator).get());
    Input& input = inputs[at];
    values.push_back(Ort::Value::CreateTensor(memory, input.data.data(), input.data.size(),
                                              input.sizes.data(), input.sizes.size(), input.type));
  }
  for (const std::string& name : names) name_pointers.push_back(name.c_str());
  const std::string output = session.GetOutputNameAllocated(0, allocator).get();
  const char* const output_name = output.c_str();
  const std::vector<Ort::Value> outputs = session.Run(Ort::RunOptions{nullptr}, name_pointers.data(),
                                                      values.data(), values.size(), &output_name, 1);
  const float* first = outputs[0].GetTensorData<float>();
  return {first, first + outputs[0].GetTensorTypeAndShapeInfo().GetElementCount()};
}

}  // namespace

int main(int argc, char** argv) {
  slm::OnnxRuntimeLibrary library;
  slm::KernelChoice kernels;
  if (argc != 4 || !slm::OpenOnnxRuntime(argv[1], argv[0], library).ok()) return 2;
  if (!slm::ChooseKernels(argv[3], kernels).ok() || kernels.set == nullptr) return 3;
  Ort::InitApi(library.api);
  Ort::Env env(ORT_LOGGING_LEVEL_FATAL, "onnxruntime_operators");
  env.DisableTelemetryEvents();
  int64_t bytes = 0;
  while (std::fread(&bytes, sizeof bytes, 1, stdin) == 1) {
    const std::vector<char> model = ReadMany<char>(bytes);
    std::vector<Input> inputs(static_cast<size_t>(ReadMany<int64_t>(1)[0]));
    for (Input& input : inputs) input = ReadInput();
    try {
      const std::vector<float> output = Solve(env, *kernels.set, std::atoi(argv[2]), model, inputs);
      const auto count = static_cast<int64_t>(output.size());
      std::fwrite(&count, sizeof count, 1, stdout);
      if (count > 0) std::fwrite(output.data(), sizeof(float), output.size(), stdout);
    } catch (const Ort::Exception& error) {
      const std::string message = error.what();
      const auto length = -static_cast<int64_t>(message.size());
      std::fwrite(&length, sizeof length, 1, stdout);
      std::fwrite(message.data(), 1, message.size(), stdout);
    }
  }
  return 0;
}
