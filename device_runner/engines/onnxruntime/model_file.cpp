#include "engines/onnxruntime/model_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engines/onnxruntime/node_facts.h"

namespace slm {
namespace {

using Bytes = std::span<const uint8_t>;

// Graphs within graphs; a damaged file must not fill the stack.
constexpr int kMaximumDepth = 8;

std::string_view Text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Reads one protobuf message field by field, without generated code. What it skips is never touched.
class Message {
 public:
  explicit Message(Bytes bytes) : left_(bytes) {}

  // False at the end, and where a field does not fit.
  bool Next() {
    uint64_t tag = 0;
    if (left_.empty() || !ReadNumber(tag)) return false;
    field_ = tag >> 3;
    number_ = 0;
    bytes_ = {};
    switch (tag & 7) {
      case 0:
        return ReadNumber(number_);
      case 1:
        return Take(8);
      case 2:
        return ReadNumber(number_) && Take(number_);
      case 5:
        return Take(4);
      default:
        return false;
    }
  }

  uint64_t field() const { return field_; }
  uint64_t number() const { return number_; }
  Bytes bytes() const { return bytes_; }

 private:
  bool ReadNumber(uint64_t& number) {
    number = 0;
    for (int shift = 0; shift < 64 && !left_.empty(); shift += 7) {
      const uint8_t byte = left_.front();
      left_ = left_.subspan(1);
      number |= uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  bool Take(uint64_t count) {
    if (count > left_.size()) return false;
    bytes_ = left_.first(count);
    left_ = left_.subspan(count);
    return true;
  }

  Bytes left_;
  uint64_t field_ = 0;
  uint64_t number_ = 0;
  Bytes bytes_;
};

// Fields of onnx.proto.
namespace model {
constexpr uint64_t kGraph = 7;
}
namespace graph {
constexpr uint64_t kNode = 1;
}
namespace node {
constexpr uint64_t kInput = 1;
constexpr uint64_t kOutput = 2;
constexpr uint64_t kOperator = 4;
constexpr uint64_t kAttribute = 5;
constexpr uint64_t kDomain = 7;
}  // namespace node
namespace attribute {
constexpr uint64_t kName = 1;
constexpr uint64_t kInteger = 3;
constexpr uint64_t kText = 4;
constexpr uint64_t kGraph = 6;
constexpr uint64_t kGraphs = 11;
}  // namespace attribute

class StoredNode final : public own::NodeFacts {
 public:
  explicit StoredNode(Bytes bytes) {
    for (Message message(bytes); message.Next();) {
      const Bytes value = message.bytes();
      if (message.field() == node::kInput) given_.push_back(!value.empty());
      if (message.field() == node::kOutput) ++outputs_;
      if (message.field() == node::kOperator) name_ = Text(value);
      if (message.field() == node::kDomain) domain_ = Text(value);
      if (message.field() == node::kAttribute) ReadAttribute(value);
    }
  }

  bool Is(std::string_view name) const { return domain_ == "com.microsoft" && name_ == name; }
  const std::vector<Bytes>& graphs() const { return graphs_; }

  int64_t Integer(const char* attribute, int64_t otherwise) const override {
    const auto found = integers_.find(attribute);
    return found == integers_.end() ? otherwise : found->second;
  }
  bool HasText(const char* attribute) const override {
    const auto found = texts_.find(attribute);
    return found != texts_.end() && !found->second.empty();
  }
  bool IsGiven(size_t input) const override { return input < given_.size() && given_[input]; }
  size_t inputs() const override { return given_.size(); }
  size_t outputs() const override { return outputs_; }

 private:
  void ReadAttribute(Bytes bytes) {
    std::string_view name;
    std::optional<int64_t> integer;
    std::optional<std::string_view> text;
    for (Message message(bytes); message.Next();) {
      if (message.field() == attribute::kName) name = Text(message.bytes());
      if (message.field() == attribute::kInteger) integer = static_cast<int64_t>(message.number());
      if (message.field() == attribute::kText) text = Text(message.bytes());
      if (message.field() == attribute::kGraph || message.field() == attribute::kGraphs)
        graphs_.push_back(message.bytes());
    }
    if (integer) integers_[name] = *integer;
    if (text) texts_[name] = *text;
  }

  std::string_view name_;
  std::string_view domain_;
  std::vector<bool> given_;
  size_t outputs_ = 0;
  std::map<std::string_view, int64_t> integers_;
  std::map<std::string_view, std::string_view> texts_;
  std::vector<Bytes> graphs_;
};

void ReadGraph(Bytes bytes, int depth, Coverage& coverage) {
  for (Message message(bytes); message.Next();) {
    if (message.field() != graph::kNode) continue;
    const StoredNode node(message.bytes());
    if (node.Is("MatMulNBits") && !own::MatMulNotCovered(node).empty()) coverage.matmul = false;
    if (node.Is("GroupQueryAttention") && !own::AttentionNotCovered(node).empty()) coverage.attention = false;
    if (depth == kMaximumDepth) continue;
    for (const Bytes inner : node.graphs()) ReadGraph(inner, depth + 1, coverage);
  }
}

// A file's content for as long as this lives; empty when it cannot be read.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    struct stat facts = {};
    if (fstat(file, &facts) == 0 && facts.st_size > 0) {
      const auto size = static_cast<size_t>(facts.st_size);
      void* const start = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
      if (start != MAP_FAILED) bytes_ = {static_cast<const uint8_t*>(start), size};
    }
    close(file);
  }
  ~MappedFile() {
    if (!bytes_.empty()) munmap(const_cast<uint8_t*>(bytes_.data()), bytes_.size());
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  Bytes bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

}  // namespace

Coverage ReadCoverage(const std::string& file) {
  const MappedFile mapped(file);
  Coverage coverage;
  for (Message message(mapped.bytes()); message.Next();) {
    if (message.field() == model::kGraph) ReadGraph(message.bytes(), 0, coverage);
  }
  return coverage;
}

}  // namespace slm
