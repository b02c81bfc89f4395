#include "rows/shapes.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace slm::rows {

int64_t Elements(std::span<const int64_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
}

Shape RowShape(const Value& value, int64_t rows) {
  const Shape& shape = value.shape;
  if (shape.size() < 3 || shape[0] != 1 || shape[1] != rows)
    throw NotCovered("a tensor without a dimension of tokens");
  return {shape.begin() + 2, shape.end()};
}

Strides OperandStrides(const Value& operand, const Shape& output, int64_t rows) {
  const bool constant = operand.is_constant();
  Shape shape = constant ? operand.shape : RowShape(operand, rows);
  if (constant) {
    while (shape.size() > output.size() && shape.front() == 1) shape.erase(shape.begin());
  }
  if (shape.size() > output.size()) throw NotCovered("an operand of more dimensions");
  shape.insert(shape.begin(), output.size() - shape.size(), 1);
  Strides strides;
  strides.row = constant ? 0 : Elements(shape);
  strides.inner = shape.back() == output.back() ? 1 : 0;
  const std::span<const int64_t> outer(shape.data(), shape.size() - 1);
  const bool repeats = Elements(outer) == 1;
  const bool same = std::equal(outer.begin(), outer.end(), output.begin());
  if ((!repeats && !same) || (strides.inner == 0 && shape.back() != 1)) throw NotCovered("this broadcasting");
  strides.outer = same ? shape.back() : 0;
  return strides;
}

}  // namespace slm::rows
