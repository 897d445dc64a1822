// A process-wide pool of sleeping threads, and the barrier that a team of them shares.
//
// Own threads, not OpenMP: torch brings its own OpenMP runtime, and two of them in one process fight.
#pragma once

#include <atomic>

namespace napari_msd {

using Task = void (*)(void *context, int thread);

// Runs task(context, t) for every t < threads, t = 0 on the calling thread, and returns when all are done.
// Fewer threads than asked for may be startable: then this returns false and nothing has run.
// Calls from several threads wait for each other. After a fork the child starts its own threads.
bool run_in_parallel(int threads, Task task, void *context);

// Tells the processor that this thread only waits.
void relax();

// All `size` threads of a team wait here for each other. Spins briefly (a layer takes microseconds), then
// gives the core away, so that it also works when there are more threads than free cores.
class Barrier {
 public:
  explicit Barrier(int size) : size_(size) {}
  Barrier(const Barrier &other) : size_(other.size_) {}
  void wait();

 private:
  const int size_;
  std::atomic<int> waiting_{0};
  std::atomic<unsigned> round_{0};
};

}  // namespace napari_msd
