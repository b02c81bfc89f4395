// An ONNX file's nodes, read before the engine reads it.
#pragma once

#include <string>

namespace slm {

// Which operators of a model the runner's kernels cover in all its nodes, as far as attributes tell; also
// true of an operator that the model does not have.
struct Coverage {
  bool matmul = true;
  bool attention = true;
};

// Says that all is covered of a file that cannot be read: what is wrong with it is the engine's to say.
Coverage ReadCoverage(const std::string& file);

}  // namespace slm
