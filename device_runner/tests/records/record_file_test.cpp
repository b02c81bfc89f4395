#include "records/record_file.h"

#include <csignal>

#include "tests/check.h"
#include "tests/temporary.h"

namespace {

using slm::test::ReadFile;

TEST(GetsItsNameOnlyWhenWhole) {
  const slm::test::TemporaryFolder folder;
  const slm::test::CapturedStdout out(folder / "stdout");
  slm::RecordFile records(folder / "result", "r1");
  CHECK(records.Open().ok());
  CHECK(records.Write(records.NewRecord("start")).ok());
  CHECK(!std::filesystem::exists(folder / "result"));
  // Already in the kernel's hands, so a crash leaves it.
  CHECK(ReadFile(folder / "result.part") == "{\"record\":\"start\",\"run_id\":\"r1\"}\n");
  CHECK(records.Finish().ok());
  CHECK(!std::filesystem::exists(folder / "result.part"));
  CHECK(ReadFile(folder / "result") ==
        "{\"record\":\"start\",\"run_id\":\"r1\"}\n"
        "{\"record\":\"end\",\"run_id\":\"r1\",\"status\":\"ok\",\"records\":1}\n");
  CHECK(ReadFile(folder / "stdout") == ReadFile(folder / "result"));
}

TEST(UnfinishedRunsLeaveOnlyThePart) {
  const slm::test::TemporaryFolder folder;
  const slm::test::CapturedStdout out(folder / "stdout");
  {
    slm::RecordFile records(folder / "result", "r1");
    CHECK(records.Open().ok());
    CHECK(records.Write(records.NewRecord("start")).ok());
  }
  CHECK(!std::filesystem::exists(folder / "result"));
  CHECK(std::filesystem::exists(folder / "result.part"));
}

TEST(FoldersThatAreNotThereAreAnOutputError) {
  const slm::test::TemporaryFolder folder;
  slm::RecordFile records(folder / "absent/result", "r1");
  CHECK(records.Open().exit_code() == static_cast<int>(slm::ExitCode::kOutput));
}

TEST(FullDisksAreAnOutputError) {
  const slm::test::TemporaryFolder folder;
  std::filesystem::create_symlink("/dev/full", folder / "result.part");
  const slm::test::CapturedStdout out(folder / "stdout");
  slm::RecordFile records(folder / "result", "r1");
  CHECK(records.Open().ok());
  const slm::Status status = records.Write(records.NewRecord("start"));
  CHECK(status.exit_code() == static_cast<int>(slm::ExitCode::kOutput));
  CHECK(status.message().find("No space left") != std::string::npos);
}

TEST(FullStdoutIsAnOutputError) {
  const slm::test::CapturedStdout out("/dev/full");
  slm::RecordFile records("", "r1");
  CHECK(records.Open().ok());
  CHECK(records.Write(records.NewRecord("token")).exit_code() == static_cast<int>(slm::ExitCode::kOutput));
}

}  // namespace
