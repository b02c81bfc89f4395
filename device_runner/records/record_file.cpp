#include "records/record_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "records/descriptor_sink.h"

namespace slm {

RecordFile::~RecordFile() {
  if (file_ >= 0) close(file_);
}

Status RecordFile::Failed(const std::string& target) const {
  return {ErrorKind::kOutput, target + ": cannot be written: " + std::strerror(errno)};
}

Status RecordFile::Open() {
  file_ = open(partial_path().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  return file_ < 0 ? Failed(partial_path()) : Status();
}

Status RecordFile::Write(std::string_view line) {
  return WriteAll(file_, line) ? Status() : Failed(partial_path());
}

Status RecordFile::Finish() {
  // A full disk may show itself only here.
  if (fsync(file_) != 0 && errno != EINVAL) return Failed(partial_path());
  const int closed = close(file_);
  file_ = -1;
  if (closed != 0) return Failed(partial_path());
  return std::rename(partial_path().c_str(), path_.c_str()) == 0 ? Status() : Failed(path_);
}

}  // namespace slm
