// Before each repetition: wait until the host has found the device cool and idle enough.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "engine/status.h"
#include "engine/stop.h"
#include "records/record_writer.h"

namespace slm {

struct GateOptions {
  // Empty: no gate.
  std::string folder;
  int64_t timeout_s = 900;
};

// The runner cannot read Android's services, the host can. So the runner says with a `gate` record that it is
// ready for a repetition and waits for the file FOLDER/open-INDEX, which the host makes once its readings are
// fine. A host that is gone must not leave a runner waiting for ever: past the timeout the gate counts as
// unattended, this and all further repetitions run at once and say so.
class Gate {
 public:
  Gate(GateOptions options, RecordWriter& records, StopToken stop = {})
      : options_(std::move(options)), records_(records), stop_(stop) {}

  Status Await(int64_t index);

  // Of the last Await: "off", "opened" or "unattended".
  std::string_view outcome() const { return outcome_; }
  int64_t waited_ns() const { return waited_ns_; }

 private:
  GateOptions options_;
  RecordWriter& records_;
  StopToken stop_;
  std::string_view outcome_ = "off";
  int64_t waited_ns_ = 0;
};

}  // namespace slm
