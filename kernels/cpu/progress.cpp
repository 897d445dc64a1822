#include "progress.h"

#include <algorithm>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(_M_ARM64)
#include <intrin.h>
#endif

namespace napari_msd {

void relax() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(_M_ARM64)
  __yield();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

void Progress::sleep(int64_t count) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    // Again after each wake-up: wake() forgets what all sleepers wait for.
    wanted_.store(std::min(wanted_.load(), count), std::memory_order_seq_cst);
    if (count_.load(std::memory_order_seq_cst) >= count) return;
    come_.wait(lock);
  }
}

void Progress::wake() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    wanted_.store(nobody, std::memory_order_seq_cst);
  }
  come_.notify_all();
}

}  // namespace napari_msd
