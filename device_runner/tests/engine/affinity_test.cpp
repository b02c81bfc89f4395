#include "engine/affinity.h"

#include <sched.h>

#include <thread>

#include "tests/check.h"

namespace {

// Restrictions are per thread: a thread of its own keeps the other tests free.
template <typename Body>
void InThread(Body body) {
  std::thread(body).join();
}

TEST(RestrictsTheCallingThread) {
  InThread([] {
    const int64_t cpu = sched_getcpu();
    CHECK(slm::RestrictToCpus({cpu}).ok());
    CHECK(slm::AvailableCpus() == 1);
    CHECK(sched_getcpu() == cpu);
  });
}

TEST(GivesTheThreadItsCpusBack) {
  InThread([] {
    const int64_t before = slm::AvailableCpus();
    {
      const slm::KeptCpus kept;
      CHECK(slm::RestrictToCpus({sched_getcpu()}).ok());
      CHECK(slm::AvailableCpus() == 1);
    }
    CHECK(slm::AvailableCpus() == before);
  });
}

TEST(RefusesCpusThatAreNotThere) {
  InThread([] {
    const slm::Status beyond_the_set = slm::RestrictToCpus({CPU_SETSIZE});
    CHECK(beyond_the_set.kind() == slm::ErrorKind::kCpus);
    const int64_t absent = CPU_SETSIZE - 1;
    CHECK(!slm::RestrictToCpus({absent}).ok());
    // The kernel accepts this set and silently leaves the absent CPU out.
    CHECK(!slm::RestrictToCpus({sched_getcpu(), absent}).ok());
  });
}

}  // namespace
