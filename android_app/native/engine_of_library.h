// The engine that is compiled into this library.
#pragma once

#include <memory>
#include <string_view>

#include "engine/engine.h"

namespace slm {

// What messages begin with.
std::string_view LibraryName();
// A fresh one; an engine holds one model.
std::unique_ptr<Engine> NewEngine();

}  // namespace slm
