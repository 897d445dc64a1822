// How kernels are launched, in one place, so that the tests can compile the same sources for the CPU
// (kernels/testing/cuda_host_shim) and check every index without a GPU.
#pragma once

#ifdef NAPARI_MSD_CUDA_SHIM
#include "cuda_host_shim.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "trace.h"

namespace napari_msd {

// Whether a launch may be set up while the one before it on the stream still runs (compute capability 9.0): some 200 short
// launches in a row, each needing the one before, make up a pass. Set for each pass by api.cu.
inline thread_local bool launches_overlap = false;

inline void trace(const void *kernel, dim3 grid, unsigned threads, cudaStream_t stream) {
  if (!tracing()) return;
  const char *name = nullptr;
  (void)cudaFuncGetName(&name, kernel);  // mangled: c++filt makes it readable
  std::fprintf(stderr, "napari_msd: %s, %u x %u x %u blocks of %u threads, stream %p\n", name ? name : "?", grid.x,
               grid.y, grid.z, threads, static_cast<void *>(stream));
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, unsigned block, cudaStream_t stream, Arguments... arguments) {
  trace(reinterpret_cast<const void *>(kernel), grid, block, stream);
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

// All blocks run at the same time, so that they may wait for one another; each has memory_bytes of shared memory. At most as
// many as most_together says.
template <class... Parameters, class... Arguments>
void launch_together(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, size_t memory_bytes,
                     cudaStream_t stream, Arguments... arguments) {
  trace(reinterpret_cast<const void *>(kernel), dim3(blocks), threads, stream);
  cudaLaunchAttribute together = {};
  together.id = cudaLaunchAttributeCooperative;
  together.val.cooperative = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = memory_bytes;
  config.stream = stream;
  config.attrs = &together;
  config.numAttrs = 1;
  (void)cudaLaunchKernelEx(&config, kernel, arguments...);
}

// The shared memory of a block of such a launch.
__device__ inline char *block_memory() {
  extern __shared__ __align__(256) char launch_memory[];
  return launch_memory;
}

// Flags by which blocks of such a launch tell one another how far they are. Who sees a flag reach an epoch sees all that the
// other block wrote before (its other threads: before a barrier).
__device__ inline bool has_reached(const unsigned *flag, unsigned epoch) {
  unsigned value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(flag) : "memory");
  return static_cast<int>(value - epoch) >= 0;
}
// The same without a promise about anything else.
__device__ inline bool seems_reached(const unsigned *flag, unsigned epoch) {
  unsigned value;
  asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(flag) : "memory");
  return static_cast<int>(value - epoch) >= 0;
}
__device__ inline void set_reached(unsigned *flag, unsigned epoch) {
  asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(flag), "r"(epoch) : "memory");
}
__device__ inline void pause() {}
__device__ inline int64_t ticks() { return clock64(); }
constexpr unsigned least_polls = 1u << 20;  // each takes most of a microsecond

// The same value, but the compiler cannot know: what follows from it is worked out here, not kept from before.
__device__ inline unsigned forgotten(unsigned value) {
  asm volatile("" : "+r"(value));
  return value;
}

// The same address, to which the compiler then adds: left to itself it adds up offsets of 64 bits for each address anew.
template <class S>
__device__ inline const S *forgotten(const S *address) {
  asm volatile("" : "+l"(address));
  return address;
}

// Copies to shared memory that go on beside what follows, where the GPU can (compute capability 8.0); done, for this
// thread, after wait_for_copies. Both addresses are multiples of the size.
__device__ inline void copy_16_bytes(void *shared, const void *global) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile(
      "cp.async.ca.shared.global [%0], [%1], 16;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))),
      "l"(global));
#else
  *static_cast<uint4 *>(shared) = *static_cast<const uint4 *>(global);
#endif
}
// The same, or 16 bytes of zeros: without a branch, and nothing is read then.
__device__ inline void copy_16_bytes_or_zeros(void *shared, const void *global, bool wanted) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile(
      "cp.async.ca.shared.global [%0], [%1], 16, %2;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))),
      "l"(global), "r"(wanted ? 16u : 0u));
#else
  *static_cast<uint4 *>(shared) = wanted ? *static_cast<const uint4 *>(global) : uint4{0, 0, 0, 0};
#endif
}
__device__ inline void copy_4_bytes(void *shared, const void *global) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile(
      "cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))),
      "l"(global));
#else
  *static_cast<unsigned *>(shared) = *static_cast<const unsigned *>(global);
#endif
}
__device__ inline void copy_4_bytes_or_zeros(void *shared, const void *global, bool wanted) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile(
      "cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))),
      "l"(global), "r"(wanted ? 4u : 0u));
#else
  *static_cast<unsigned *>(shared) = wanted ? *static_cast<const unsigned *>(global) : 0u;
#endif
}
__device__ inline void wait_for_copies() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

}  // namespace napari_msd
#endif
