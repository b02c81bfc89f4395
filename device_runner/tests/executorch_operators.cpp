// Runs llama::update_cache and llama::custom_sdpa as ExecuTorch does, by name, on numbers from a file:
//   executorch_operators THREADS < problem > outputs
// A problem is nine int64 (tokens, heads, kv_heads, head_dim, capacity, start, is_causal, mask_rows,
// mask_columns), then floats: the scale, queries, keys and values of all start + tokens positions, mask.
// Several may follow each other. For each the output [tokens, heads, head_dim] is written.
#include <executorch/extension/tensor/tensor.h>
#include <executorch/runtime/kernel/kernel_runtime_context.h>
#include <executorch/runtime/kernel/operator_registry.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "engines/executorch/threads.h"

namespace {

using executorch::aten::SizesType;
using executorch::extension::from_blob;
using executorch::runtime::Error;
using executorch::runtime::EValue;

struct Problem {
  int64_t tokens, heads, kv_heads, head_dim, capacity, start, is_causal, mask_rows, mask_columns;
};

std::vector<float> ReadFloats(int64_t count) {
  std::vector<float> floats(static_cast<size_t>(count));
  if (std::fread(floats.data(), sizeof(float), floats.size(), stdin) != floats.size()) std::exit(2);
  return floats;
}

void Call(const char* name, std::vector<EValue>& arguments) {
  std::vector<EValue*> stack;
  for (EValue& argument : arguments) stack.push_back(&argument);
  const auto kernel = executorch::runtime::get_op_function_from_registry(name);
  if (!kernel.ok()) std::exit(3);
  executorch::runtime::KernelRuntimeContext context;
  (*kernel)(context, {stack.data(), stack.size()});
  if (context.failure_state() != Error::Ok) std::exit(4);
}

// Puts positions [from, from + count) of the states where the operator belongs.
void Append(const Problem& problem, std::vector<float>& states, std::vector<float>& cache, int64_t from,
            int64_t count) {
  if (count == 0) return;
  const auto heads = static_cast<SizesType>(problem.kv_heads);
  const auto dim = static_cast<SizesType>(problem.head_dim);
  const auto value = from_blob(states.data() + from * problem.kv_heads * problem.head_dim,
                               {1, static_cast<SizesType>(count), heads, dim});
  const auto all = from_blob(cache.data(), {1, static_cast<SizesType>(problem.capacity), heads, dim});
  std::vector<EValue> arguments{EValue(*value), EValue(*all), EValue(from), EValue(*all), EValue(*all)};
  Call("llama::update_cache.out", arguments);
}

std::vector<float> Solve(const Problem& problem) {
  const int64_t row = problem.kv_heads * problem.head_dim;
  const int64_t length = problem.start + problem.tokens;
  const float scale = ReadFloats(1)[0];
  std::vector<float> queries = ReadFloats(problem.tokens * problem.heads * problem.head_dim);
  std::vector<float> keys = ReadFloats(length * row);
  std::vector<float> values = ReadFloats(length * row);
  std::vector<float> mask = ReadFloats(problem.mask_rows * problem.mask_columns);
  // What lies behind the last position must not matter.
  std::vector<float> key_cache(static_cast<size_t>(problem.capacity * row), NAN);
  std::vector<float> value_cache = key_cache;
  for (const auto& [states, cache] : {std::pair{&keys, &key_cache}, std::pair{&values, &value_cache}}) {
    Append(problem, *states, *cache, 0, problem.start);
    Append(problem, *states, *cache, problem.start, problem.tokens);
  }
  std::vector<float> output(queries.size(), NAN);
  const auto tensor = [&](std::vector<float>& data, int64_t positions, int64_t heads) {
    return from_blob(data.data(), {1, static_cast<SizesType>(positions), static_cast<SizesType>(heads),
                                   static_cast<SizesType>(problem.head_dim)});
  };
  const auto query = tensor(queries, problem.tokens, problem.heads);
  const auto key = tensor(key_cache, problem.capacity, problem.kv_heads);
  const auto value = tensor(value_cache, problem.capacity, problem.kv_heads);
  const auto out = tensor(output, problem.tokens, problem.heads);
  const auto bias = from_blob(
      mask.data(), {static_cast<SizesType>(problem.mask_rows), static_cast<SizesType>(problem.mask_columns)});
  std::vector<EValue> arguments{EValue(*query),
                                EValue(*key),
                                EValue(*value),
                                EValue(problem.start),
                                mask.empty() ? EValue() : EValue(*bias),
                                EValue(0.0),
                                EValue(problem.is_causal != 0),
                                EValue(static_cast<double>(scale)),
                                EValue(*out),
                                EValue(*out)};
  Call("llama::custom_sdpa.out", arguments);
  return output;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || !slm::SetThreads(std::atoi(argv[1]), {}).ok()) return 2;
  Problem problem;
  while (std::fread(&problem, sizeof problem, 1, stdin) == 1) {
    const std::vector<float> output = Solve(problem);
    std::fwrite(output.data(), sizeof(float), output.size(), stdout);
  }
  return 0;
}
