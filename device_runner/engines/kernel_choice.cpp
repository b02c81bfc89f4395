#include "engines/kernel_choice.h"

#include <string_view>

namespace slm {
namespace {

constexpr std::string_view kOwn = "own";
constexpr std::string_view kEngine = "engine";
constexpr std::string_view kNamed = "own:";

}  // namespace

std::string NameOf(const kernels::KernelSet& set) { return std::string(kNamed) + set.name; }

std::vector<std::string> KernelSetNames() {
  std::vector<std::string> names;
  for (const kernels::KernelSet* set : kernels::AvailableKernels()) names.push_back(NameOf(*set));
  return names;
}

Status ChooseKernels(const std::string& asked, KernelChoice& choice) {
  choice = {};
  if (asked == kEngine) return {};
  if (asked == kOwn) {
    choice.set = &kernels::FastestKernels();
    return {};
  }
  if (!asked.starts_with(kNamed)) {
    return {ErrorKind::kUsage, "kernels '" + asked + "': own, engine, or own:SET is meant"};
  }
  std::string all;
  for (const kernels::KernelSet* set : kernels::AvailableKernels()) {
    all += (all.empty() ? "" : ", ") + NameOf(*set);
    if (NameOf(*set) == asked) choice = {set, true};
  }
  if (choice.set != nullptr) return {};
  return {ErrorKind::kKernels, "this CPU cannot run the kernels " + asked + "; it can run " + all};
}

}  // namespace slm
