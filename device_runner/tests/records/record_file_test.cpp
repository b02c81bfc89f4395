#include "records/record_file.h"

#include <unistd.h>

#include "records/descriptor_sink.h"
#include "records/record_writer.h"
#include "tests/check.h"
#include "tests/temporary.h"

namespace {

using slm::test::ReadFile;

TEST(GetsItsNameOnlyWhenWhole) {
  const slm::test::TemporaryFolder folder;
  const slm::test::CapturedStdout out(folder / "stdout");
  slm::RecordFile file(folder / "result");
  CHECK(file.Open().ok());
  slm::DescriptorSink stdout_too(STDOUT_FILENO, "stdout");
  slm::RecordWriter records("r1", {&file, &stdout_too});
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

TEST(NothingGoesToStdoutUnlessASinkDoes) {
  const slm::test::TemporaryFolder folder;
  {
    const slm::test::CapturedStdout out(folder / "stdout");
    slm::RecordFile file(folder / "result");
    CHECK(file.Open().ok());
    slm::RecordWriter records("r1", {&file});
    CHECK(records.Write(records.NewRecord("start")).ok());
    CHECK(records.Finish().ok());
  }
  CHECK(ReadFile(folder / "stdout").empty());
}

TEST(UnfinishedRunsLeaveOnlyThePart) {
  const slm::test::TemporaryFolder folder;
  const slm::test::CapturedStdout out(folder / "stdout");
  {
    slm::RecordFile file(folder / "result");
    CHECK(file.Open().ok());
    CHECK(file.Write("{}\n").ok());
  }
  CHECK(!std::filesystem::exists(folder / "result"));
  CHECK(std::filesystem::exists(folder / "result.part"));
}

TEST(FoldersThatAreNotThereAreAnOutputError) {
  const slm::test::TemporaryFolder folder;
  slm::RecordFile file(folder / "absent/result");
  CHECK(file.Open().kind() == slm::ErrorKind::kOutput);
}

TEST(FullDisksAreAnOutputError) {
  const slm::test::TemporaryFolder folder;
  std::filesystem::create_symlink("/dev/full", folder / "result.part");
  const slm::test::CapturedStdout out(folder / "stdout");
  slm::RecordFile file(folder / "result");
  CHECK(file.Open().ok());
  slm::RecordWriter records("r1", {&file});
  const slm::Status status = records.Write(records.NewRecord("start"));
  CHECK(status.kind() == slm::ErrorKind::kOutput);
  CHECK(status.message().find("No space left") != std::string::npos);
}

TEST(FullStdoutIsAnOutputError) {
  const slm::test::CapturedStdout out("/dev/full");
  slm::DescriptorSink sink(STDOUT_FILENO, "stdout");
  slm::RecordWriter records("r1", {&sink});
  CHECK(records.Write(records.NewRecord("token")).kind() == slm::ErrorKind::kOutput);
}

}  // namespace
