// The matrix units (tensor cores) behind four calls on tiles of 8 x 32 sums with 16 products each:
//
//   sums[i][n] += sum over k < 16 of left[i][k] * right[k][n]
//
// left and right are 16-bit and lie in shared memory, sums are float. All 32 threads of a warp make each call together;
// addresses and leading dimensions of left and right are multiples of 16 bytes. Why 8 x 32: 8 channels make a block, so that
// each tap has a tile of its own and no row is padding.
//
// The units' own tile is 16 x 8 (mma.sync.m16n8k16; two of m16n8k8 on compute capability 7.5), so the product is made
// the other way round, columns by rows, in two halves of 16 columns. ldmatrix brings 8 x 8 numbers to where the units want
// them, turned over (.trans) where k is the slow index. Both are the same for float16 and bfloat16, unlike
// those of nvcuda::wmma, whose bfloat16 loads are single ones with a shuffle behind them.
//
// In the tests thread n of a warp plays column n, which needs no exchange between threads; that the units get the right numbers
// is checked apart, against what NVIDIA's PTX manual says of both instructions (kernels/testing/matrix_units).
#pragma once

#include <type_traits>

#include "storage.cuh"

namespace napari_msd {

constexpr int tile_rows = 8, tile_columns = 32, tile_depth = 16;

// Where store_sums with `spread` puts column n of row i: in column n ^ spread_by(i). Rows that are written together then lie
// on different banks of shared memory even where their distance is a multiple of 32.
__device__ constexpr int spread_by(int row) { return row / 2 % 4 * 8; }

// Which 8 numbers in a row thread `lane` names to ldmatrix: thread 8 m + i names row i of the m-th 8 x 8 numbers.
struct EightOfLeft {
  int row, k;
};
__device__ constexpr EightOfLeft eight_of_left(int lane) { return {lane % 8, lane / 8 % 2 * 8}; }
struct EightOfRight {
  int k, column;
};
// by_row: the 8 numbers are neighbouring columns, else neighbouring k. Of one half of 16 columns.
__device__ constexpr EightOfRight eight_of_right(int lane, bool by_row) {
  return by_row ? EightOfRight{lane / 16 * 8 + lane % 8, lane / 8 % 2 * 8}
                : EightOfRight{lane / 16 * 8, lane / 8 % 2 * 8 + lane % 8};
}
// Where the e-th of 4 sums of one half that thread `lane` gets belongs.
struct PlaceOfSum {
  int row, column;
};
__device__ constexpr PlaceOfSum place_of_sum(int lane, int e) { return {lane % 4 * 2 + e % 2, e / 2 * 8 + lane / 4}; }

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
template <bool spread>
void store_sums(float *to, const Sums &sums, int stride) {
  for (int i = 0; i < tile_rows; ++i) to[i * stride + (spread ? lane() ^ spread_by(i) : lane())] = sums.x[i];
}

#else

// Pairs of 16-bit numbers in registers.
template <class S>
struct Left {
  unsigned pairs[2];
};
template <class S, bool by_row>
struct Right {
  unsigned pairs[2][4];
};
struct Sums {
  float x[2][4];
};

__device__ inline int lane() { return static_cast<int>(threadIdx.x) % 32; }

template <class S>
__device__ inline void load_left(Left<S> &left, const S *from, int stride) {
  const EightOfLeft eight = eight_of_left(lane());
  const S *row = from + eight.row * stride + eight.k;
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(left.pairs[0]), "=r"(left.pairs[1])
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row)))
               : "memory");
}

// by_row: right[k][n] at from + k * stride + n, else at from + n * stride + k.
template <class S, bool by_row>
__device__ inline void load_right(Right<S, by_row> &right, const S *from, int stride) {
  const EightOfRight eight = eight_of_right(lane(), by_row);
  const S *row = by_row ? from + eight.k * stride + eight.column : from + eight.column * stride + eight.k;
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  const unsigned half = static_cast<unsigned>(tile_columns / 2 * (by_row ? 1 : stride) * static_cast<int>(sizeof(S)));
#pragma unroll
  for (unsigned h = 0; h < 2; ++h) {
    unsigned (&pairs)[4] = right.pairs[h];
    if constexpr (by_row) {
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(pairs[0]), "=r"(pairs[1]), "=r"(pairs[2]), "=r"(pairs[3])
                   : "r"(address + h * half)
                   : "memory");
    } else {
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(pairs[0]), "=r"(pairs[1]), "=r"(pairs[2]), "=r"(pairs[3])
                   : "r"(address + h * half)
                   : "memory");
    }
  }
}

__device__ inline void clear_sums(Sums &sums) { sums = Sums{}; }

#define NAPARI_MSD_MULTIPLY_16(TYPE)                         \
  asm("mma.sync.aligned.m16n8k16.row.col.f32." TYPE "." TYPE \
      ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "  \
      "{%0, %1, %2, %3};"                                    \
      : "+f"(x[0]), "+f"(x[1]), "+f"(x[2]), "+f"(x[3])       \
      : "r"(pairs[0]), "r"(pairs[1]), "r"(pairs[2]), "r"(pairs[3]), "r"(left.pairs[0]), "r"(left.pairs[1]))
#define NAPARI_MSD_MULTIPLY_8(K)                                                                             \
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};" \
      : "+f"(x[0]), "+f"(x[1]), "+f"(x[2]), "+f"(x[3])                                                       \
      : "r"(pairs[2 * (K)]), "r"(pairs[2 * (K) + 1]), "r"(left.pairs[K]))

template <class S, bool by_row>
__device__ inline void multiply_add(Sums &sums, const Left<S> &left, const Right<S, by_row> &right) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float (&x)[4] = sums.x[h];
    const unsigned (&pairs)[4] = right.pairs[h];
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    if constexpr (std::is_same_v<S, __half>) {
      NAPARI_MSD_MULTIPLY_16("f16");
    } else {
      NAPARI_MSD_MULTIPLY_16("bf16");
    }
#else
    if constexpr (std::is_same_v<S, __half>) {
      NAPARI_MSD_MULTIPLY_8(0);
      NAPARI_MSD_MULTIPLY_8(1);
    } else {
      __trap();  // no bfloat16 before compute capability 8.0: api.cu refuses, so this is never reached
    }
#endif
  }
}
#undef NAPARI_MSD_MULTIPLY_16
#undef NAPARI_MSD_MULTIPLY_8

template <bool spread>
__device__ inline void store_sums(float *to, const Sums &sums, int stride) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const PlaceOfSum place = place_of_sum(lane(), e);
      const int column = 16 * h + place.column;
      to[place.row * stride + (spread ? column ^ spread_by(place.row) : column)] = sums.x[h][e];
    }
  }
}

#endif

}  // namespace napari_msd
