#include "rows/memory_plan.h"

#include <algorithm>

#include "rows/graph.h"

namespace slm::rows {
namespace {

// Memory that is in use up to and including a step.
struct Region {
  int64_t offset;
  int64_t width;
  size_t last_use;
};

std::vector<size_t> LastUses(std::span<const Step> steps, std::span<const uint32_t> roots) {
  std::vector<size_t> last_use(roots.size(), 0);
  for (size_t at = 0; at < steps.size(); ++at) {
    for (const uint32_t input : InputsOf(steps[at])) last_use[roots[input]] = at;
  }
  return last_use;
}

// The first gap between regions that is wide enough.
int64_t FirstFit(std::vector<Region>& used, int64_t width) {
  std::sort(used.begin(), used.end(), [](const Region& a, const Region& b) { return a.offset < b.offset; });
  int64_t offset = 0;
  for (const Region& region : used) {
    if (region.offset - offset >= width) break;
    offset = std::max(offset, region.offset + region.width);
  }
  return offset;
}

}  // namespace

int64_t PlanMemory(std::span<const Step> steps, std::span<const uint32_t> roots,
                   std::span<const int64_t> widths, std::vector<Place>& places) {
  const std::vector<size_t> last_use = LastUses(steps, roots);
  std::vector<Region> used;
  int64_t total = 0;
  for (size_t at = 0; at < steps.size(); ++at) {
    std::erase_if(used, [&](const Region& region) { return region.last_use < at; });
    for (const uint32_t output : OutputsOf(steps[at])) {
      Place& place = places[output];
      if (place.kind != Place::Kind::kNowhere) continue;
      const int64_t width = widths[output];
      const int64_t offset = FirstFit(used, width);
      place = {Place::Kind::kWorkspace, nullptr, 0, offset, width};
      used.push_back({offset, width, std::max(last_use[output], at)});
      total = std::max(total, offset + width);
    }
  }
  for (size_t value = 0; value < roots.size(); ++value) places[value] = places[roots[value]];
  for (const Step& step : steps) {
    for (const uint32_t input : InputsOf(step)) {
      if (places[input].kind == Place::Kind::kNowhere) throw NotCovered("a value that nothing computes");
    }
  }
  return total;
}

}  // namespace slm::rows
