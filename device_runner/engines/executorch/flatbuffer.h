// Reads flatbuffers without generated code. Every access is checked against the buffer: what a file says
// about itself is not trusted. Numbers are little-endian, as is every CPU that this runs on.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace slm {

// Thrown where a flatbuffer points outside of itself.
struct BrokenFlatbuffer : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class FlatTable {
 public:
  static FlatTable Root(std::span<const uint8_t> buffer) {
    const FlatTable start(buffer, 0);
    return {buffer, start.Read<uint32_t>(0)};
  }

  // A scalar field by its place in the schema; `missing` where the table leaves it out.
  template <typename Number>
  Number Get(int field, Number missing = 0) const {
    const size_t at = Find(field);
    return at == 0 ? missing : Read<Number>(at);
  }

  bool Has(int field) const { return Find(field) != 0; }

  FlatTable Table(int field) const { return {buffer_, Target(Required(field))}; }

  // First byte within the buffer and number of bytes of a string.
  std::pair<size_t, size_t> StringPlace(int field) const { return Elements(Required(field), 1); }

  // Empty where the table leaves it out.
  std::string String(int field) const {
    const size_t at = Find(field);
    if (at == 0) return {};
    const auto [start, size] = Elements(at, 1);
    return {reinterpret_cast<const char*>(buffer_.data()) + start, size};
  }

  template <typename Number>
  std::vector<Number> Numbers(int field) const {
    const size_t at = Find(field);
    if (at == 0) return {};
    const auto [start, size] = Elements(at, sizeof(Number));
    std::vector<Number> numbers(size);
    if (size > 0) std::memcpy(numbers.data(), buffer_.data() + start, size * sizeof(Number));
    return numbers;
  }

  std::vector<FlatTable> Tables(int field) const {
    const size_t at = Find(field);
    if (at == 0) return {};
    const auto [start, size] = Elements(at, sizeof(uint32_t));
    std::vector<FlatTable> tables;
    tables.reserve(size);
    for (size_t index = 0; index < size; ++index) {
      tables.push_back({buffer_, Target(start + index * sizeof(uint32_t))});
    }
    return tables;
  }

 private:
  FlatTable(std::span<const uint8_t> buffer, size_t position) : buffer_(buffer), position_(position) {}

  template <typename Number>
  Number Read(size_t at) const {
    if (at > buffer_.size() || buffer_.size() - at < sizeof(Number)) throw BrokenFlatbuffer("ends too early");
    Number number;
    std::memcpy(&number, buffer_.data() + at, sizeof number);
    return number;
  }

  // Where a field lies; 0 for one that is left out.
  size_t Find(int field) const {
    const size_t directory = position_ - static_cast<size_t>(static_cast<int64_t>(Read<int32_t>(position_)));
    const size_t entry = 4 + 2 * static_cast<size_t>(field);
    if (entry + 2 > Read<uint16_t>(directory)) return 0;
    const uint16_t offset = Read<uint16_t>(directory + entry);
    return offset == 0 ? 0 : position_ + offset;
  }

  size_t Required(int field) const {
    const size_t at = Find(field);
    if (at == 0) throw BrokenFlatbuffer("lacks field " + std::to_string(field));
    return at;
  }

  size_t Target(size_t at) const { return at + Read<uint32_t>(at); }

  // First element and number of elements of the vector that the offset at `at` points to.
  std::pair<size_t, size_t> Elements(size_t at, size_t element_bytes) const {
    const size_t vector = Target(at);
    const size_t size = Read<uint32_t>(vector);
    const size_t start = vector + sizeof(uint32_t);
    if (size > (buffer_.size() - start) / element_bytes)
      throw BrokenFlatbuffer("has a vector beyond its end");
    return {start, size};
  }

  std::span<const uint8_t> buffer_;
  size_t position_;
};

}  // namespace slm
