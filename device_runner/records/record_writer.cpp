#include "records/record_writer.h"

namespace slm {

JsonObject RecordWriter::NewRecord(std::string_view type) const {
  JsonObject record;
  record.Add("record", type).Add("run_id", run_id_);
  return record;
}

Status RecordWriter::Write(const JsonObject& record) {
  const std::string line = record.text() + '\n';
  for (RecordSink* sink : sinks_) {
    if (Status status = sink->Write(line); !status.ok()) return status;
  }
  ++records_;
  return {};
}

Status RecordWriter::Finish() {
  Status status = Write(NewRecord("end").Add("status", "ok").Add("records", records_));
  if (!status.ok()) return status;
  for (RecordSink* sink : sinks_) {
    if (status = sink->Finish(); !status.ok()) return status;
  }
  return {};
}

}  // namespace slm
