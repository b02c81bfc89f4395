// Before each repetition: wait until the host has found the device cool and idle enough.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cli/flags.h"
#include "engine/status.h"
#include "records/record_file.h"

namespace slm {

struct GateOptions {
  // Empty: no gate.
  std::string folder;
  int64_t timeout_s = 900;

  void AddFlags(Flags& flags);
};

// The runner cannot read Android's services, the host can. So the runner says with a `gate` record that it is
// ready for a repetition and waits for the file FOLDER/open-INDEX, which the host makes once its readings are
// fine. A host that is gone must not leave a runner waiting for ever: past the timeout the gate counts as
// unattended, this and all further repetitions run at once and say so.
class Gate {
 public:
  Gate(GateOptions options, RecordFile& records) : options_(std::move(options)), records_(records) {}

  Status Await(int64_t index);

  // Of the last Await: "off", "opened" or "unattended".
  std::string_view outcome() const { return outcome_; }
  int64_t waited_ns() const { return waited_ns_; }

 private:
  GateOptions options_;
  RecordFile& records_;
  std::string_view outcome_ = "off";
  int64_t waited_ns_ = 0;
};

}  // namespace slm
