#include "kernels/matmul/weights.h"

#include <algorithm>
#include <cstring>

namespace slm::kernels {
namespace {

float ZeroPoint(const WeightLayout& layout, const OperatorWeights& weights, int64_t row, int64_t group) {
  const int64_t groups = layout.groups();
  if (weights.float_zeros != nullptr) return weights.float_zeros[row * groups + group];
  if (weights.integer_zeros == nullptr) return static_cast<float>(layout.middle());
  const int64_t row_bytes = (groups * layout.bits + 7) / 8;
  const uint8_t* zeros = weights.integer_zeros + row * row_bytes;
  if (layout.bits == 8) return zeros[group];
  return static_cast<float>(group % 2 == 0 ? zeros[group / 2] & 0xF : zeros[group / 2] >> 4);
}

void PackGroupHead(const WeightLayout& layout, const OperatorWeights& weights, int64_t first_row,
                   int64_t rows, int64_t group, float* head) {
  for (int64_t row = 0; row < rows; ++row) {
    const float scale = weights.scales[(first_row + row) * layout.groups() + group];
    head[row] = scale;
    if (layout.has_zeros) head[kTileRows + row] = -scale * ZeroPoint(layout, weights, first_row + row, group);
  }
}

std::byte* PackTile(const WeightLayout& layout, const OperatorWeights& weights, int64_t first_row,
                    std::byte* packed) {
  const int64_t rows = std::min(kTileRows, layout.rows - first_row);
  const int64_t groups = layout.groups();
  const int64_t group_bytes = layout.group_columns * layout.bits / 8;
  for (int64_t group = 0; group < groups; ++group) {
    PackGroupHead(layout, weights, first_row, rows, group, reinterpret_cast<float*>(packed));
    packed += layout.group_head_bytes();
    const int64_t blocks =
        std::min(layout.blocks_per_group(), layout.blocks() - group * layout.blocks_per_group());
    const int64_t steps = blocks * layout.steps_per_block();
    for (int64_t row = 0; row < rows; ++row) {
      const uint8_t* source = weights.values + ((first_row + row) * groups + group) * group_bytes;
      std::byte* target = packed + row * int64_t{sizeof(uint32_t)};
      for (int64_t step = 0; step < steps; ++step) {
        std::memcpy(target + step * kTileRows * int64_t{sizeof(uint32_t)},
                    source + step * int64_t{sizeof(uint32_t)}, sizeof(uint32_t));
      }
    }
    packed += steps * kTileRows * int64_t{sizeof(uint32_t)};
  }
  return packed;
}

}  // namespace

int64_t WeightLayout::tiles() const { return (rows + kTileRows - 1) / kTileRows; }
int64_t WeightLayout::groups() const { return (columns + group_columns - 1) / group_columns; }
int64_t WeightLayout::block_columns() const { return std::min(group_columns, kMaximumBlockColumns); }
int64_t WeightLayout::blocks_per_group() const { return group_columns / block_columns(); }
int64_t WeightLayout::blocks() const { return (columns + block_columns() - 1) / block_columns(); }
int64_t WeightLayout::padded_columns() const { return blocks() * block_columns(); }
int64_t WeightLayout::step_columns() const { return 32 / bits; }
int64_t WeightLayout::steps_per_block() const { return block_columns() / step_columns(); }
int64_t WeightLayout::group_head_bytes() const {
  return (has_zeros ? 2 : 1) * kTileRows * int64_t{sizeof(float)};
}
int64_t WeightLayout::tile_bytes() const {
  return groups() * group_head_bytes() + blocks() * steps_per_block() * kTileRows * int64_t{sizeof(uint32_t)};
}
int64_t WeightLayout::bytes() const { return tiles() * tile_bytes(); }
int WeightLayout::middle() const { return 1 << (bits - 1); }

bool IsSupported(const WeightLayout& layout) {
  const bool power_of_two = (layout.group_columns & (layout.group_columns - 1)) == 0;
  return layout.rows > 0 && layout.columns > 0 && (layout.bits == 4 || layout.bits == 8) &&
         layout.group_columns >= 16 && power_of_two;
}

bool NeedsZeros(const WeightLayout& layout, const OperatorWeights& weights) {
  if (weights.float_zeros == nullptr && weights.integer_zeros == nullptr) return false;
  const auto middle = static_cast<float>(layout.middle());
  for (int64_t row = 0; row < layout.rows; ++row) {
    for (int64_t group = 0; group < layout.groups(); ++group) {
      if (ZeroPoint(layout, weights, row, group) != middle) return true;
    }
  }
  return false;
}

void Pack(const WeightLayout& layout, const OperatorWeights& weights, std::byte* packed) {
  if (layout.rows % kTileRows != 0) {
    std::byte* last_tile = packed + (layout.tiles() - 1) * layout.tile_bytes();
    std::memset(last_tile, 0, static_cast<size_t>(layout.tile_bytes()));
  }
  for (int64_t row = 0; row < layout.rows; row += kTileRows) packed = PackTile(layout, weights, row, packed);
}

}  // namespace slm::kernels
