#include "measure/page_cache.h"

#include <string>

#include "tests/check.h"
#include "tests/temporary.h"

namespace {

constexpr int64_t kSize = 4 << 20;

struct Model {
  slm::test::TemporaryFolder folder;
  std::string file = folder / "model.onnx";

  Model() { slm::test::WriteFile(file, std::string(kSize, 'w')); }
};

TEST(WarmFilesAreInMemory) {
  const Model model;
  CHECK(slm::PreparePageCache("warm", model.file).ok());
  CHECK(slm::ResidentBytes(model.file).value_or(0) >= kSize);
}

TEST(ColdFilesAreNotOrItFails) {
  const Model model;
  const slm::Status status = slm::PreparePageCache("cold", model.file);
  const int64_t left = slm::ResidentBytes(model.file).value_or(kSize);
  // A file system that is memory itself keeps everything, and must say so.
  CHECK(status.ok() ? left <= kSize / 20 : left >= kSize);
  if (!status.ok()) CHECK(status.message().find("stay in memory") != std::string::npos);
}

TEST(AModelIsNamedByItsFolderToo) {
  const Model model;
  const std::string folder = model.folder / "";
  CHECK(slm::PreparePageCache("warm", folder).ok());
  const slm::Status status = slm::PreparePageCache("cold", folder);
  const int64_t left = slm::ResidentBytes(model.file).value_or(kSize);
  CHECK(status.ok() ? left <= kSize / 20 : left >= kSize);
}

TEST(AFolderWithoutFilesIsNotPrepared) {
  const slm::test::TemporaryFolder folder;
  CHECK(slm::PreparePageCache("warm", folder / "").kind() == slm::ErrorKind::kRunFailed);
}

TEST(WithoutAStateNothingIsTouched) { CHECK(slm::PreparePageCache("", "/nowhere/model.onnx").ok()); }

TEST(WhatCannotBeDoneIsSaid) {
  const Model model;
  CHECK(slm::PreparePageCache("tepid", model.file).kind() == slm::ErrorKind::kUsage);
  CHECK(slm::PreparePageCache("cold", model.folder / "nowhere/model.onnx").kind() ==
        slm::ErrorKind::kRunFailed);
  CHECK(!slm::ResidentBytes(model.folder / "missing"));
}

}  // namespace
