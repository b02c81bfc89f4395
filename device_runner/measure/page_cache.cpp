#include "measure/page_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <vector>

namespace slm {
namespace {

// The kernel keeps a page here and there, and reads ahead.
constexpr double kMaximumLeft = 0.05;

class File {
 public:
  explicit File(const std::string& path) : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int descriptor() const { return descriptor_; }
  int64_t size() const {
    struct stat facts;
    return descriptor_ >= 0 && fstat(descriptor_, &facts) == 0 ? facts.st_size : -1;
  }

 private:
  int descriptor_;
};

Status Failed(const std::string& what) { return {ErrorKind::kRunFailed, "--page-cache: " + what}; }

Status Read(const std::string& path) {
  const File file(path);
  std::vector<char> buffer(1 << 20);
  ssize_t length = -1;
  do length = read(file.descriptor(), buffer.data(), buffer.size());
  while (length > 0);
  return length == 0 ? Status() : Failed(path + " cannot be read");
}

Status Drop(const std::string& path) {
  const File file(path);
  if (file.size() < 0) return Failed(path + " cannot be opened");
  // What has not reached the disk yet would stay.
  fsync(file.descriptor());
  if (posix_fadvise(file.descriptor(), 0, 0, POSIX_FADV_DONTNEED) != 0) {
    return Failed(path + ": the system does not drop files from its cache");
  }
  return {};
}

}  // namespace

std::optional<int64_t> ResidentBytes(const std::string& path) {
  const File file(path);
  const int64_t size = file.size();
  if (size < 0) return std::nullopt;
  if (size == 0) return 0;
  void* const mapped = mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_SHARED, file.descriptor(), 0);
  if (mapped == MAP_FAILED) return std::nullopt;
  const int64_t page = sysconf(_SC_PAGESIZE);
  std::vector<unsigned char> pages(static_cast<size_t>((size + page - 1) / page));
  const bool told = mincore(mapped, static_cast<size_t>(size), pages.data()) == 0;
  munmap(mapped, static_cast<size_t>(size));
  if (!told) return std::nullopt;
  int64_t resident = 0;
  for (const unsigned char one : pages) resident += (one & 1) != 0 ? page : 0;
  return resident;
}

Status PreparePageCache(const std::string& state, const std::string& model) {
  if (state.empty()) return {};
  if (state != "cold" && state != "warm") {
    return {ErrorKind::kUsage, "--page-cache: '" + state + "' is neither cold nor warm"};
  }
  std::error_code error;
  std::filesystem::path folder = model;
  // A model is named by its folder or by a file of it.
  if (!std::filesystem::is_directory(folder, error)) folder = folder.parent_path();
  int64_t files = 0, size = 0, resident = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.empty() ? "." : folder, error)) {
    if (!entry.is_regular_file(error)) continue;
    ++files;
    const std::string path = entry.path().string();
    if (Status status = state == "warm" ? Read(path) : Drop(path); !status.ok()) return status;
    const std::optional<int64_t> left = ResidentBytes(path);
    if (!left) return Failed(path + ": the system does not say what it keeps");
    resident += *left;
    size += static_cast<int64_t>(entry.file_size(error));
  }
  if (error) return Failed(folder.string() + ": " + error.message());
  if (files == 0) return Failed(folder.string() + " holds no files");
  if (state == "cold" && static_cast<double>(resident) > kMaximumLeft * static_cast<double>(size)) {
    return Failed(folder.string() + ": " + std::to_string(resident) + " of " + std::to_string(size) +
                  " bytes stay in memory; another process may map them");
  }
  return {};
}

}  // namespace slm
