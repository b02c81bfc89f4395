// Operators are called with what a program file says; what does not fit is refused before a byte is touched.
#include <executorch/extension/tensor/tensor.h>
#include <executorch/runtime/kernel/kernel_runtime_context.h>
#include <executorch/runtime/kernel/operator_registry.h>

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "engines/executorch/threads.h"
#include "tests/check.h"

namespace {

using executorch::aten::ScalarType;
using executorch::aten::SizesType;
using executorch::extension::TensorPtr;
using executorch::runtime::Error;
using executorch::runtime::EValue;

constexpr int64_t kFarAway = std::numeric_limits<int64_t>::max() - 1;

// Exactly as many bytes as the tensor says, so that a sanitizer sees one more.
struct Memory {
  std::vector<uint8_t> bytes;
  TensorPtr tensor;

  explicit Memory(std::vector<SizesType> sizes, ScalarType type = ScalarType::Float,
                  std::vector<executorch::aten::DimOrderType> order = {}) {
    size_t count = type == ScalarType::Float ? sizeof(float) : sizeof(uint16_t);
    for (const SizesType size : sizes) count *= static_cast<size_t>(size);
    bytes.resize(count);
    tensor =
        executorch::extension::make_tensor_ptr(std::move(sizes), bytes.data(), std::move(order), {}, type);
  }
  EValue value() const { return EValue(*tensor); }
};

bool IsRefused(const char* name, std::vector<EValue> arguments) {
  std::vector<EValue*> stack;
  for (EValue& argument : arguments) stack.push_back(&argument);
  const auto kernel = executorch::runtime::get_op_function_from_registry(name);
  CHECK(kernel.ok());
  executorch::runtime::KernelRuntimeContext context;
  (*kernel)(context, {stack.data(), stack.size()});
  return context.failure_state() == Error::InvalidArgument;
}

bool SdpaRefuses(const Memory& query, const Memory& states, int64_t start, const Memory& out) {
  return IsRefused("llama::custom_sdpa.out",
                   {query.value(), states.value(), states.value(), EValue(start), EValue(), EValue(0.0),
                    EValue(true), EValue(1.0), out.value(), out.value()});
}

TEST(AttentionRefusesWhatDoesNotFit) {
  CHECK(slm::SetThreads(2, {}).ok());
  const Memory query({1, 2, 4, 8});
  const Memory states({1, 16, 2, 8});
  CHECK(!SdpaRefuses(query, states, 3, Memory({1, 2, 4, 8})));
  CHECK(SdpaRefuses(query, states, 3, Memory({1, 2, 4, 8}, ScalarType::Half)));
  CHECK(SdpaRefuses(query, states, 3, Memory({1, 2, 4, 8}, ScalarType::Float, {0, 2, 1, 3})));
  CHECK(SdpaRefuses(query, states, 3, Memory({1, 1, 4, 8})));
  CHECK(SdpaRefuses(query, Memory({1, 16, 0, 8}), 3, Memory({1, 2, 4, 8})));
  CHECK(SdpaRefuses(query, states, 15, Memory({1, 2, 4, 8})));
  CHECK(SdpaRefuses(query, states, kFarAway, Memory({1, 2, 4, 8})));
}

TEST(TheCacheRefusesPositionsBehindItsEnd) {
  const Memory value({1, 2, 2, 8});
  const Memory cache({1, 16, 2, 8});
  const auto refuses = [&](int64_t start) {
    return IsRefused("llama::update_cache.out",
                     {value.value(), cache.value(), EValue(start), cache.value(), cache.value()});
  };
  CHECK(!refuses(14));
  CHECK(refuses(15));
  CHECK(refuses(-1));
  CHECK(refuses(kFarAway));
}

TEST(TheRecurrenceRefusesAnotherOutput) {
  const Memory heads({1, 2, 3, 8});
  const Memory gates({1, 2, 3});
  const Memory before({1, 2, 8, 8});
  const Memory after({1, 2, 8, 8});
  const auto refuses = [&](const Memory& output) {
    return IsRefused("llama::gated_delta_rule.out",
                     {heads.value(), heads.value(), heads.value(), gates.value(), gates.value(),
                      before.value(), output.value(), after.value(), EValue()});
  };
  CHECK(!refuses(Memory({1, 2, 3, 8})));
  CHECK(refuses(Memory({1, 2, 3, 8}, ScalarType::Half)));
  CHECK(refuses(Memory({1, 2, 3, 4})));
}

}  // namespace
