// The set that runs on any CPU.
#include "kernels/attention/portable_attention.h"
#include "kernels/attention/portable_decode.h"
#include "kernels/elementwise/portable_elementwise.h"
#include "kernels/matmul/portable_matmul.h"
#include "kernels/peak/multiply_add.h"
#include "kernels/sets.h"

namespace slm::kernels {
namespace {

bool Always() { return true; }

void Quantize(const WeightLayout& layout, const float* activations, const QuantizedRows& rows) {
  QuantizeRows(layout, activations, layout.has_zeros ? 0 : -layout.middle(), rows);
}

void Multiply(const Product& product, const QuantizedRows& rows, int64_t first_tile, int64_t last_tile) {
  const Loop loop(product.layout);
  const auto multiply = product.layout.bits == 4 ? MultiplyTilePortable<4> : MultiplyTilePortable<8>;
  for (int64_t tile = first_tile; tile < last_tile; ++tile) {
    for (int64_t row = 0; row < rows.rows; ++row) multiply(product, loop, rows, tile, row);
  }
}

}  // namespace

const KernelSet kScalar{"portable", Always,     Quantize,    Multiply,     Attend,
                        AttendPart, ApplyUnary, ApplyBinary, WeightedSums, MultiplyAdd};

}  // namespace slm::kernels
