// Treat subnormal numbers as zero, or do not, while in scope, and restore the thread's state after.
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

class SubnormalMode {
 public:
  SubnormalMode(const SubnormalMode &) = delete;
  SubnormalMode &operator=(const SubnormalMode &) = delete;

 protected:
#if defined(__x86_64__) || defined(_M_X64)
  explicit SubnormalMode(bool flush) : saved_(_mm_getcsr()) {
    constexpr unsigned bits = 0x8040;  // FTZ and DAZ
    _mm_setcsr(flush ? saved_ | bits : saved_ & ~bits);
  }
  ~SubnormalMode() { _mm_setcsr(saved_); }
#elif defined(_M_ARM64)
  explicit SubnormalMode(bool flush) : saved_(static_cast<uint64_t>(_ReadStatusReg(ARM64_FPCR))) {
    _WriteStatusReg(ARM64_FPCR, static_cast<int64_t>(flush ? saved_ | bit : saved_ & ~bit));
  }
  ~SubnormalMode() { _WriteStatusReg(ARM64_FPCR, static_cast<int64_t>(saved_)); }
#elif defined(__aarch64__)
  explicit SubnormalMode(bool flush) {
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(saved_));
    const uint64_t wanted = flush ? saved_ | bit : saved_ & ~bit;
    __asm__ __volatile__("msr fpcr, %0" : : "r"(wanted));
  }
  ~SubnormalMode() { __asm__ __volatile__("msr fpcr, %0" : : "r"(saved_)); }
#else
  explicit SubnormalMode(bool) : saved_(0) {}
  ~SubnormalMode() { (void)saved_; }
#endif

 private:
#if defined(__x86_64__) || defined(_M_X64)
  unsigned saved_;
#else
  static constexpr uint64_t bit = uint64_t{1} << 24;
  uint64_t saved_;
#endif
};

struct FlushSubnormals : SubnormalMode {
  FlushSubnormals() : SubnormalMode(true) {}
};

// The other way round, where results must be those of other code to the last bit.
struct KeepSubnormals : SubnormalMode {
  KeepSubnormals() : SubnormalMode(false) {}
};

}  // namespace napari_msd
