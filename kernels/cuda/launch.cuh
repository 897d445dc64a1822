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

// Whether a launch may be set up while the one before it on the stream still runs (compute capability 9.0): some 200 short
// launches in a row, each needing the one before, make up a pass. Set for each pass by api.cu.
inline thread_local bool launches_overlap = false;

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, unsigned block, cudaStream_t stream,
            Arguments... arguments) {
  cudaLaunchAttribute overlap = {};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = dim3(block);
  config.stream = stream;
  config.attrs = &overlap;
  config.numAttrs = launches_overlap ? 1 : 0;
  (void)cudaLaunchKernelEx(&config, kernel, arguments...);  // a failure is kept for cudaGetLastError
}

// Every kernel calls this before it reads or writes any memory of the device: it waits until all before it on the
// stream has ended, and lets the next launch be set up.
__device__ inline void wait_for_earlier_launches() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

// The same value, but the compiler cannot know: what follows from it is worked out here, not kept from before.
__device__ inline unsigned forgotten(unsigned value) {
  asm volatile("" : "+r"(value));
  return value;
}

// Copies to shared memory that go on beside what follows, where the GPU can (compute capability 8.0); done, for this
// thread, after wait_for_copies. Both addresses are multiples of the size.
__device__ inline void copy_16_bytes(void *shared, const void *global) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], 16;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))), "l"(global));
#else
  *static_cast<uint4 *>(shared) = *static_cast<const uint4 *>(global);
#endif
}
// The same, or 16 bytes of zeros: without a branch, and nothing is read then.
__device__ inline void copy_16_bytes_or_zeros(void *shared, const void *global, bool wanted) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], 16, %2;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))),
               "l"(global), "r"(wanted ? 16u : 0u));
#else
  *static_cast<uint4 *>(shared) = wanted ? *static_cast<const uint4 *>(global) : uint4{0, 0, 0, 0};
#endif
}
__device__ inline void copy_4_bytes(void *shared, const void *global) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))), "l"(global));
#else
  *static_cast<unsigned *>(shared) = *static_cast<const unsigned *>(global);
#endif
}
__device__ inline void wait_for_copies() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

}  // namespace napari_msd
#endif
