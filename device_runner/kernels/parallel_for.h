// How kernels that are cut into tasks reach an engine's threads.
#pragma once

#include <cstdint>

namespace slm::kernels {

// A reference to something that takes a task's number; it must outlive the call that it is passed to.
class TaskRef {
 public:
  template <typename Body>
  TaskRef(const Body& body)
      : body_(&body),
        call_([](const void* from, int64_t task) { (*static_cast<const Body*>(from))(task); }) {}

  void operator()(int64_t task) const { call_(body_, task); }

 private:
  const void* body_;
  void (*call_)(const void*, int64_t);
};

class ParallelFor {
 public:
  ParallelFor() = default;
  ParallelFor(const ParallelFor&) = delete;
  ParallelFor& operator=(const ParallelFor&) = delete;
  virtual ~ParallelFor() = default;

  // Threads that tasks run on, the calling one included.
  virtual int threads() const = 0;

  // Runs body(task) for every task in [0, tasks) and returns when all are done. Threads that are done early
  // take over from others. Tasks must not throw.
  virtual void Run(int64_t tasks, TaskRef body) = 0;
};

}  // namespace slm::kernels
