// Run by the Python tests: tokenizer_texts TOKENIZER < TEXTS, each text ended by a zero byte, writes a line
// of JSON per text: its ids with and without special tokens, and the text that they become again.
#include <cstdio>
#include <iostream>
#include <string>

#include "records/json.h"
#include "text/tokenizer.h"

namespace {

std::string TextOf(const slm::Tokenizer& tokenizer, const std::vector<int64_t>& ids) {
  slm::TextStream stream(tokenizer);
  std::string text;
  for (const int64_t id : ids) text += stream.Take(id);
  return text + stream.Finish();
}

}  // namespace

int main(int, char** arguments) {
  slm::Tokenizer tokenizer;
  slm::Status status = slm::Tokenizer::Read(arguments[1], tokenizer);
  for (std::string text; status.ok() && std::getline(std::cin, text, '\0');) {
    std::vector<int64_t> plain, special;
    status = tokenizer.Encode(text, false, plain);
    if (status.ok()) status = tokenizer.Encode(text, true, special);
    slm::JsonObject line;
    line.Add("ids", plain).Add("special", special).Add("text", TextOf(tokenizer, plain));
    std::puts(line.text().c_str());
  }
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return 1;
}
