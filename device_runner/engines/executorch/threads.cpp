#include "engines/executorch/threads.h"

#include <sched.h>

#include <atomic>
#include <barrier>

#if __has_include(<executorch/extension/threadpool/threadpool.h>)
#include <executorch/extension/threadpool/threadpool.h>
#else
#include <executorch/runtime/core/function_ref.h>

// The wheel exports the pool but not its header; these are the members that the runner calls, as declared
// there. None is virtual, and no object is made here. Only this file sees it.
namespace executorch::extension::threadpool {

class ThreadPool {
 public:
  size_t get_thread_count() const;
  bool _unsafe_reset_threadpool(unsigned int thread_count);
  void run(runtime::FunctionRef<void(size_t)> body, size_t range);
};

ThreadPool* get_threadpool();

}  // namespace executorch::extension::threadpool
#endif

namespace slm {
namespace {

using executorch::extension::threadpool::get_threadpool;

bool PinCallingThread(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  // 0 is the calling thread. Android's C library has no pthread_setaffinity_np at API level 26.
  return sched_setaffinity(0, sizeof(set), &set) == 0;
}

class Pool final : public kernels::ParallelFor {
 public:
  int threads() const override { return static_cast<int>(get_threadpool()->get_thread_count()); }

  void Run(int64_t tasks, kernels::TaskRef body) override {
    if (tasks == 1) return body(0);
    get_threadpool()->run([&](size_t task) { body(static_cast<int64_t>(task)); }, static_cast<size_t>(tasks));
  }
};

}  // namespace

Status SetThreads(int threads, const std::vector<int>& cpus) {
  auto* pool = get_threadpool();
  if (pool == nullptr) {
    return {ErrorKind::kEngineLibrary,
            "ExecuTorch has no threads; it needs /proc/cpuinfo and /sys/devices/system/cpu to be readable"};
  }
  if (!pool->_unsafe_reset_threadpool(static_cast<unsigned>(threads)) ||
      pool->get_thread_count() != static_cast<size_t>(threads)) {
    return {ErrorKind::kThreads, "ExecuTorch cannot start " + std::to_string(threads) + " threads"};
  }
  if (cpus.size() != static_cast<size_t>(threads) || threads == 1) return {};
  // Nobody leaves before all have come, so every thread takes exactly one task.
  std::barrier all_there(threads);
  std::atomic<bool> pinned = true;
  PoolThreads().Run(threads, [&](int64_t thread) {
    all_there.arrive_and_wait();
    if (!PinCallingThread(cpus[static_cast<size_t>(thread)])) pinned = false;
  });
  return pinned ? Status() : Status(ErrorKind::kCpus, "--affinity: a thread cannot be pinned to its CPU");
}

kernels::ParallelFor& PoolThreads() {
  static Pool pool;
  return pool;
}

}  // namespace slm
