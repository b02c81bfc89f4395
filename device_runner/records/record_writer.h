// The records of one run, numbered and handed to every sink.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "records/json.h"
#include "records/record_sink.h"

namespace slm {

class RecordWriter {
 public:
  // The sinks must outlive the writer. Each record goes to the first of them first.
  RecordWriter(std::string run_id, std::vector<RecordSink*> sinks)
      : run_id_(std::move(run_id)), sinks_(std::move(sinks)) {}

  // A record that begins with its type and the run's id.
  JsonObject NewRecord(std::string_view type) const;
  Status Write(const JsonObject& record);
  // Writes `end`, which counts the records before it, and finishes the sinks.
  Status Finish();

 private:
  std::string run_id_;
  std::vector<RecordSink*> sinks_;
  int64_t records_ = 0;
};

}  // namespace slm
