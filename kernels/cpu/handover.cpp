#include "handover.h"

#include <atomic>
#include <chrono>
#include <system_error>
#include <thread>

namespace napari_msd {
namespace {

using Clock = std::chrono::steady_clock;

// On cache lines of their own: two, because some processors fetch them in pairs.
struct alignas(128) Ball {
  std::atomic<int64_t> count{0};
};

// No relax() in this loop: it would be part of what is measured. The clock is read rarely, for the same reason.
bool await(const Ball &ball, int64_t count, Clock::time_point deadline) {
  for (int64_t i = 1; ball.count.load(std::memory_order_acquire) < count; ++i) {
    if (i % 4096 == 0 && Clock::now() > deadline) return false;
  }
  return true;
}

}  // namespace

double measure_handover(int64_t rounds) {
  Ball ball;
  const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(100);
  std::thread other;
  try {
    other = std::thread([&] {
      for (int64_t i = 0; i < rounds; ++i) {
        if (!await(ball, 2 * i + 1, deadline)) return;
        ball.count.store(2 * i + 2, std::memory_order_release);
      }
    });
  } catch (const std::system_error &) {
    return 0;
  }
  bool all = true;
  Clock::time_point start;
  for (int64_t i = 0; all && i < rounds; ++i) {
    ball.count.store(2 * i + 1, std::memory_order_release);
    all = await(ball, 2 * i + 2, deadline);
    if (i == 0) start = Clock::now();  // the other thread has begun
  }
  const std::chrono::duration<double, std::nano> took = Clock::now() - start;
  other.join();
  return all && rounds > 1 ? took.count() / static_cast<double>(2 * (rounds - 1)) : 0;
}

}  // namespace napari_msd
