#include "measure/power.h"

#include <algorithm>

#include "engine/clock.h"
#include "records/record_file.h"
#include "tests/check.h"
#include "tests/temporary.h"

namespace {

using slm::ParseCounter;

TEST(ACounterIsOneIntegerAndNothingElse) {
  CHECK(ParseCounter("-412300\n") == -412300);
  CHECK(ParseCounter("3987000") == 3987000);
  CHECK(!ParseCounter(""));
  CHECK(!ParseCounter("\n"));
  CHECK(!ParseCounter("3.9\n"));
  CHECK(!ParseCounter("412 mA\n"));
  CHECK(!ParseCounter("99999999999999999999\n"));
}

struct Sampling {
  slm::test::TemporaryFolder folder;
  slm::RecordFile file{folder / "records"};
  slm::RecordWriter records{"r1", {&file}};
  slm::PowerOptions options;

  Sampling() {
    CHECK(file.Open().ok());
    options.current_file = folder / "current_now";
    options.voltage_file = folder / "voltage_now";
    options.interval_ms = 5;
    options.baseline_ms = 100;
    slm::test::WriteFile(options.current_file, "-412300\n");
    slm::test::WriteFile(options.voltage_file, "3987000\n");
  }
  std::string Written() const { return slm::test::ReadFile(folder / "records.part"); }
};

TEST(NothingIsSampledUnlessAskedFor) {
  Sampling sampling;
  slm::PowerSampler sampler{slm::PowerOptions{}};
  CHECK(sampler.MeasureBaseline({}).ok());
  CHECK(sampler.Write(sampling.records).ok());
  CHECK(sampling.Written().empty());
}

TEST(SamplesTheBaselineAndFollowsReplacedFiles) {
  Sampling sampling;
  slm::PowerSampler sampler(sampling.options);
  const int64_t started = slm::MonotonicNs();
  CHECK(sampler.MeasureBaseline({}).ok());
  CHECK(slm::MonotonicNs() - started >= 100'000'000);
  slm::test::WriteFile(sampling.folder / "new", "-900000\n");
  std::filesystem::rename(sampling.folder / "new", sampling.options.current_file);
  CHECK(slm::SleepMs(50, {}).ok());
  CHECK(sampler.Write(sampling.records).ok());
  const std::string written = sampling.Written();
  CHECK(written.find("\"interval_ms\":5,") != std::string::npos);
  CHECK(written.find("\"unreadable\":0,") != std::string::npos);
  CHECK(slm::test::CountOf(written, "-412300") >= 5);
  CHECK(slm::test::CountOf(written, "-900000") >= 2);
  CHECK(slm::test::CountOf(written, "3987000") ==
        slm::test::CountOf(written, "-412300") + slm::test::CountOf(written, "-900000"));
}

TEST(UnreadableCountersAreCountedAndNeverZero) {
  Sampling sampling;
  std::filesystem::remove(sampling.options.voltage_file);
  slm::PowerSampler sampler(sampling.options);
  CHECK(slm::SleepMs(20, {}).ok());
  CHECK(sampler.Write(sampling.records).ok());
  const std::string written = sampling.Written();
  CHECK(written.find("\"unreadable\":0,") == std::string::npos);
  CHECK(written.find("\"current\":[],\"voltage\":[]") != std::string::npos);
}

}  // namespace
