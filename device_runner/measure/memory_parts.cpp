#include "measure/memory_parts.h"

#include <sys/mman.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

namespace slm {
namespace {

constexpr int64_t kKilobyte = 1024;

int64_t Kilobytes(std::string_view line) {
  const size_t digits = line.find_first_of("0123456789");
  int64_t number = 0;
  if (digits != std::string_view::npos) {
    std::from_chars(line.data() + digits, line.data() + line.size(), number);
  }
  return number;
}

// A mapping's own line begins with its address in hexadecimal, those about it with a capital letter.
bool BeginsMapping(std::string_view line) {
  return !line.empty() && std::string_view("0123456789abcdef").find(line[0]) != std::string_view::npos;
}

std::string FolderOf(const std::string& model) {
  std::error_code failure;
  const std::filesystem::path whole = std::filesystem::canonical(model, failure);
  if (failure) return "";
  const bool is_folder = std::filesystem::is_directory(whole, failure);
  return (is_folder ? whole : whole.parent_path()).string() + '/';
}

std::optional<int64_t> TouchedBytes(const std::optional<MemoryRanges>& ranges) {
  if (!ranges) return std::nullopt;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  int64_t touched = 0;
  for (const std::span<const std::byte> range : *ranges) {
    if (range.empty()) continue;
    const uintptr_t start = reinterpret_cast<uintptr_t>(range.data()) / page * page;
    const uintptr_t end = reinterpret_cast<uintptr_t>(range.data()) + range.size();
    std::vector<unsigned char> pages((end - start + page - 1) / page);
    if (mincore(reinterpret_cast<void*>(start), end - start, pages.data()) != 0) return std::nullopt;
    for (const unsigned char one : pages) touched += (one & 1) != 0 ? static_cast<int64_t>(page) : 0;
  }
  return touched;
}

}  // namespace

std::optional<MappedMemory> ParseSmaps(std::string_view text, const std::string& folder) {
  MappedMemory memory;
  int64_t* kind = nullptr;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (BeginsMapping(line)) {
      const size_t path = line.find(" /");
      if (path == std::string_view::npos) {
        kind = &memory.anonymous_bytes;
      } else {
        const bool of_model = !folder.empty() && line.substr(path + 1).starts_with(folder);
        kind = of_model ? &memory.model_bytes : &memory.other_file_bytes;
      }
    } else if (kind != nullptr && (line.starts_with("Rss:") || line.starts_with("Swap:"))) {
      *kind += Kilobytes(line) * kKilobyte;
    }
  }
  if (kind == nullptr) return std::nullopt;
  return memory;
}

void AddMemoryParts(JsonObject& record, const std::string& model, const HeldMemory& held) {
  const std::optional<int64_t> packed = TouchedBytes(held.packed_weights);
  const std::optional<int64_t> states = TouchedBytes(held.states);
  std::ifstream file("/proc/self/smaps");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::optional<MappedMemory> mapped = ParseSmaps(text, FolderOf(model));
  if (!mapped) return;
  record.Add("mapped_model_bytes", mapped->model_bytes)
      .Add("mapped_other_bytes", mapped->other_file_bytes)
      .Add("anonymous_bytes", mapped->anonymous_bytes);
  if (packed) record.Add("packed_weights_bytes", *packed);
  if (states) record.Add("states_bytes", *states);
}

}  // namespace slm
