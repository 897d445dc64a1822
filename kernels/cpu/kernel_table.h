// The inner loops of the CPU core, as pointers: one table per instruction set and dtype.
//
// Everything above these loops (passes, threads, memory) is compiled once for any machine; only these are
// compiled again for AVX-512, AVX2 and so on, and chosen at run time (dispatch.cpp).
#pragma once

#include <cstdint>

#include "boundary.h"

namespace napari_msd {

template <class T>
struct KernelTable {
  // combine_planes.inl
  void (*combine_planes)(const T *in, int64_t in_stride, int n_in, T *out, int64_t out_stride, int n_out,
                         const T *weight, int64_t weight_out_stride, int64_t weight_in_stride,
                         const T *bias, bool accumulate, int64_t count);
  // correlate_planes.inl
  void (*correlate_planes)(const T *a, int64_t a_stride, int n_a, const T *b, int64_t b_stride, int n_b,
                           int64_t count, double *out, int64_t out_a_stride, int64_t out_b_stride);
  double (*sum_plane)(const T *a, int64_t count);
  // gather_taps.inl
  void (*gather_taps)(const TapTable &table, const T *products, int64_t plane_stride, int64_t row_stride,
                      T bias, T *out, int64_t first_row, int64_t last_row, T *scratch);
  // scatter_taps.inl
  void (*shift_gradient)(const TapTable &table, const T *gradient, const T *map, T *shifted,
                         int64_t plane_stride, int64_t row_stride, int64_t first_row, int64_t last_row);
  void (*collect_rows)(const TapTable &table, const T *shifted, int64_t plane_stride, int64_t row_stride,
                       T *taps, int64_t tap_stride, int64_t first_row, int64_t last_row);
  // fma_work.inl
  double (*fma_work)(int64_t rounds);
  int64_t fma_flops;  // of one round
};

#if defined(__x86_64__) || defined(_M_X64)
namespace avx512 {
extern const KernelTable<float> float_kernels;
extern const KernelTable<double> double_kernels;
}  // namespace avx512
namespace avx2 {
extern const KernelTable<float> float_kernels;
extern const KernelTable<double> double_kernels;
}  // namespace avx2
#endif
namespace baseline {
extern const KernelTable<float> float_kernels;
extern const KernelTable<double> double_kernels;
}  // namespace baseline

}  // namespace napari_msd
