// All inner loops for one instruction set. A variant_*.cpp sets MSD_VARIANT, includes this, and is compiled
// with that instruction set's flags. Everything has internal linkage but the two tables.
#if defined(__x86_64__) || defined(_M_X64)
#define MSD_X86 1
#include <immintrin.h>
#elif defined(__aarch64__) || defined(_M_ARM64)
#define MSD_ARM64 1
#include <arm_neon.h>
#endif

#include "kernel_table.h"

#if defined(_MSC_VER) && !defined(__clang__)
#define MSD_INLINE static __forceinline
#define MSD_UNROLL
#else
#define MSD_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define MSD_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MSD_UNROLL _Pragma("GCC unroll 16")
#endif
#endif

namespace napari_msd {
namespace MSD_VARIANT {
namespace {
#include "simd.h"
// (each of these is one operation)
#include "combine_planes.inl"
#include "correlate_planes.inl"
#include "fma_work.inl"
#include "gather_taps.inl"
#include "scatter_taps.inl"
}  // namespace

extern const KernelTable<float> float_kernels = {
    combine_planes<float>, correlate_planes<float>, sum_plane<float>,
    gather_taps<float>,    shift_gradient<float>,   collect_rows<float>,
    fma_work<float>, 2 * fma_sums * Vec<float>::lanes};
extern const KernelTable<double> double_kernels = {
    combine_planes<double>, correlate_planes<double>, sum_plane<double>,
    gather_taps<double>,    shift_gradient<double>,   collect_rows<double>,
    fma_work<double>, 2 * fma_sums * Vec<double>::lanes};

}  // namespace MSD_VARIANT
}  // namespace napari_msd
