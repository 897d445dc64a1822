// A count that only grows, and threads that wait until it has come far enough.
//
// Most waits last microseconds, so a thread first waits awake. A wait that lasts longer has another cause: another
// process has the core of the thread that is waited for. Then the waiting thread sleeps and so gives its own core
// away, which is often the very one that the other thread needs.
#pragma once

#include <atomic>
#include <cassert>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <mutex>

namespace napari_msd {

// Tells the processor that this thread only waits.
void relax();

// How long a thread waits awake: a few times what it costs to fall asleep and to be woken.
constexpr std::chrono::microseconds spin_time{30};

// Waits awake until condition() or until the time is over; says which.
template <class Condition>
bool spin(std::chrono::microseconds time, Condition &&condition) {
  if (condition()) return true;
  const auto end = std::chrono::steady_clock::now() + time;
  do {
    for (int i = 0; i < 32; ++i) {
      relax();
      if (condition()) return true;
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

class Progress {
 public:
  // By one thread at a time; what it wrote before is seen by all who wait for this count.
  void publish(int64_t count) {
    // Either this thread sees that another one is about to sleep, or that one sees the new count: both write first and
    // then read, in the one order that all sequentially consistent operations have.
    assert(count > count_.load(std::memory_order_relaxed));  // the count only grows, so that no wait is undone
    count_.store(count, std::memory_order_seq_cst);
    if (wanted_.load(std::memory_order_seq_cst) <= count) wake();
  }

  // Returns once so much has been published; after `awake` it sleeps.
  void wait(int64_t count, std::chrono::microseconds awake = spin_time) {
    if (!spin(awake, [&] { return count_.load(std::memory_order_acquire) >= count; })) sleep(count);
  }

  int64_t count() const { return count_.load(std::memory_order_seq_cst); }

  // Whether a thread sleeps until more is published. (For tests.)
  bool awaited() const { return wanted_.load() != nobody; }

 private:
  static constexpr int64_t nobody = std::numeric_limits<int64_t>::max();
  void sleep(int64_t count);
  void wake();

  alignas(64) std::atomic<int64_t> count_{0};
  std::atomic<int64_t> wanted_{nobody};  // the least count that a sleeping thread waits for
  std::mutex mutex_;
  std::condition_variable come_;
};

}  // namespace napari_msd
