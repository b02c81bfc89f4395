// Feeds a program tokens as the runner does and writes the logits after each call:
//   executorch_logits MODEL KERNELS THREADS LENGTH... < tokens > logits
// Tokens are int64, as many as the lengths add up to; logits are float32. The kernels' name goes to stderr.
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "engines/executorch/executorch_engine.h"
#include "session/generator.h"

namespace {

void Check(const slm::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.message().c_str());
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  std::vector<size_t> lengths;
  for (int at = 4; at < argc; ++at) lengths.push_back(std::strtoul(argv[at], nullptr, 10));
  std::vector<int64_t> tokens(std::accumulate(lengths.begin(), lengths.end(), size_t{0}));
  if (std::fread(tokens.data(), sizeof(int64_t), tokens.size(), stdin) != tokens.size()) return 2;
  slm::SessionOptions options;
  options.model = argv[1];
  options.kernels = argv[2];
  options.threads = std::atoi(argv[3]);
  options.prefill_chunk = static_cast<int64_t>(tokens.size());
  slm::ExecutorchEngine engine;
  slm::Session session(engine, options);
  Check(session.Load());
  slm::Generator text(session);
  Check(text.Reserve(static_cast<int64_t>(tokens.size()), "the tokens"));
  std::fprintf(stderr, "%s\n", engine.kernels().c_str());
  std::span<const int64_t> left(tokens);
  for (const size_t length : lengths) {
    Check(text.Feed(left.first(length)));
    left = left.subspan(length);
    std::fwrite(text.logits().data(), sizeof(float), text.logits().size(), stdout);
  }
  return 0;
}
