// Keeps the promise that no call of an engine throws.
#pragma once

#include <exception>
#include <new>
#include <string>

#include "engine/status.h"

namespace slm {

// Runs what may throw; an exception becomes a Status that begins with `what`.
template <typename Body>
Status Guarded(ErrorKind kind, const std::string& what, Body&& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return {kind, what + "not enough memory"};
  } catch (const std::exception& error) {
    // Engines end some of their messages with line breaks; ours are one line.
    std::string message = what + error.what();
    message.erase(message.find_last_not_of(" \n") + 1);
    return {kind, message};
  }
}

}  // namespace slm
