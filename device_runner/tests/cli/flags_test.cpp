#include "cli/flags.h"

#include "tests/check.h"

namespace {

using Arguments = std::vector<std::string_view>;

struct Example {
  int64_t count = 5;
  double share = 0.5;
  std::string name;
  std::vector<int64_t> list;
  std::vector<std::pair<std::string, std::string>> settings;
  slm::Flags flags;

  Example() {
    flags.Integer("--count", count, 1, 10, "how many");
    flags.Number("--share", share, 0, 1, "how much");
    flags.Text("--name", name, "NAME", "what");
    flags.IntegerList("--list", list, "which");
    flags.KeyValues("--set", settings, "settings");
  }
  slm::Status Parse(const Arguments& arguments) { return flags.Parse(arguments); }
};

TEST(ReadsEveryKindInBothForms) {
  Example example;
  CHECK(example.Parse({"--count", "7", "--share=0.25", "--name", "a b", "--list", "3,0,12"}).ok());
  CHECK(example.count == 7);
  CHECK(example.share == 0.25);
  CHECK(example.name == "a b");
  CHECK(example.list == std::vector<int64_t>{3, 0, 12});
}

TEST(KeepsDefaults) {
  Example example;
  CHECK(example.Parse({}).ok());
  CHECK(example.count == 5);
}

TEST(KeyValuesRepeatAndMayHoldEqualsSigns) {
  Example example;
  CHECK(example.Parse({"--set", "a=1", "--set=b=c=d"}).ok());
  CHECK(example.settings.size() == 2);
  CHECK(example.settings[0] == std::pair<std::string, std::string>("a", "1"));
  CHECK(example.settings[1] == std::pair<std::string, std::string>("b", "c=d"));
}

TEST(RefusesWhatCannotBeMeant) {
  const std::vector<Arguments> bad = {
      {"--unknown", "1"},   {"stray"},
      {"--count"},          {"--count", "0"},
      {"--count", "11"},    {"--count", "7x"},
      {"--count", ""},      {"--count", "1", "--count", "2"},
      {"--share", "1.5"},   {"--share", "nan"},
      {"--share", "-0.1"},  {"--list", "1,,2"},
      {"--list", "1,-2"},   {"--list", ""},
      {"--set", "novalue"}, {"--set", "=value"},
      {"--name", ""},       {"--count", "99999999999999999999"},
  };
  for (const Arguments& arguments : bad) {
    Example example;
    const slm::Status status = example.Parse(arguments);
    CHECK(status.kind() == slm::ErrorKind::kUsage);
    CHECK(!status.message().empty());
  }
}

TEST(RequiredFlagsMustBeGiven) {
  std::string model;
  slm::Flags flags;
  flags.Text("--model", model, "PATH", "the model");
  flags.Required();
  CHECK(flags.Parse({}).message() == "--model must be given");
  CHECK(flags.Parse(std::vector<std::string_view>{"--model", "m"}).ok());
}

TEST(HelpShowsNamesAndDefaults) {
  const std::string help = Example().flags.help();
  CHECK(help.find("--count N") != std::string::npos);
  CHECK(help.find("how many [5]") != std::string::npos);
}

}  // namespace
