// How kernels are launched, in one place, so that the tests can compile the same sources for the CPU
// (kernels/testing/cuda_host_shim) and check every index without a GPU.
#pragma once

#ifdef NAPARI_MSD_CUDA_SHIM
#include "cuda_host_shim.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

namespace napari_msd {

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, unsigned block, cudaStream_t stream,
            Arguments... arguments) {
  kernel<<<grid, block, 0, stream>>>(arguments...);
}

// The same value, but the compiler cannot know: what follows from it is worked out here, not kept from before.
__device__ inline unsigned forgotten(unsigned value) {
  asm volatile("" : "+r"(value));
  return value;
}

}  // namespace napari_msd
#endif
