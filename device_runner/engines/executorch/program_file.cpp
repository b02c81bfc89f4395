#include "engines/executorch/program_file.h"

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string_view>

namespace slm {
namespace {

// The flatbuffer's identifier; its number changes with the format.
constexpr std::string_view kFormat = "ET12";
constexpr size_t kFormatOffset = 4;
// The extended header: magic, its own length, then sizes in little endian.
constexpr std::string_view kHeaderMagic = "eh00";
constexpr size_t kHeaderOffset = 8;
constexpr size_t kHeaderLengthOffset = 12;
constexpr size_t kProgramSizeOffset = 16;
constexpr size_t kSegmentsStartOffset = 24;
constexpr size_t kSegmentsSizeOffset = 32;
// From this length on the header says how large the segments are.
constexpr uint32_t kLengthWithSegmentsSize = 32;
constexpr size_t kHeadBytes = 64;

using Head = std::array<char, kHeadBytes>;

template <typename Number>
Number Read(const Head& head, size_t offset) {
  Number number = 0;
  std::memcpy(&number, head.data() + offset, sizeof number);
  return number;
}

uint64_t SizeByItsHeader(const Head& head) {
  if (std::string_view(head.data() + kHeaderOffset, kHeaderMagic.size()) != kHeaderMagic) return 0;
  const uint64_t segments = Read<uint64_t>(head, kSegmentsStartOffset);
  if (segments == 0) return Read<uint64_t>(head, kProgramSizeOffset);
  const bool tells_size = Read<uint32_t>(head, kHeaderLengthOffset) >= kLengthWithSegmentsSize;
  return segments + (tells_size ? Read<uint64_t>(head, kSegmentsSizeOffset) : 0);
}

}  // namespace

std::string ProgramFile(const std::string& path) {
  struct stat info = {};
  const bool is_folder = stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  return is_folder ? path + "/model.pte" : path;
}

Status CheckProgramFile(const std::string& file) {
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream) return {ErrorKind::kModelLoad, file + ": cannot be opened"};
  const auto size = static_cast<uint64_t>(stream.tellg());
  Head head = {};
  stream.seekg(0);
  if (!stream.read(head.data(), head.size())) {
    return {ErrorKind::kModelLoad,
            file + ": is no ExecuTorch program, it has " + std::to_string(size) + " bytes"};
  }
  const std::string_view format(head.data() + kFormatOffset, kFormat.size());
  if (format.substr(0, 2) != kFormat.substr(0, 2))
    return {ErrorKind::kModelLoad, file + ": is no ExecuTorch program"};
  if (format != kFormat) {
    return {ErrorKind::kModelLoad, file + ": is of format " + std::string(format) + ", this ExecuTorch (" +
                                       SLM_EXECUTORCH_VERSION + ") reads " + std::string(kFormat) +
                                       "; it was converted for another version"};
  }
  if (const uint64_t expected = SizeByItsHeader(head); size < expected) {
    return {ErrorKind::kModelLoad, file + ": is truncated: it has " + std::to_string(size) + " bytes of " +
                                       std::to_string(expected)};
  }
  return {};
}

}  // namespace slm
