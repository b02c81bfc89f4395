#include "engines/executorch/threads.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <barrier>

// The wheel exports the pool but not its header; these are the members that the runner calls, as declared in
// ExecuTorch's extension/threadpool/threadpool.h. None is virtual, and no object is made here.
namespace executorch::extension::threadpool {

class ThreadPool {
 public:
  size_t get_thread_count() const;
  bool _unsafe_reset_threadpool(unsigned int thread_count);
  void run(runtime::FunctionRef<void(size_t)> body, size_t range);
};

ThreadPool* get_threadpool();

}  // namespace executorch::extension::threadpool

namespace slm {
namespace {

using executorch::extension::threadpool::get_threadpool;

bool PinCallingThread(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  return pthread_setaffinity_np(pthread_self(), sizeof(set), &set) == 0;
}

}  // namespace

Status SetThreads(int threads, const std::vector<int>& cpus) {
  auto* pool = get_threadpool();
  if (pool == nullptr || !pool->_unsafe_reset_threadpool(static_cast<unsigned>(threads)) ||
      pool->get_thread_count() != static_cast<size_t>(threads)) {
    return {ExitCode::kEngineLibrary,
            "ExecuTorch cannot start " + std::to_string(threads) +
                " threads; it needs /proc/cpuinfo and /sys/devices/system/cpu to be readable"};
  }
  if (cpus.size() != static_cast<size_t>(threads) || threads == 1) return {};
  // Nobody leaves before all have come, so every thread takes exactly one task.
  std::barrier all_there(threads);
  std::atomic<bool> pinned = true;
  InParallel(cpus.size(), [&](size_t thread) {
    all_there.arrive_and_wait();
    if (!PinCallingThread(cpus[thread])) pinned = false;
  });
  return pinned ? Status() : Status(ExitCode::kUsage, "--affinity: a thread cannot be pinned to its CPU");
}

size_t ThreadCount() { return get_threadpool()->get_thread_count(); }

void InParallel(size_t tasks, executorch::runtime::FunctionRef<void(size_t)> body) {
  if (tasks == 1) return body(0);
  get_threadpool()->run(body, tasks);
}

}  // namespace slm
