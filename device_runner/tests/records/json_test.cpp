#include "records/json.h"

#include <optional>

#include "tests/check.h"

namespace {

TEST(WritesMembersInOrder) {
  const std::string text = slm::JsonObject()
                               .Add("text", "x")
                               .Add("number", int64_t{-5})
                               .Add("yes", true)
                               .Add("list", std::vector<int64_t>{1, 2})
                               .Add("none", std::vector<int64_t>{})
                               .Add("words", std::vector<std::string>{"a", "b\""})
                               .text();
  CHECK(text == R"({"text":"x","number":-5,"yes":true,"list":[1,2],"none":[],"words":["a","b\""]})");
}

TEST(EmptyObject) { CHECK(slm::JsonObject().text() == "{}"); }

TEST(EscapesWhatJsonForbids) {
  CHECK(slm::JsonQuote("a\"b\\c\n\t\x01") == R"("a\"b\\c\u000a\u0009\u0001")");
  CHECK(slm::JsonQuote("caf\xc3\xa9") == "\"caf\xc3\xa9\"");
}

TEST(LeavesOutWhatIsUnknown) {
  const std::optional<int64_t> known = 0;
  const std::optional<int64_t> unknown;
  CHECK(slm::JsonObject().Add("known", known).Add("unknown", unknown).text() == R"({"known":0})");
}

}  // namespace
