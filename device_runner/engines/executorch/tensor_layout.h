// What operators may rely on before they take a tensor's data for rows of numbers.
#pragma once

#include <executorch/runtime/core/exec_aten/exec_aten.h>

#include <cstddef>

namespace slm {

// In the order of its dimensions, without gaps.
inline bool IsContiguous(const executorch::aten::Tensor& tensor) {
  const auto order = tensor.dim_order();
  for (size_t axis = 0; axis < order.size(); ++axis) {
    if (order[axis] != axis) return false;
  }
  return true;
}

// What a tensor holds is the program file's word, and mutable_data_ptr<float> does not ask.
inline bool HoldsContiguousFloats(const executorch::aten::Tensor& tensor) {
  return tensor.scalar_type() == executorch::aten::ScalarType::Float && IsContiguous(tensor);
}

}  // namespace slm
