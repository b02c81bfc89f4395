#include "measure/memory_parts.h"

#include <sys/mman.h>

#include <cstring>

#include "tests/check.h"

namespace {

TEST(MappingsAreTheModelsOtherFilesOrAnonymous) {
  const auto memory = slm::ParseSmaps(
      "00400000-00401000 r-xp 00000000 08:01 1  /data/run/slm-runner\nSize: 4 kB\nRss:   4 kB\nSwap:  0 kB\n"
      "7f00-7f10 r--p 00000000 08:01 2                /data/model/model.pte\nRss:     100 kB\nSwap:   20 kB\n"
      "7f20-7f30 r--p 00000000 08:01 2                /data/model-2/model.pte\nRss:     1 kB\nSwap:   0 kB\n"
      "a000-b000 rw-p 00000000 00:00 0                [heap]\nPss: 9 kB\nRss:       30 kB\nVmFlags: rd\n"
      "c000-d000 rw-p 00000000 00:00 0\nRss:    7 kB\nSwapPss:  5 kB\n",
      "/data/model/");
  CHECK(memory.has_value());
  CHECK(memory->model_bytes == 120 * 1024);
  CHECK(memory->other_file_bytes == 5 * 1024);
  CHECK(memory->anonymous_bytes == 37 * 1024);
}

TEST(NoMappingsAreNoMemoryThatIsZero) {
  CHECK(!slm::ParseSmaps("", "/data/").has_value());
  CHECK(!slm::ParseSmaps("Rss: 4 kB\n", "/data/").has_value());
}

TEST(OnlyWhatIsTouchedCounts) {
  constexpr size_t kBytes = 1 << 20;
  void* const start = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(start != MAP_FAILED);
  std::memset(start, 1, kBytes / 2);
  slm::HeldMemory held;
  held.states = slm::MemoryRanges{{static_cast<const std::byte*>(start), kBytes}};
  slm::JsonObject record;
  slm::AddMemoryParts(record, "/", held);
  CHECK(record.text().find("\"states_bytes\":524288") != std::string::npos);
  CHECK(record.text().find("packed_weights_bytes") == std::string::npos);
  CHECK(record.text().find("\"anonymous_bytes\":") != std::string::npos);
  munmap(start, kBytes);
}

}  // namespace
