// What the runner's operators share: the session's threads, memory, and the way to report errors.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engines/onnxruntime/node_facts.h"
#include "kernels/attention/sequence_attention.h"
#include "kernels/kernel_set.h"
#include "kernels/matmul/weight_memory.h"
#include "kernels/parallel_for.h"

namespace slm::own {

// A node as the engine tells of it.
class EngineNode final : public NodeFacts {
 public:
  explicit EngineNode(const Ort::ConstKernelInfo& info) : info_(info) {}

  int64_t Integer(const char* attribute, int64_t otherwise) const override {
    int64_t value = 0;
    const Ort::Status status(Ort::GetApi().KernelInfoGetAttribute_int64(info_, attribute, &value));
    return status.IsOK() ? value : otherwise;
  }
  bool HasText(const char* attribute) const override {
    size_t size = 0;
    const Ort::Status status(Ort::GetApi().KernelInfoGetAttribute_string(info_, attribute, nullptr, &size));
    return status.IsOK() && size > 1;
  }
  bool IsGiven(size_t input) const override {
    return input < info_.GetInputCount() && !info_.GetInputName(input).empty();
  }
  size_t inputs() const override { return info_.GetInputCount(); }
  size_t outputs() const override { return info_.GetOutputCount(); }

 private:
  const Ort::ConstKernelInfo& info_;
};

// The session's threads, as a node reaches them during a call.
class SessionThreads final : public kernels::ParallelFor {
 public:
  SessionThreads(Ort::KernelContext& context, int64_t threads) : context_(context), threads_(threads) {}

  int threads() const override { return static_cast<int>(threads_); }

  void Run(int64_t tasks, kernels::TaskRef body) override {
    if (tasks == 1 || threads_ == 1) {
      for (int64_t task = 0; task < tasks; ++task) body(task);
      return;
    }
    context_.ParallelFor(
        [](void* data, size_t task) {
          (*static_cast<const kernels::TaskRef*>(data))(static_cast<int64_t>(task));
        },
        static_cast<size_t>(tasks), 0, &body);
  }

 private:
  Ort::KernelContext& context_;
  int64_t threads_;
};

// The dimensions of a tensor where the engine keeps them; reading a copy would take two allocations per call.
inline std::span<const int64_t> ShapeOf(const Ort::ConstValue& tensor) {
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  const int64_t* sizes = nullptr;
  size_t rank = 0;
  Ort::ThrowOnError(Ort::GetApi().GetTensorElementTypeAndShapeDataReference(tensor, &type, &sizes, &rank));
  return {sizes, rank};
}

template <typename Element>
Element* Resized(std::vector<Element>& buffer, int64_t size) {
  if (buffer.size() < static_cast<size_t>(size)) buffer.resize(static_cast<size_t>(size));
  return buffer.data();
}

// What nodes work in, such as activations in the form the kernels read; one for all, as they run one after
// the other.
struct Scratch {
  std::vector<int8_t> bytes;
  std::vector<float> scales;
  std::vector<float> sums;
  std::vector<int32_t> initial_sums;
  kernels::AttentionScratch attention;
};

struct Shared {
  const kernels::KernelSet& kernels;
  int64_t threads;
  int64_t nodes = 0;
  WeightMemory memory;
  MappedSources sources;
  Scratch scratch;
};

// Runs what may throw and turns an exception into the engine's status: none may cross into the engine.
template <typename Body>
OrtStatusPtr AsStatus(Body&& body) {
  try {
    body();
  } catch (const Ort::Exception& error) {
    return Ort::GetApi().CreateStatus(error.GetOrtErrorCode(), error.what());
  } catch (const std::bad_alloc&) {
    return Ort::GetApi().CreateStatus(ORT_FAIL, "not enough memory");
  }
  return nullptr;
}

// Operators of ours throw this for a node that is theirs by name but not by what it asks for.
[[noreturn]] inline void ThrowNotCovered(const Ort::ConstKernelInfo& info, std::string_view reason) {
  ORT_CXX_API_THROW(info.GetNodeName() + ": the runner's kernels do not cover " + std::string(reason),
                    ORT_NOT_IMPLEMENTED);
}

// The part of the interface that all operators of ours have in common.
template <typename Operator, typename Kernel>
struct OwnOperator : Ort::CustomOpBase<Operator, Kernel, true> {
  explicit OwnOperator(Shared& shared_state) : shared(shared_state) {}

  OrtStatusPtr CreateKernelV2(const OrtApi&, const OrtKernelInfo* info, void** kernel) const {
    return AsStatus([&] {
      *kernel = new Kernel(shared, Ort::ConstKernelInfo(info));
      ++shared.nodes;
    });
  }

  Shared& shared;
};

}  // namespace slm::own
