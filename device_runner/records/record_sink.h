// Where records go.
#pragma once

#include <string_view>

#include "engine/status.h"

namespace slm {

// Takes records one by one, in the order in which they come about.
class RecordSink {
 public:
  RecordSink() = default;
  RecordSink(const RecordSink&) = delete;
  RecordSink& operator=(const RecordSink&) = delete;
  virtual ~RecordSink() = default;

  // `line`: one JSON object and a line break.
  virtual Status Write(std::string_view line) = 0;
  // All records have been written. Without this call they are no whole result.
  virtual Status Finish() { return {}; }
};

}  // namespace slm
