// What of a model's files the page cache holds when the model is loaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/status.h"

namespace slm {

// Bytes of a file that are in memory; nothing where the system does not tell.
std::optional<int64_t> ResidentBytes(const std::string& file);

// Reads all files of the model's folder ("warm"), or has the system drop them ("cold"); an empty state does
// nothing. `model` is the folder or a file in it. Fails when files that are to be dropped stay in memory:
// another process may map them, or the file system is memory itself.
Status PreparePageCache(const std::string& state, const std::string& model);

}  // namespace slm
