// What this runner was compiled from and how.
#pragma once

#include <string_view>

namespace slm {

std::string_view RunnerVersion();
// CMake's word: "Release", "Debug" ...
std::string_view BuildType();
// In Android's words: "x86_64", "arm64-v8a".
std::string_view Abi();

}  // namespace slm
