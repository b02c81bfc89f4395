#include "engine/numbers.h"

#include <locale>

#include "tests/check.h"

namespace {

struct DecimalComma : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
};

TEST(ReadsIntegersWithinTheirLimits) {
  int64_t value = 7;
  CHECK(slm::ParseInteger("-12", -12, 0, value).ok() && value == -12);
  for (const char* text : {"", "1 ", " 1", "1.0", "+1", "13", "99999999999999999999"}) {
    CHECK(slm::ParseInteger(text, -12, 12, value).kind() == slm::ErrorKind::kUsage);
  }
  CHECK(value == -12);
}

TEST(ReadsNumbersWhateverTheLocale) {
  const std::locale before = std::locale::global(std::locale(std::locale::classic(), new DecimalComma));
  CHECK(slm::ParseNumber("-12.5") == -12.5);
  CHECK(slm::ParseNumber("1e-3") == 1e-3);
  for (const char* text : {"", "12,5", "1.5x", "inf", "nan", "0x10", "1e999", "--1"}) {
    CHECK(!slm::ParseNumber(text));
  }
  // One that failed leaves nothing behind.
  CHECK(slm::ParseNumber("2") == 2.0);
  std::locale::global(before);
}

}  // namespace
