#include "engines/onnxruntime/model_file.h"

#include <cstdint>
#include <string>
#include <utility>

#include "tests/check.h"
#include "tests/temporary.h"

namespace {

std::string Number(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  return bytes + static_cast<char>(value);
}

// Fields of protobuf: of type 2, with a length, and of type 0.
std::string Bytes(uint64_t field, const std::string& content) {
  return Number(field << 3 | 2) + Number(content.size()) + content;
}
std::string Integer(uint64_t field, uint64_t value) { return Number(field << 3) + Number(value); }

std::string Attribute(const std::string& name, uint64_t value) {
  return Bytes(5, Bytes(1, name) + Integer(3, value) + Integer(20, 2));
}

std::string Product(uint64_t accuracy_level) {
  std::string node = Bytes(1, "activations") + Bytes(1, "values") + Bytes(1, "scales") + Bytes(2, "out") +
                     Bytes(4, "MatMulNBits") + Bytes(7, "com.microsoft");
  for (const auto& [name, value] : {std::pair<const char*, uint64_t>{"N", 24}, {"K", 64}, {"bits", 4}})
    node += Attribute(name, value);
  return node + Attribute("block_size", 32) + Attribute("accuracy_level", accuracy_level);
}

std::string Attention(const std::string& quantized) {
  std::string node;
  for (const char* input : {"query", "", "", "past_key", "past_value", "last", "total"})
    node += Bytes(1, input);
  for (const char* output : {"out", "key", "value"}) node += Bytes(2, output);
  node += Bytes(4, "GroupQueryAttention") + Bytes(7, "com.microsoft");
  node += Attribute("num_heads", 4) + Attribute("kv_num_heads", 2);
  return node + Bytes(5, Bytes(1, "k_quant_type") + Bytes(4, quantized));
}

std::string Model(const std::string& nodes) { return Integer(1, 10) + Bytes(7, nodes) + Bytes(2, "test"); }

slm::Coverage Read(const std::string& model) {
  const slm::test::TemporaryFolder folder;
  slm::test::WriteFile(folder / "model.onnx", model);
  return slm::ReadCoverage(folder / "model.onnx");
}

TEST(NodesDecideForTheirOperator) {
  const slm::Coverage both = Read(Model(Bytes(1, Product(4)) + Bytes(1, Attention(""))));
  CHECK(both.matmul && both.attention);
  const slm::Coverage floats =
      Read(Model(Bytes(1, Product(4)) + Bytes(1, Product(0)) + Bytes(1, Attention(""))));
  CHECK(!floats.matmul && floats.attention);
  const slm::Coverage quantized = Read(Model(Bytes(1, Product(4)) + Bytes(1, Attention("int8"))));
  CHECK(quantized.matmul && !quantized.attention);
}

TEST(AttentionMayReadWhatAnotherOneHasWritten) {
  const auto reading = [](const std::string& key) {
    std::string node;
    for (const std::string& input : {std::string("query"), key, key, std::string("past_key"),
                                     std::string("past_value"), std::string("last"), std::string("total")})
      node += Bytes(1, input);
    node += Bytes(2, "out") + Bytes(4, "GroupQueryAttention") + Bytes(7, "com.microsoft");
    return Bytes(1, node + Attribute("num_heads", 4) + Attribute("kv_num_heads", 2));
  };
  CHECK(Read(Model(reading("nothing"))).attention);
  // Packed keys belong to a cache that is written.
  CHECK(!Read(Model(reading(""))).attention);
}

TEST(GraphsOfNodesAreRead) {
  const std::string inner = Bytes(1, Product(0));
  const std::string branch = Bytes(4, "If") + Bytes(5, Bytes(1, "then_branch") + Bytes(6, inner));
  CHECK(!Read(Model(Bytes(1, branch))).matmul);
}

TEST(DamageIsLeftToTheEngine) {
  const slm::Coverage missing = slm::ReadCoverage("/nowhere/model.onnx");
  CHECK(missing.matmul && missing.attention);
  const std::string whole = Model(Bytes(1, Product(0)) + Bytes(1, Attention("int8")));
  for (size_t at = 0; at < whole.size(); ++at) {
    Read(whole.substr(0, at));
    for (const int value : {0, 0x7F, 0x80, 0xFF}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(value);
      Read(damaged);
    }
  }
  std::string nested = Bytes(1, Product(0));
  for (int depth = 0; depth < 10'000; ++depth) nested = Bytes(1, Bytes(5, Bytes(6, nested)));
  CHECK(Read(Model(nested)).matmul);
}

}  // namespace
