#include "kernels/attention/attention.h"

#include <algorithm>
#include <cmath>

namespace slm::kernels {

void MergeParts(std::span<const AttentionPart> parts, float* output) {
  const int64_t head_dim = parts.front().head_dim;
  for (int64_t row = 0; row < parts.front().rows; ++row, output += head_dim) {
    float largest = parts.front().largest[row];
    for (const AttentionPart& part : parts) largest = std::max(largest, part.largest[row]);
    float sum = 0.0F;
    for (const AttentionPart& part : parts) sum += std::exp(part.largest[row] - largest) * part.sums[row];
    std::fill_n(output, head_dim, 0.0F);
    for (const AttentionPart& part : parts) {
      const float share = std::exp(part.largest[row] - largest) / sum;
      const float* attended = part.output + row * head_dim;
      for (int64_t at = 0; at < head_dim; ++at) output[at] += share * attended[at];
    }
  }
}

}  // namespace slm::kernels
