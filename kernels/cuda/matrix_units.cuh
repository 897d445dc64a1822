// The matrix units (tensor cores) behind four calls on tiles of 8 x 32 sums with 16 products each:
//
//   sums[i][n] += sum over k < 16 of left[i][k] * right[k][n]
//
// left and right are 16-bit, sums float. All 32 threads of a warp make each call together; addresses are
// multiples of 32 bytes, leading dimensions of 16 bytes. Why 8 x 32: 8 channels make a block, so that each tap
// has a tile of its own and no row is padding.
//
// In the tests thread n of a warp plays column n, which needs no exchange between threads.
#pragma once

#include "storage.cuh"

#ifndef NAPARI_MSD_CUDA_SHIM
#include <mma.h>
#endif

namespace napari_msd {

constexpr int tile_rows = 8, tile_columns = 32, tile_depth = 16;

#ifdef NAPARI_MSD_CUDA_SHIM

template <class S>
struct Left {
  float x[tile_rows][tile_depth];
};
template <class S, bool by_row>
struct Right {
  float x[tile_depth];
};
struct Sums {
  float x[tile_rows];
};

inline int lane() { return static_cast<int>(threadIdx.x) % 32; }

template <class S>
void load_left(Left<S> &left, const S *from, int stride) {
  for (int i = 0; i < tile_rows; ++i) {
    for (int k = 0; k < tile_depth; ++k) left.x[i][k] = load(from + i * stride + k);
  }
}
template <class S, bool by_row>
void load_right(Right<S, by_row> &right, const S *from, int stride) {
  for (int k = 0; k < tile_depth; ++k) {
    right.x[k] = load(by_row ? from + k * stride + lane() : from + lane() * stride + k);
  }
}
inline void clear_sums(Sums &sums) { sums = Sums{}; }
template <class S, bool by_row>
void multiply_add(Sums &sums, const Left<S> &left, const Right<S, by_row> &right) {
  for (int i = 0; i < tile_rows; ++i) {
    for (int k = 0; k < tile_depth; ++k) sums.x[i] += left.x[i][k] * right.x[k];
  }
}
inline void store_sums(float *to, const Sums &sums, int stride) {
  for (int i = 0; i < tile_rows; ++i) to[i * stride + lane()] = sums.x[i];
}

#else

namespace wmma = nvcuda::wmma;

using Sums = wmma::fragment<wmma::accumulator, tile_rows, tile_columns, tile_depth, float>;

__device__ inline void clear_sums(Sums &sums) { wmma::fill_fragment(sums, 0.0f); }
__device__ inline void store_sums(float *to, const Sums &sums, int stride) {
  wmma::store_matrix_sync(to, sums, static_cast<unsigned>(stride), wmma::mem_row_major);
}

template <class S>
struct Left {
  wmma::fragment<wmma::matrix_a, tile_rows, tile_columns, tile_depth, S, wmma::row_major> x;
};
template <class S>
struct RightByRow {
  wmma::fragment<wmma::matrix_b, tile_rows, tile_columns, tile_depth, S, wmma::row_major> x;
};
template <class S>
struct RightByColumn {
  wmma::fragment<wmma::matrix_b, tile_rows, tile_columns, tile_depth, S, wmma::col_major> x;
};
template <class S, bool by_row>
struct RightOf {
  using type = RightByRow<S>;
};
template <class S>
struct RightOf<S, false> {
  using type = RightByColumn<S>;
};
template <class S, bool by_row>
struct Right : RightOf<S, by_row>::type {};

template <class S>
__device__ inline void load_left(Left<S> &left, const S *from, int stride) {
  wmma::load_matrix_sync(left.x, from, static_cast<unsigned>(stride));
}
template <class S, bool by_row>
__device__ inline void load_right(Right<S, by_row> &right, const S *from, int stride) {
  wmma::load_matrix_sync(right.x, from, static_cast<unsigned>(stride));
}
template <class S, bool by_row>
__device__ inline void multiply_add(Sums &sums, const Left<S> &left, const Right<S, by_row> &right) {
  wmma::mma_sync(sums, left.x, right.x, sums);
}

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
// Compute capability 7.5 multiplies no bfloat16 matrices: api.cu refuses, so these are never reached.
template <>
struct Left<__nv_bfloat16> {};
template <bool by_row>
struct Right<__nv_bfloat16, by_row> {};
template <>
__device__ inline void load_left(Left<__nv_bfloat16> &, const __nv_bfloat16 *, int) {
  __trap();
}
template <bool by_row>
__device__ inline void load_right(Right<__nv_bfloat16, by_row> &, const __nv_bfloat16 *, int) {
  __trap();
}
template <bool by_row>
__device__ inline void multiply_add(Sums &, const Left<__nv_bfloat16> &, const Right<__nv_bfloat16, by_row> &) {
  __trap();
}
#endif

#endif

}  // namespace napari_msd
