#include "rows/pack.h"

#include <algorithm>
#include <bit>
#include <span>
#include <utility>
#include <vector>

namespace slm::rows {
namespace {

// Added to a signed byte, it gives what the kernels take: bytes counted from 0.
constexpr uint8_t kSignBit = 0x80;

kernels::WeightLayout LayoutOf(const Value& filter) {
  const bool bytes = filter.type == Type::kChannelInt8;
  if (!bytes && filter.type != Type::kChannelInt4 && filter.type != Type::kGroupInt4)
    throw NotCovered("weights of this type");
  const int64_t columns = filter.shape[1];
  // A group of the kernels is a power of two; one that is longer than a row is padded.
  const auto group = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(filter.group_columns)));
  const kernels::WeightLayout layout{filter.shape[0], columns, bytes ? 8 : 4,
                                     std::max<int64_t>(group, kernels::kMaximumBlockColumns), false};
  const bool whole_rows = filter.group_columns == columns;
  if (!kernels::IsSupported(layout) || (!bytes && columns % 2 != 0) ||
      (!whole_rows && layout.group_columns != filter.group_columns)) {
    throw NotCovered("weights in this layout");
  }
  return layout;
}

// Rows as long as their groups are in the kernels' layout; empty where they are.
std::vector<uint8_t> PaddedRows(const kernels::WeightLayout& layout, std::span<const uint8_t> values) {
  const auto row_bytes = static_cast<size_t>(layout.columns * layout.bits / 8);
  const auto padded_bytes = static_cast<size_t>(layout.groups() * layout.group_columns * layout.bits / 8);
  if (padded_bytes == row_bytes) return {};
  std::vector<uint8_t> padded(padded_bytes * static_cast<size_t>(layout.rows));
  for (size_t row = 0; row < static_cast<size_t>(layout.rows); ++row) {
    std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(row * row_bytes), row_bytes,
                padded.begin() + static_cast<std::ptrdiff_t>(row * padded_bytes));
  }
  return padded;
}

}  // namespace

PackedWeights PackFilter(Value& filter, WeightMemory& memory) {
  const kernels::WeightLayout layout = LayoutOf(filter);
  const std::span<const uint8_t> values = filter.data.bytes;
  std::vector<uint8_t> changed;
  if (layout.bits == 8) {
    changed.assign(values.begin(), values.end());
    for (uint8_t& value : changed) value ^= kSignBit;
  }
  if (std::vector<uint8_t> padded = PaddedRows(layout, changed.empty() ? values : changed); !padded.empty())
    changed = std::move(padded);
  std::byte* packed = memory.Allocate(static_cast<size_t>(layout.bytes()));
  const uint8_t* source = changed.empty() ? values.data() : changed.data();
  kernels::Pack(layout, {source, filter.scales.data(), nullptr, nullptr}, packed);
  // Still a constant, but none that can be read.
  filter.data = {values.first(0), nullptr};
  return {layout, packed};
}

}  // namespace slm::rows
