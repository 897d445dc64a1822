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

__device__ inline double load(const double *from) { return *from; }
__device__ inline float load(const float *from) { return *from; }
__device__ inline float load(const __half *from) { return __half2float(*from); }
__device__ inline float load(const __nv_bfloat16 *from) { return __bfloat162float(*from); }

__device__ inline void store(double *to, double value) { *to = value; }
__device__ inline void store(float *to, float value) { *to = value; }
__device__ inline void store(__half *to, float value) { *to = __float2half(value); }
__device__ inline void store(__nv_bfloat16 *to, float value) { *to = __float2bfloat16(value); }

}  // namespace napari_msd
