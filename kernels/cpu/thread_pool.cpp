#include "thread_pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#if !defined(_WIN32)
#include <unistd.h>
#endif

#include "flush_subnormals.h"
#include "progress.h"

namespace napari_msd {
namespace {

bool start_detached(std::function<void()> body) {
  try {
    std::thread(std::move(body)).detach();
    return true;
  } catch (const std::system_error &) {
    return false;
  } catch (const std::bad_alloc &) {
    return false;
  }
}

std::atomic<StartThread> start_thread{start_detached};
std::atomic<int> cores{static_cast<int>(std::thread::hardware_concurrency())};

// Sleeping and waking costs as long as a small pass. So wait awake, once per pass, for the next pass of a training step
// and for others to end theirs: they have had whole images to do, each in its own time.
constexpr std::chrono::microseconds between_passes{200};

class Pool {
 public:
  void run(int threads, Task task, void *context) {
    const std::lock_guard<std::mutex> one_at_a_time(caller_);
    // More threads than cores could only wait for each other.
    const int useful = cores > 0 && cores < threads ? cores.load() : threads;
    start(useful - 1);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      task_ = task;
      context_ = context;
      open_ = useful;
      ++round_;
    }
    wake_.notify_all();
    {
      const FlushSubnormals flushing;
      task(context, 0);
    }
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      open_ = 0;
    }
    const auto done = [this] { return running_.load(std::memory_order_acquire) == 0; };
    if (spin(between_passes, done)) return;
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, done);
  }

 private:
  void start(int workers) {
    while (workers_ < workers) {
      const int number = workers_ + 1;
      if (!start_thread.load()([this, number, seen = round_.load()] { serve(number, seen); })) return;
      ++workers_;
    }
  }

  [[noreturn]] void serve(int number, unsigned seen) {
    const FlushSubnormals flushing;
    for (;;) {
      Task task = nullptr;
      void *context = nullptr;
      spin(between_passes, [&] { return round_.load(std::memory_order_acquire) != seen; });
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_ != seen; });
        seen = round_;
        if (number >= open_) continue;  // not needed, or all is done
        task = task_;
        context = context_;
        ++running_;
      }
      task(context, number);
      const std::lock_guard<std::mutex> lock(mutex_);
      if (--running_ == 0) done_.notify_one();
    }
  }

  std::mutex caller_, mutex_;
  std::condition_variable wake_, done_;
  int workers_ = 0;
  Task task_ = nullptr;
  void *context_ = nullptr;
  int open_ = 0;  // threads of a lower number may begin
  std::atomic<int> running_{0};
  std::atomic<unsigned> round_{0};
};

// Leaked on purpose: detached threads may still sleep in it while the process ends, and after a fork the
// parent's pool, whose threads the child lacks, must not be touched.
Pool *current_pool() {
#if !defined(_WIN32)
  static std::atomic<Pool *> pool{nullptr};
  static std::atomic<long> owner{0};
  static std::atomic_flag making = ATOMIC_FLAG_INIT;
  const long self = static_cast<long>(getpid());
  if (owner.load(std::memory_order_acquire) == self) return pool.load(std::memory_order_acquire);
  while (making.test_and_set(std::memory_order_acquire)) relax();
  if (owner.load() != self) {
    pool.store(new Pool);
    owner.store(self, std::memory_order_release);
  }
  making.clear(std::memory_order_release);
  return pool.load();
#else
  static Pool *const pool = new Pool;
  return pool;
#endif
}

}  // namespace

void run_in_parallel(int threads, Task task, void *context) {
  if (threads > 1) return current_pool()->run(threads, task, context);
  const FlushSubnormals flushing;
  task(context, 0);
}

void set_up_pool(StartThread start, int n_cores) {
  start_thread = start ? start : start_detached;
  cores = n_cores;
}

}  // namespace napari_msd
