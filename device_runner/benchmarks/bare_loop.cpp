// bare_loop LIBRARY MODEL THREADS PROMPT_TOKENS GENERATE_TOKENS REPETITIONS
//
// The least code that can decode: one session, one binding, Run in a loop. No argmax, no records, no
// memory sampler, no signals; it shares no code with the runner. Prints one JSON line per repetition:
// prefill_ns and decode_ns as the runner defines them, the latter summed over all steps.
#include <dlfcn.h>
#include <onnxruntime_cxx_api.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void InitApi(const char* library) {
  setenv("ORT_DISABLE_TELEMETRY", "1", 1);
  void* handle = dlopen(library, RTLD_NOW);
  if (handle == nullptr) {
    std::fprintf(stderr, "bare_loop: %s\n", dlerror());
    std::exit(3);
  }
  Ort::InitApi(
      reinterpret_cast<const OrtApiBase* (*)()>(dlsym(handle, "OrtGetApiBase"))()->GetApi(ORT_API_VERSION));
}

Ort::SessionOptions MakeOptions(int threads) {
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(threads);
  options.SetInterOpNumThreads(1);
  options.DisableMemPattern();
  return options;
}

class Loop {
 public:
  Loop(Ort::Session& session, int64_t prompt, int64_t length)
      : session_(session),
        binding_(session),
        ids_(static_cast<size_t>(prompt), 1),
        positions_(static_cast<size_t>(prompt)),
        ones_(static_cast<size_t>(length), 1) {
    Ort::AllocatorWithDefaultOptions allocator;
    logits_.resize(
        static_cast<size_t>(session.GetOutputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape().back()));
    const int64_t shape[] = {1, 1, static_cast<int64_t>(logits_.size())};
    binding_.BindOutput("logits",
                        Ort::Value::CreateTensor<float>(cpu_, logits_.data(), logits_.size(), shape, 3));
    for (size_t index = 0; index < session.GetInputCount(); ++index) {
      const std::string name = session.GetInputNameAllocated(index, allocator).get();
      has_positions_ |= name == "position_ids";
      if (!name.starts_with("past_key_values.")) continue;
      auto cache_shape = session.GetInputTypeInfo(index).GetTensorTypeAndShapeInfo().GetShape();
      cache_shape[0] = 1;
      cache_shape[2] = length;
      auto& buffer = caches_.emplace_back(static_cast<size_t>(cache_shape[1] * length * cache_shape[3]));
      const auto cache = Ort::Value::CreateTensor<float>(cpu_, buffer.data(), buffer.size(),
                                                         cache_shape.data(), cache_shape.size());
      binding_.BindInput(name.c_str(), cache);
      binding_.BindOutput(("present." + name.substr(std::strlen("past_key_values."))).c_str(), cache);
    }
  }

  void BindTokens(int64_t tokens) {
    binding_.BindInput("input_ids", View(ids_, tokens));
    if (has_positions_) binding_.BindInput("position_ids", View(positions_, tokens));
  }
  void Step(int64_t position, int64_t tokens) {
    for (int64_t index = 0; index < tokens; ++index)
      positions_[static_cast<size_t>(index)] = position + index;
    binding_.BindInput("attention_mask", View(ones_, position + tokens));
    session_.Run(run_, binding_);
  }

 private:
  Ort::Value View(std::vector<int64_t>& buffer, int64_t length) {
    const int64_t shape[] = {1, length};
    return Ort::Value::CreateTensor<int64_t>(cpu_, buffer.data(), static_cast<size_t>(length), shape, 2);
  }

  Ort::Session& session_;
  Ort::IoBinding binding_;
  Ort::MemoryInfo cpu_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  Ort::RunOptions run_;
  std::vector<int64_t> ids_;
  std::vector<int64_t> positions_;
  std::vector<int64_t> ones_;
  std::vector<float> logits_;
  std::vector<std::vector<float>> caches_;
  bool has_positions_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr,
                 "usage: bare_loop LIBRARY MODEL THREADS PROMPT_TOKENS GENERATE_TOKENS REPETITIONS\n");
    return 2;
  }
  InitApi(argv[1]);
  const int64_t prompt = std::atoll(argv[4]);
  const int64_t generate = std::atoll(argv[5]);
  Ort::Env env(ORT_LOGGING_LEVEL_ERROR, "bare_loop");
  Ort::Session session(env, argv[2], MakeOptions(std::atoi(argv[3])));
  Loop loop(session, prompt, prompt + generate);
  for (int repetition = 0; repetition < std::atoi(argv[6]); ++repetition) {
    const int64_t started = NowNs();
    loop.BindTokens(prompt);
    loop.Step(0, prompt);
    const int64_t prefilled = NowNs();
    loop.BindTokens(1);
    for (int64_t step = 0; step + 1 < generate; ++step) loop.Step(prompt + step, 1);
    std::printf("{\"prefill_ns\":%lld,\"decode_ns\":%lld,\"decode_steps\":%lld}\n",
                static_cast<long long>(prefilled - started), static_cast<long long>(NowNs() - prefilled),
                static_cast<long long>(generate - 1));
  }
  return 0;
}
