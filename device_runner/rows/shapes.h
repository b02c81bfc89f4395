// Shapes as a row program sees them: what one row of a value looks like.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "rows/graph.h"
#include "rows/steps.h"

namespace slm::rows {

using Shape = std::vector<int64_t>;

// The number of elements of this shape.
int64_t Elements(std::span<const int64_t> sizes);

// Sizes of one row of a computed value [1, rows, ...]. Throws NotCovered for another number of rows.
Shape RowShape(const Value& value, int64_t rows);

// Distances between the elements of an operand that is read in the shape of one row of the output. Throws
// NotCovered for broadcasting that is none of: a scalar, one row for all, one element per innermost row.
Strides OperandStrides(const Value& operand, const Shape& output, int64_t rows);

}  // namespace slm::rows
