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
#include "push_gradients.inl"
#include "scatter_taps.inl"

template <class T>
constexpr KernelTable<T> all_kernels = {combine_planes<T>, correlate_planes<T>,         sum_plane<T>, shift_products<T>,
                                        gather_rows<T>,    shift_gradient<T>,           add_rows<T>,  push_gradients<T>,
                                        fma_work<T>,       2 * fma_sums * Vec<T>::lanes};
}  // namespace

extern const KernelTable<float> float_kernels = all_kernels<float>;
extern const KernelTable<double> double_kernels = all_kernels<double>;

}  // namespace MSD_VARIANT
}  // namespace napari_msd
