// Where the time of each call goes, by instruction of the program and by node of its delegates.
//
// ExecuTorch calls an event tracer around every instruction and XNNPACK around the nodes of a delegate, where
// their libraries were built for it, as the wheel's are; the runner's own kernels report here themselves. One
// file of JSON lines per session: what the program says about its operators, then one line per call. Calls
// are kept in memory until somebody has time to write them: files take milliseconds now and then.
#pragma once

#include <executorch/runtime/core/event_tracer.h>
#include <executorch/runtime/executor/program.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "engine/status.h"

namespace slm {

class CallTrace final : public executorch::runtime::EventTracer {
 public:
  // What reports nodes of the runner's own kernels are called in the file.
  static constexpr const char* kOwn = "own";
  // Of an instruction as a whole.
  static constexpr int32_t kNoNode = -1;

  // What the file begins with is what the program says about its operators, or null.
  Status Open(const std::string& prefix, const executorch::runtime::Program& program);
  CallTrace() = default;
  // Writes what is left; a file that ends early is the reader's to notice.
  ~CallTrace() override;

  // Keeps the call that has just ended.
  void EndCall(int64_t ns);
  // Writes down the calls that are kept, and forgets them.
  Status Write();

  // A node of the delegate that is running.
  void Record(int32_t node, const char* kind, int64_t ns);

  executorch::runtime::EventTracerEntry start_profiling(const char* name,
                                                        executorch::runtime::ChainID chain_id,
                                                        executorch::runtime::DebugHandle handle) override;
  void end_profiling(executorch::runtime::EventTracerEntry entry) override;
  executorch::runtime::EventTracerEntry start_profiling_delegate(
      const char* name, executorch::runtime::DelegateDebugIntId index) override;
  void end_profiling_delegate(executorch::runtime::EventTracerEntry entry, const void* metadata,
                              size_t size) override;
  // The times are in the platform's ticks. Nodes count on in the order in which they are reported.
  void log_profiling_delegate(const char* name, executorch::runtime::DelegateDebugIntId index,
                              et_timestamp_t start_time, et_timestamp_t end_time, const void* metadata,
                              size_t size) override;

  // Only time is traced.
  void create_event_block(const char*) override {}
  void track_allocation(executorch::runtime::AllocatorID, size_t) override {}
  executorch::runtime::AllocatorID track_allocator(const char*) override { return 0; }
  executorch::runtime::Result<bool> log_evalue(const executorch::runtime::EValue&,
                                               executorch::runtime::LoggedEValueType) override {
    return false;
  }
  executorch::runtime::Result<bool> log_intermediate_output_delegate(
      const char*, executorch::runtime::DelegateDebugIntId, const executorch::aten::Tensor&) override {
    return false;
  }
  executorch::runtime::Result<bool> log_intermediate_output_delegate(
      const char*, executorch::runtime::DelegateDebugIntId,
      executorch::runtime::ArrayRef<executorch::aten::Tensor>) override {
    return false;
  }
  executorch::runtime::Result<bool> log_intermediate_output_delegate(const char*,
                                                                     executorch::runtime::DelegateDebugIntId,
                                                                     const int&) override {
    return false;
  }
  executorch::runtime::Result<bool> log_intermediate_output_delegate(const char*,
                                                                     executorch::runtime::DelegateDebugIntId,
                                                                     const bool&) override {
    return false;
  }
  executorch::runtime::Result<bool> log_intermediate_output_delegate(const char*,
                                                                     executorch::runtime::DelegateDebugIntId,
                                                                     const double&) override {
    return false;
  }
  void set_delegation_intermediate_output_filter(executorch::runtime::EventTracerFilterBase*) override {}

 private:
  struct Event {
    uint32_t instruction = 0;
    int32_t node = kNoNode;
    std::string kind;
    int64_t ns = 0;
  };

  std::ofstream file_;
  std::string path_;
  struct Call {
    int64_t ns = 0;
    std::vector<Event> events;
  };
  std::vector<Call> calls_;
  // Of the call that is running.
  std::vector<Event> events_;
  // Scopes that are open in the instruction that is running, the name of the innermost, and the nodes that
  // were reported in it.
  int depth_ = 0;
  std::string kind_;
  int32_t nodes_ = 0;
};

}  // namespace slm
