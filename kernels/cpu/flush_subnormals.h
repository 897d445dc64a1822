// Treat subnormal numbers as zero while in scope, and restore the thread's state after.
//
// Subnormals appear in every training run as activations and gradients fade; on x86 each costs over a
// hundred cycles, which made whole passes several times slower.
#pragma once

#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#elif defined(_M_ARM64)
#include <intrin.h>
#endif

namespace napari_msd {

class FlushSubnormals {
 public:
#if defined(__x86_64__) || defined(_M_X64)
  FlushSubnormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }  // FTZ and DAZ
  ~FlushSubnormals() { _mm_setcsr(saved_); }
#elif defined(_M_ARM64)
  FlushSubnormals() : saved_(static_cast<uint64_t>(_ReadStatusReg(ARM64_FPCR))) {
    _WriteStatusReg(ARM64_FPCR, static_cast<int64_t>(saved_ | (uint64_t{1} << 24)));
  }
  ~FlushSubnormals() { _WriteStatusReg(ARM64_FPCR, static_cast<int64_t>(saved_)); }
#elif defined(__aarch64__)
  FlushSubnormals() {
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(saved_));
    const uint64_t flushing = saved_ | (uint64_t{1} << 24);
    __asm__ __volatile__("msr fpcr, %0" : : "r"(flushing));
  }
  ~FlushSubnormals() { __asm__ __volatile__("msr fpcr, %0" : : "r"(saved_)); }
#else
  FlushSubnormals() : saved_(0) {}
  ~FlushSubnormals() { (void)saved_; }
#endif
  FlushSubnormals(const FlushSubnormals &) = delete;
  FlushSubnormals &operator=(const FlushSubnormals &) = delete;

 private:
#if defined(__x86_64__) || defined(_M_X64)
  unsigned saved_;
#else
  uint64_t saved_;
#endif
};

}  // namespace napari_msd
