#include "engines/kernel_choice.h"

#include "tests/check.h"

namespace {

using slm::ErrorKind;
using slm::KernelChoice;

TEST(OwnIsTheFastestSetAndEngineNone) {
  KernelChoice choice;
  CHECK(slm::ChooseKernels("own", choice).ok());
  CHECK(choice.set == &slm::kernels::FastestKernels() && !choice.named);
  CHECK(slm::ChooseKernels("engine", choice).ok());
  CHECK(choice.set == nullptr && !choice.named);
}

TEST(EverySetOfThisCpuCanBeNamed) {
  CHECK(slm::KernelSetNames().back() == "own:portable");
  for (const slm::kernels::KernelSet* set : slm::kernels::AvailableKernels()) {
    KernelChoice choice;
    CHECK(slm::ChooseKernels(slm::NameOf(*set), choice).ok());
    CHECK(choice.set == set && choice.named);
  }
}

TEST(ASetThatThisCpuCannotRunIsRefusedWithThoseThatItCan) {
#if defined(__x86_64__)
  const std::string foreign = "own:neon-dotprod";
#else
  const std::string foreign = "own:avx2";
#endif
  for (const std::string& asked : {foreign, std::string("own:none"), std::string("own:")}) {
    KernelChoice choice;
    const slm::Status status = slm::ChooseKernels(asked, choice);
    CHECK(status.kind() == ErrorKind::kKernels);
    for (const std::string& name : slm::KernelSetNames())
      CHECK(status.message().find(name) != std::string::npos);
  }
}

TEST(OtherWordsAreNoChoice) {
  for (const std::string asked : {"theirs", "", "ownx", "avx2"}) {
    KernelChoice choice;
    CHECK(slm::ChooseKernels(asked, choice).kind() == ErrorKind::kUsage);
  }
}

}  // namespace
