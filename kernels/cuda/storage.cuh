// How maps are stored, and what is computed with: 16-bit maps are read into float and rounded when written.
#pragma once

#include "launch.cuh"

namespace napari_msd {

template <class S>
struct ComputeType {
  using type = float;
};
template <>
struct ComputeType<double> {
  using type = double;
};
template <class S>
using Compute = typename ComputeType<S>::type;

template <class S>
__device__ inline S rounded(float value);
template <>
__device__ inline float rounded(float value) {
  return value;
}
template <>
__device__ inline __half rounded(float value) {
  return __float2half(value);
}
template <>
__device__ inline __nv_bfloat16 rounded(float value) {
  return __float2bfloat16(value);
}

__device__ inline double load(const double *from) { return *from; }
__device__ inline float load(const float *from) { return *from; }
__device__ inline float load(const __half *from) { return __half2float(*from); }
__device__ inline float load(const __nv_bfloat16 *from) { return __bfloat162float(*from); }

__device__ inline void store(double *to, double value) { *to = value; }
template <class S>
__device__ inline void store(S *to, float value) {
  *to = rounded<S>(value);
}

}  // namespace napari_msd
