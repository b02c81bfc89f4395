// What the memory of this process is made of: files that are mapped, and what it has allocated.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "records/json.h"

namespace slm {

// Resident and swapped bytes by kind of mapping.
struct MappedMemory {
  int64_t model_bytes = 0;
  int64_t other_file_bytes = 0;
  int64_t anonymous_bytes = 0;
};

// Reads a /proc/self/smaps text; mappings of files below `folder` are the model's. Nothing without any.
std::optional<MappedMemory> ParseSmaps(std::string_view text, const std::string& folder);

// Adds the parts of what is in memory now; none where /proc/self/smaps cannot be read. `model` is a file, or
// a folder with one.
void AddMemoryParts(JsonObject& record, const std::string& model, const HeldMemory& held);

}  // namespace slm
