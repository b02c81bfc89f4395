#include "records/record_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace slm {
namespace {

bool WriteAll(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

RecordFile::~RecordFile() {
  if (file_ >= 0) close(file_);
}

Status RecordFile::Failed(const std::string& target) const {
  return {ExitCode::kOutput, target + ": cannot be written: " + std::strerror(errno)};
}

Status RecordFile::Open() {
  if (path_.empty()) return {};
  file_ = open(partial_path().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  return file_ < 0 ? Failed(partial_path()) : Status();
}

JsonObject RecordFile::NewRecord(std::string_view type) const {
  JsonObject record;
  record.Add("record", type).Add("run_id", run_id_);
  return record;
}

Status RecordFile::Write(const JsonObject& record) {
  const std::string line = record.text() + '\n';
  if (file_ >= 0 && !WriteAll(file_, line)) return Failed(partial_path());
  if (!WriteAll(STDOUT_FILENO, line)) return Failed("stdout");
  ++records_;
  return {};
}

Status RecordFile::Finish() {
  Status status = Write(NewRecord("end").Add("status", "ok").Add("records", records_));
  if (!status.ok() || file_ < 0) return status;
  // A full disk may show itself only here.
  if (fsync(file_) != 0 && errno != EINVAL) return Failed(partial_path());
  const int closed = close(file_);
  file_ = -1;
  if (closed != 0) return Failed(partial_path());
  return std::rename(partial_path().c_str(), path_.c_str()) == 0 ? Status() : Failed(path_);
}

}  // namespace slm
