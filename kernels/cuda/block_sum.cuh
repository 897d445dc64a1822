// Sums over a block's threads in a fixed order.
#pragma once

#include "network.cuh"

namespace napari_msd {

// Thread v adds up the block's values number v, in the threads' order, in double.
template <class T, int count>
__device__ inline double block_sum(const T *values, T *shared) {
  const int thread = static_cast<int>(threadIdx.x), stride = static_cast<int>(block_threads) + 1;
#pragma unroll
  for (int v = 0; v < count; ++v) shared[v * stride + thread] = values[v];
  __syncthreads();
  double sum = 0;
  if (thread < count) {
    for (int i = 0; i < static_cast<int>(block_threads); ++i) sum += static_cast<double>(shared[thread * stride + i]);
  }
  return sum;
}

}  // namespace napari_msd
