#include "engines/executorch/call_trace.h"

#include <executorch/runtime/platform/clock.h>

#include <utility>

#include "engine/clock.h"
#include "engines/executorch/engine_log.h"
#include "records/json.h"

namespace slm {

using executorch::runtime::ChainID;
using executorch::runtime::DebugHandle;
using executorch::runtime::DelegateDebugIdType;
using executorch::runtime::DelegateDebugIntId;
using executorch::runtime::EventTracerEntry;

namespace {

// In the program's named data: one line of JSON, which the host reads.
constexpr const char* kOperators = "slm.operators";

std::string OperatorsOf(const executorch::runtime::Program& program) {
  if (const auto named = program.get_named_data_map(); named.ok()) {
    if (const auto data = (*named)->get_data(kOperators); data.ok() && data->size() > 0)
      return {static_cast<const char*>(data->data()), data->size()};
  }
  // A program without it is no failure, whatever ExecuTorch says.
  EngineFailure("", executorch::runtime::Error::Ok);
  return "null";
}

}  // namespace

Status CallTrace::Open(const std::string& prefix, const executorch::runtime::Program& program) {
  path_ = prefix + "_calls.json";
  file_.open(path_, std::ios::trunc);
  file_ << JsonObject().Add("format", "slm-trace/1").Raw("operators", OperatorsOf(program)).text() << '\n';
  if (!file_.flush()) return {ErrorKind::kOutput, "cannot write the trace " + path_};
  return {};
}

CallTrace::~CallTrace() { static_cast<void>(Write()); }

void CallTrace::EndCall(int64_t ns) {
  const size_t events = events_.size();
  calls_.push_back({ns, std::move(events_)});
  // The next call has about as many.
  events_ = {};
  events_.reserve(events);
}

Status CallTrace::Write() {
  for (const Call& call : calls_) {
    std::string events = "[";
    for (const Event& event : call.events) {
      if (events.size() > 1) events += ',';
      events += '[' + std::to_string(event.instruction) + ',' + std::to_string(event.node) + ',' +
                JsonQuote(event.kind) + ',' + std::to_string(event.ns) + ']';
    }
    file_ << JsonObject().Add("ns", call.ns).Raw("events", events + ']').text() << '\n';
  }
  calls_.clear();
  if (!file_.flush()) return {ErrorKind::kOutput, "cannot write the trace " + path_};
  return {};
}

void CallTrace::Record(int32_t node, const char* kind, int64_t ns) {
  events_.push_back({current_debug_handle(), node, kind, ns});
  ++nodes_;
}

EventTracerEntry CallTrace::start_profiling(const char* name, ChainID, DebugHandle) {
  EventTracerEntry entry{};
  // What is around all instructions is timed by the caller.
  if (current_chain_id() == executorch::runtime::kUnsetChainId) return entry;
  if (depth_++ == 0) nodes_ = 0;
  kind_ = name;
  entry.event_id = depth_;
  entry.start_time = static_cast<et_timestamp_t>(MonotonicNs());
  return entry;
}

void CallTrace::end_profiling(EventTracerEntry entry) {
  if (entry.event_id == 0) return;
  // Scopes within an instruction only name it, and a delegate's nodes stand for it.
  if (--depth_ > 0 || nodes_ > 0) return;
  events_.push_back(
      {current_debug_handle(), kNoNode, kind_, MonotonicNs() - static_cast<int64_t>(entry.start_time)});
}

EventTracerEntry CallTrace::start_profiling_delegate(const char* name, DelegateDebugIntId) {
  EventTracerEntry entry{};
  entry.delegate_event_id_type = DelegateDebugIdType::kStr;
  if (name != nullptr) kind_ = name;
  entry.start_time = static_cast<et_timestamp_t>(MonotonicNs());
  return entry;
}

void CallTrace::end_profiling_delegate(EventTracerEntry entry, const void*, size_t) {
  Record(nodes_, kind_.c_str(), MonotonicNs() - static_cast<int64_t>(entry.start_time));
}

void CallTrace::log_profiling_delegate(const char* name, DelegateDebugIntId, et_timestamp_t start_time,
                                       et_timestamp_t end_time, const void*, size_t) {
  const uint64_t ns = executorch::runtime::ticks_to_ns(end_time - start_time);
  Record(nodes_, name == nullptr ? "" : name, static_cast<int64_t>(ns));
}

}  // namespace slm
