#include "thread_pool.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if !defined(_WIN32)
#include <unistd.h>
#endif

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

#include "flush_subnormals.h"

namespace napari_msd {

void relax() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

namespace {

class Pool {
 public:
  bool run(int threads, Task task, void *context) {
    const std::lock_guard<std::mutex> one_at_a_time(caller_);
    if (!start(threads - 1)) return false;
    if (threads > 1) {
      const std::lock_guard<std::mutex> lock(mutex_);
      task_ = task;
      context_ = context;
      wanted_ = threads;
      running_ = threads - 1;
      ++round_;
    }
    wake_.notify_all();
    {
      const FlushSubnormals flushing;
      task(context, 0);
    }
    if (threads > 1) {
      spin([this] { return running_.load(std::memory_order_acquire) == 0; });
      std::unique_lock<std::mutex> lock(mutex_);
      done_.wait(lock, [this] { return running_ == 0; });
    }
    return true;
  }

 private:
  // Sleeping and waking costs as long as a small pass: for the time between two passes of a training step, wait awake.
  template <class Condition>
  static void spin(Condition &&condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(200);
    while (!condition()) {
      for (int i = 0; i < 32; ++i) relax();
      if (std::chrono::steady_clock::now() > end) return;
    }
  }

  bool start(int workers) {
    while (static_cast<int>(workers_.size()) < workers) {
      const int number = static_cast<int>(workers_.size()) + 1;
      try {
        workers_.emplace_back([this, number, seen = round_.load()] { serve(number, seen); });
      } catch (const std::system_error &) {
        return false;
      }
      workers_.back().detach();
    }
    return true;
  }

  [[noreturn]] void serve(int number, unsigned seen) {
    const FlushSubnormals flushing;
    for (;;) {
      Task task = nullptr;
      void *context = nullptr;
      spin([&] { return round_.load(std::memory_order_acquire) != seen; });
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_ != seen; });
        seen = round_;
        if (number >= wanted_) continue;
        task = task_;
        context = context_;
      }
      task(context, number);
      const std::lock_guard<std::mutex> lock(mutex_);
      if (--running_ == 0) done_.notify_one();
    }
  }

  std::mutex caller_, mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> workers_;
  Task task_ = nullptr;
  void *context_ = nullptr;
  int wanted_ = 0;
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

bool run_in_parallel(int threads, Task task, void *context) {
  return current_pool()->run(threads, task, context);
}

void Barrier::wait() {
  if (size_ == 1) return;
  const unsigned round = round_.load(std::memory_order_acquire);
  if (waiting_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
    waiting_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
    return;
  }
  constexpr int spins = 4000;
  for (int i = 0; round_.load(std::memory_order_acquire) == round; ++i) {
    if (i < spins) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
}

}  // namespace napari_msd
