// The file's own account of itself, read before ExecuTorch reads it: a damaged file shows here first.
#pragma once

#include <string>

#include "engine/status.h"

namespace slm {

// The folder's model.pte, or the path itself when it is a file.
std::string ProgramFile(const std::string& path);

// Refuses what is no program, is of another format, or is shorter than its header says.
Status CheckProgramFile(const std::string& file);

}  // namespace slm
