// Just enough of a test framework: TEST bodies register themselves, CHECK reports and goes on.
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace slm::test {

struct Case {
  const char* name;
  std::function<void()> body;
};

inline std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}

inline int& Failures() {
  static int failures = 0;
  return failures;
}

struct Register {
  Register(const char* name, std::function<void()> body) { Cases().push_back({name, std::move(body)}); }
};

inline void Check(bool holds, const char* expression, const char* file, int line) {
  if (holds) return;
  ++Failures();
  std::fprintf(stderr, "%s:%d: CHECK(%s) failed\n", file, line, expression);
}

}  // namespace slm::test

#define TEST(name)                                               \
  static void name();                                            \
  static const slm::test::Register register_##name(#name, name); \
  static void name()

#define CHECK(...) slm::test::Check(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

int main() {
  for (const slm::test::Case& test : slm::test::Cases()) {
    const int before = slm::test::Failures();
    test.body();
    std::fprintf(stderr, "%s %s\n", slm::test::Failures() == before ? "ok    " : "FAILED", test.name);
  }
  return slm::test::Failures() == 0 && !slm::test::Cases().empty() ? 0 : 1;
}
