#include "session/tokens.h"

#include <algorithm>

#include "tests/check.h"
#include "tests/temporary.h"

namespace {

using slm::test::WriteFile;

TEST(SyntheticTokensAreTheDocumentedSequence) {
  const std::vector<int64_t> tokens = slm::SyntheticTokens(3, 49152);
  uint64_t state = 1;
  for (const int64_t token : tokens) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    CHECK(token == static_cast<int64_t>((state >> 33) % 49152));
  }
}

TEST(SyntheticTokensStayInsideTheVocabularyAndVary) {
  const std::vector<int64_t> tokens = slm::SyntheticTokens(1000, 50);
  CHECK(std::all_of(tokens.begin(), tokens.end(), [](int64_t token) { return token >= 0 && token < 50; }));
  for (int64_t token = 0; token < 50; ++token) {
    CHECK(std::find(tokens.begin(), tokens.end(), token) != tokens.end());
  }
}

TEST(ReadsTokenFiles) {
  const slm::test::TemporaryFolder folder;
  std::vector<int64_t> tokens;
  WriteFile(folder / "ids", "1 22\n333\t4\n");
  CHECK(slm::ReadTokenFile(folder / "ids", tokens).ok());
  CHECK(tokens == std::vector<int64_t>{1, 22, 333, 4});
}

TEST(RefusesFilesThatHoldSomethingElse) {
  const slm::test::TemporaryFolder folder;
  std::vector<int64_t> tokens;
  for (const char* text : {"", " \n", "1 two", "-3", "1.5", "[1, 2]"}) {
    WriteFile(folder / "ids", text);
    CHECK(slm::ReadTokenFile(folder / "ids", tokens).kind() == slm::ErrorKind::kUsage);
  }
  CHECK(!slm::ReadTokenFile(folder / "absent", tokens).ok());
}

TEST(TokensMustBeInTheVocabulary) {
  CHECK(slm::CheckTokens({0, 9}, 10, "ids").ok());
  CHECK(!slm::CheckTokens({0, 10}, 10, "ids").ok());
  CHECK(!slm::CheckTokens({0, -1}, 10, "ids").ok());
}

}  // namespace
