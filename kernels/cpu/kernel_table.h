// The inner loops of the CPU core, as pointers: one table per instruction set and dtype.
//
// Everything above these loops (passes, threads, memory) is compiled once for any machine; only these are
// compiled again for AVX-512, AVX2 and so on, and chosen at run time (dispatch.cpp).
#pragma once

#include <cstdint>

#include "boundary.h"

namespace napari_msd {

constexpr int push_group = 9;  // maps whose gradients are summed in registers together

// Some rows for correlate_planes.
template <class T>
struct CorrelateRows {
  const T *const *a;  // pointers to a's rows, a_row_step of them from one row of the image to the next
  int64_t a_row_step;
  const T *b;
  int64_t b_stride, b_row_step;  // from map to map, from row to row
  int64_t n_rows, count;
  int64_t ahead;  // fetch b so many numbers further on; 0: nothing
};

template <class T>
struct KernelTable {
  // combine_planes.inl
  void (*combine_planes)(const T *in, int64_t in_stride, int n_in, T *out, int64_t out_stride, int n_out,
                         const T *weight, int64_t weight_out_stride, int64_t weight_in_stride, const T *bias,
                         bool accumulate, int64_t count, int64_t ahead);
  // correlate_planes.inl
  void (*correlate_planes)(const CorrelateRows<T> &rows, int n_a, int64_t n_b, double *out, int64_t out_a_stride,
                           int64_t out_b_stride);
  double (*sum_plane)(const T *a, int64_t count);
  // gather_taps.inl
  void (*shift_products)(const TapTable &table, T *products, int64_t product_stride, T *sums, int64_t row_stride,
                         bool accumulate);
  void (*gather_rows)(const T *const *sources, int n_sources, T bias, T *out, int64_t width, int64_t row_stride);
  // scatter_taps.inl
  double (*shift_gradient)(const TapTable &table, const T *gradient, const T *map, T *padded, T *shifted,
                           int64_t row_stride);
  void (*add_rows)(const T *const *rows, int n_rows, T *out, int64_t row_stride);
  // push_gradients.inl
  void (*push_gradients)(const T *const *in, int n_in, T *out, int64_t out_stride, int n_out, const T *weight,
                         int64_t count, int64_t ahead);
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
