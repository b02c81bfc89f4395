// Records go to stdout and, when asked for, to a file that gets its name only once it is whole.
#pragma once

#include <cstdint>
#include <string>

#include "engine/status.h"
#include "records/json.h"

namespace slm {

// Writes PATH.part line by line, each line handed to the kernel at once, so that a crash leaves what
// had been measured; Finish writes `end` and renames it to PATH.
class RecordFile {
 public:
  RecordFile(std::string path, std::string run_id) : path_(std::move(path)), run_id_(std::move(run_id)) {}
  ~RecordFile();
  RecordFile(const RecordFile&) = delete;
  RecordFile& operator=(const RecordFile&) = delete;

  // Without a path there is only stdout.
  Status Open();
  // A record that begins with its type and the run's id.
  JsonObject NewRecord(std::string_view type) const;
  Status Write(const JsonObject& record);
  Status Finish();

 private:
  std::string partial_path() const { return path_ + ".part"; }
  Status Failed(const std::string& target) const;

  std::string path_;
  std::string run_id_;
  int file_ = -1;
  int64_t records_ = 0;
};

}  // namespace slm
